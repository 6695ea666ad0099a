"""Credentials: write-only, bound to hosts, tried before they are rotated, and every use written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.grant import Grant
from app.settings import Settings
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.tenant.open import open_desk
from app.wire import MustAct, NotThere
from storage import credentials, definitions
from storage.audit_search import Search
from storage.credentials import Damaged
from storage.keyring import derive
from tests.servers.keyed import Keyed
from tests.servers.openbao import MOUNT, OpenBao

FIRST, SECOND, WRONG = "key-of-spring-0001", "key-of-summer-0002", "key-of-nobody-0003"


@pytest.fixture
def server() -> Iterator[Keyed]:
    keyed = Keyed(FIRST)
    yield keyed
    keyed.close()


@pytest.fixture
def other() -> Iterator[Keyed]:
    keyed = Keyed(FIRST)
    yield keyed
    keyed.close()


@pytest.fixture(autouse=True)
def _loopback(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})


def add(client: Client, server: Keyed, value: str = FIRST, **more: Any) -> str:
    return client.create_credential(name="The feed", value=value, hosts=[server.host], **more).id


def feed(server: Keyed, credential: str) -> dict[str, Any]:
    """A configuration that refers to a credential."""
    return typed(server, {"credential": credential})


def typed(server: Keyed, secret: object) -> dict[str, Any]:
    """A configuration with the secret in it."""
    return {"url": server.url, "header": "X-Key", "secret": secret}


def events(desk: Desk, action: str = "credential.used") -> list[tuple[str, str, str, Any]]:
    """Who, object, outcome and what of each event, oldest first."""
    from app.tenant import journal

    rows = journal.found(desk, Search(action=action), limit=1000)
    return [(r.who, r.object, r.outcome, json.loads(r.after or "null")) for r in reversed(rows)]


def test_a_source_reads_with_a_credential_it_refers_to(client: Client, desk: Desk, server: Keyed) -> None:
    id = add(client, server)
    made = client.create_source(connector="url", config=feed(server, id), name="Feed")
    assert made.source.config["secret"] == {"credential": id}
    assert server.shown == [FIRST]
    found = client.credential(id)
    assert (found.state, found.place, found.hosts) == ("open", "stored", [server.host])
    assert [(use.id, use.settings) for use in found.used_by] == [(made.source.id, ["secret"])]
    assert found.used is not None
    who, what, outcome, after = events(desk)[-1]
    assert (who, what, outcome, after["hosts"]) == ("ana", id, "done", [server.host])


def test_a_run_says_which_credential_it_used_and_where(client: Client, desk: Desk, server: Keyed) -> None:
    id = add(client, server)
    made = client.create_source(connector="url", config=feed(server, id), name="Feed")
    mapping = client.suggest(made.source.id, target="indicator").suggestions[0].mapping
    saved = client.create_pipeline(name="Feed", source=made.source.id, mappings=[mapping])
    run = client.start_run(saved.pipeline.id, wait=60)
    assert (run.state, run.ledger.read) == ("finished", 2)
    assert (f"run {run.run}", id, "done") in [event[:3] for event in events(desk)]
    server.keys = {SECOND}
    failed = client.start_run(saved.pipeline.id, wait=60)
    assert failed.state == "failed"
    assert (f"run {failed.run}", id, "failed") in [event[:3] for event in events(desk)]


def test_a_secret_typed_into_a_source_becomes_a_credential_of_its_own(
    client: Client, desk: Desk, server: Keyed
) -> None:
    made = client.create_source(connector="url", config=typed(server, FIRST), name="Feed")
    id = made.source.config["secret"]["credential"]
    found = client.credential(id)
    assert (found.hosts, found.created_by) == ([server.host], "ana")
    assert client.check_source(made.source.id).ok

    server.keys = {SECOND}
    client.request("PATCH", f"/sources/{made.source.id}", json={"config": typed(server, SECOND)})
    assert [each.id for each in client.credentials()] == [id]
    assert client.credential(id).rotated is not None
    assert client.check_source(made.source.id).ok
    body = definitions.versions(desk.store.cursor(), "source", made.source.id)
    assert SECOND not in str(body)
    assert FIRST not in str(body)


def test_a_changed_connection_is_tried_with_a_new_secret_and_nothing_of_it_is_kept(
    client: Client, desk: Desk, server: Keyed, other: Keyed
) -> None:
    made = client.create_source(connector="url", config=typed(server, FIRST), name="Feed").source
    server.keys = {SECOND}
    assert not client.check_source(made.id).ok
    assert client.check_source(made.id, typed(server, SECOND)).ok
    assert not client.check_source(made.id, typed(server, WRONG)).ok
    assert server.shown[-2:] == [SECOND, WRONG]
    # Nor does the kept secret follow an address that is only being tried.
    assert (
        client.check_source(made.id, feed(other, made.config["secret"]["credential"])).stages[0].name
        == "credential"
    )
    assert other.asked == []
    assert client.source(made.id).source == made
    assert not client.check_source(made.id).ok
    assert events(desk)[-1][0] == "ana"
    assert SECOND not in client.audit().model_dump_json()


def test_a_credential_goes_to_no_host_it_is_not_bound_to(
    client: Client, desk: Desk, server: Keyed, other: Keyed
) -> None:
    id = add(client, server)
    with pytest.raises(MustAct, match=f"not to {other.host}"):
        client.create_source(connector="url", config=feed(other, id), name="Elsewhere")
    tried = client.check_connection("url", feed(other, id))
    assert [stage.name for stage in tried.stages] == ["credential"]
    assert other.asked == []
    assert ("ana", id, "refused", {"source": "url", "host": other.host}) in events(desk)

    made = client.create_source(connector="url", config=feed(server, id), name="Feed")
    with pytest.raises(MustAct, match=f"not to {other.host}"):
        # The secret comes back as it was shown; only the address is another.
        client.request("PATCH", f"/sources/{made.source.id}", json={"config": feed(other, id)})
    assert other.asked == []


def test_a_redirect_to_another_host_does_not_carry_it(client: Client, server: Keyed, other: Keyed) -> None:
    id = add(client, server)
    server.moved["/feed.csv"] = other.url
    with pytest.raises(MustAct):
        client.create_source(connector="url", config=feed(server, id), name="Feed")
    assert server.shown == [FIRST]
    assert len(other.asked) == 1
    assert other.shown == []


def test_the_web_itself_refuses_to_carry_a_secret_beyond_its_bounds(server: Keyed, other: Keyed) -> None:
    from connectors.credential_hosts import NotBound
    from connectors.registry import Reach
    from connectors.web import Web

    web = Web(other.url, Reach(("127.0.0.1",), (), (server.host,)), {"X-Key": FIRST})
    with pytest.raises(NotBound), web.answer(other.url):
        pass
    assert other.asked == []


def test_hosts_become_fewer_but_never_more_without_the_value(
    client: Client, server: Keyed, other: Keyed
) -> None:
    id = client.create_credential(name="Both", value=FIRST, hosts=[server.host, other.host]).id
    assert client.change_credential(id, hosts=[server.host]).hosts == [server.host]
    with pytest.raises(MustAct, match="more hosts only by giving its value anew"):
        client.change_credential(id, hosts=[server.host, other.host])
    assert client.rotate_credential(id, FIRST, hosts=[other.host]).credential.hosts == [other.host]


def test_a_new_value_takes_the_old_ones_place_only_where_every_source_works_with_it(
    client: Client, desk: Desk, server: Keyed, other: Keyed
) -> None:
    other.keys = {FIRST, SECOND}
    id = client.create_credential(name="Both", value=FIRST, hosts=[server.host, other.host]).id
    one = client.create_source(connector="url", config=feed(server, id), name="One").source.id
    two = client.create_source(connector="url", config=feed(other, id), name="Two").source.id

    refused = client.rotate_credential(id, SECOND)
    assert (refused.rotated, refused.ok) == (False, False)
    assert {t.use.id: t.ok for t in refused.trials if t.use} == {one: False, two: True}
    assert events(desk, "credential.rotated")[-1][2:] == ("failed", {"failed_with": [one]})
    assert client.check_source(one).ok
    assert server.shown[-1] == FIRST

    server.keys = {SECOND}
    done = client.rotate_credential(id, SECOND)
    assert (done.rotated, done.ok) == (True, True)
    assert client.check_credential(id).ok
    assert server.shown[-1] == SECOND

    forced = client.rotate_credential(id, WRONG, force=True)
    assert (forced.rotated, forced.ok) == (True, False)
    assert not client.check_credential(id).ok


def test_one_of_two_rotations_at_once_is_told_that_it_came_too_late(
    client: Client, desk: Desk, server: Keyed
) -> None:
    server.keys = {FIRST, SECOND, WRONG}
    id = add(client, server)
    client.create_source(connector="url", config=feed(server, id), name="Feed")
    server.held.clear()
    told: list[BaseException | None] = []

    def slow() -> None:
        try:
            client.rotate_credential(id, WRONG)
            told.append(None)
        except MustAct as error:
            told.append(error)

    asked = len(server.asked)
    thread = threading.Thread(target=slow)
    thread.start()
    while len(server.asked) == asked:
        threading.Event().wait(0.01)
    with desk.store.transaction() as cursor:
        now = credentials.get(cursor, id)
        credentials.rotate(cursor, desk.keys, now, SECOND, by="bo", at=desk.now())
    server.held.set()
    thread.join()
    assert isinstance(told[0], MustAct)
    with desk.store.cursor() as cursor:
        assert credentials.opened(cursor, desk.keys, credentials.get(cursor, id)) == SECOND


def test_removing_says_what_would_break_and_adding_it_again_mends_it(client: Client, server: Keyed) -> None:
    id = add(client, server)
    made = client.create_source(connector="url", config=feed(server, id), name="Feed").source.id
    with pytest.raises(MustAct, match="Feed"):
        client.remove_credential(id)
    client.remove_credential(id, force=True)
    with pytest.raises(NotThere):
        client.credential(id)
    gone = client.check_source(made)
    assert not gone.ok
    assert id in gone.stages[0].detail
    add(client, server, id=id)
    assert client.check_source(made).ok


def test_what_ends_soon_or_has_ended_stands_among_what_needs_a_person(client: Client, desk: Desk) -> None:
    now = datetime.now(UTC)
    for name, days in (("Over", -1), ("Soon", 5), ("Later", 90)):
        end = (now + timedelta(days=days)).isoformat()
        client.create_credential(name=name, value=FIRST, hosts=["api.example"], expires=end)
    needs = [n for n in client.standing().needs if n.kind == "credential"]
    assert [(n.title.split()[0], n.wrong, n.credential) for n in needs] == [
        ("Over", True, "over"), ("Soon", False, "soon"),
    ]  # fmt: skip
    assert {c.name: c.state for c in client.credentials()} == {
        "Over": "ended", "Soon": "ends soon", "Later": "open",
    }  # fmt: skip
    assert len(credentials.noticed(desk.store.folder)) == 3
    client.change_credential("over", expires=None)
    assert len(credentials.noticed(desk.store.folder)) == 2


def test_another_tenants_key_opens_no_credential(
    client: Client, desk: Desk, server: Keyed, tmp_path: Path
) -> None:
    id = add(client, server)
    with desk.store.cursor() as cursor:
        row = cursor.execute(f"SELECT * FROM {credentials.TABLE}").fetchall()[0]
        mine = credentials.get(cursor, id)
        with pytest.raises(Damaged):
            credentials.opened(cursor, derive(b"\1" * 32, "acme"), mine)
    key = b"\2" * 32
    theirs = Grant(
        tenant="bravo", key=key, check=derive(key, "bravo").check, socket=tmp_path / "b",
        folder=tmp_path / "data" / "tenants" / "bravo",
    )  # fmt: skip
    bravo = open_desk(theirs)
    try:
        with bravo.store.transaction() as cursor:
            # Even the very row of another tenant is of no use there.
            cursor.execute(f"INSERT INTO {credentials.TABLE} VALUES ({', '.join('?' for _ in row)})", row)
            with pytest.raises(Damaged):
                credentials.opened(cursor, bravo.keys, credentials.get(cursor, id))
        with Client.on_app(app_on(bravo), user="bo", role="administrator") as them:
            found = them.check_credential(id)
            assert not found.ok
            assert FIRST not in found.model_dump_json()
    finally:
        bravo.store.close()


def test_a_variable_is_used_where_the_tenant_was_given_it_and_no_other(
    client: Client, desk: Desk, server: Keyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIRE_CREDENTIAL_FEED", FIRST)
    monkeypatch.setenv("SPIRE_CREDENTIAL_THEIRS", SECOND)
    asked = {"place": "environment", "hosts": [server.host]}
    id = client.create_credential(name="Given", reference="SPIRE_CREDENTIAL_FEED", **asked).id
    theirs = client.create_credential(name="Theirs", reference="THEIRS", **asked).id
    assert not client.check_credential(id).ok

    allowed = desk.settings.model_copy(update={"environment_allow": ("acme:FEED", "bravo:THEIRS")})
    desk.environment = allowed.environment_of("acme")
    assert client.create_source(connector="url", config=feed(server, id), name="Feed").source.id
    assert server.shown == [FIRST]
    refused = client.check_credential(theirs)
    assert "not given to tenant acme" in refused.trials[0].stages[0].detail
    for wrong in ("PATH", "path", "../X", "SPIRE_KEY_FILE=1", ""):
        if wrong != "PATH":
            with pytest.raises(MustAct):
                client.create_credential(name="x", reference=wrong, **asked)
    # A name is only ever read behind the prefix.
    path = client.create_credential(name="x", reference="PATH", **asked).id
    assert not client.check_credential(path).ok
    with pytest.raises(MustAct, match="is not kept here"):
        client.rotate_credential(id, SECOND)


def test_a_value_is_read_from_the_vault_at_each_use_and_only_below_the_tenants_own_path(
    client: Client, desk: Desk, server: Keyed, vault: OpenBao, tmp_path: Path
) -> None:
    token = tmp_path / "token-acme"
    token.write_text(vault.token_for("acme") + "\n")
    chosen = {
        "vault_address": vault.url, "vault_authority": vault.authority, "vault_mount": MOUNT,
        "vault_token_file": tmp_path / "token-{tenant}",
    }  # fmt: skip
    desk.settings = desk.settings.model_copy(update=chosen)
    vault.put("acme", "feeds/otx", key=FIRST)
    vault.put("bravo", "feeds/otx", key=SECOND)
    asked = {"place": "vault", "hosts": [server.host]}
    id = client.create_credential(name="Kept away", reference="feeds/otx#key", **asked).id
    made = client.create_source(connector="url", config=feed(server, id), name="Feed").source.id
    assert server.shown == [FIRST]

    vault.put("acme", "feeds/otx", key=SECOND)
    assert not client.check_source(made).ok
    server.keys = {SECOND}
    assert client.check_source(made).ok

    missing = client.create_credential(name="Missing", reference="feeds/none#key", **asked).id
    assert "is not in the vault" in client.check_credential(missing).trials[0].stages[0].detail
    field = client.create_credential(name="Field", reference="feeds/otx#other", **asked).id
    assert "no field other" in client.check_credential(field).trials[0].stages[0].detail
    for wrong in ("../bravo/feeds/otx#key", "feeds/../../bravo#key", "feeds/otx", "/feeds#key", "a//b#c"):
        with pytest.raises(MustAct):
            client.create_credential(name="x", reference=wrong, **asked)
    token.write_text(vault.token_for("charlie"))
    refused = client.check_source(made)
    assert "permission denied" in refused.stages[0].detail
    token.write_text("not a token")
    assert not client.check_source(made).ok


def test_secrets_of_sources_from_before_are_moved_in_and_leave_every_version(
    grant: Grant, desk: Desk, server: Keyed
) -> None:
    at = desk.now()
    for version, secret in ((1, WRONG), (2, FIRST)):
        body = {
            "id": "old",
            "name": "Old feed",
            "connector": "url",
            "config": typed(server, secret),
            "shape": None,
        }
        with desk.store.transaction() as cursor:
            definitions.save(
                cursor, "source", "old", body, author="ana", now=lambda: at, comment=str(version)
            )
    with desk.store.transaction() as cursor:
        cursor.execute(f"DROP TABLE {credentials.TABLE}")
    desk.store.close()

    again = open_desk(grant)
    again.settings = desk.settings
    try:
        with again.store.cursor() as cursor:
            versions = definitions.versions(cursor, "source", "old")
            (moved,) = credentials.every(cursor)
            assert credentials.opened(cursor, again.keys, moved) == FIRST
        assert [v.version for v in versions] == [2, 1]
        assert {v.body["config"]["secret"]["credential"] for v in versions} == {moved.id}
        assert all(v.address == definitions.address(v.body) for v in versions)
        assert moved.hosts == (server.host,)
        with Client.on_app(app_on(again)) as client:
            assert client.check_source("old").ok
    finally:
        again.store.close()


def test_a_publications_secret_is_a_credential_too(client: Client, desk: Desk) -> None:
    config = {
        "host": "db.example", "port": 5432, "database": "d", "username": "u", "password": FIRST, "table": "t",
    }  # fmt: skip
    asked = {"name": "Partner", "connector": "postgres", "target": "indicator"}
    made = client.create_publication(config=config, **asked).publication
    (kept,) = client.credentials()
    assert made.config["password"] == {"credential": kept.id}
    assert (kept.hosts, [(use.kind, use.id) for use in kept.used_by]) == (
        ["db.example:5432"], [("publication", made.id)],
    )  # fmt: skip
    moved = {**made.config, "host": "elsewhere.example"}
    client.request("PUT", f"/publications/{made.id}", json={**asked, "config": moved})
    tested = client.check_credential(kept.id)
    assert "not to elsewhere.example:5432" in tested.trials[0].stages[0].detail
    assert FIRST not in str(definitions.versions(desk.store.cursor(), "publication", made.id))


def test_a_worker_is_handed_the_vaults_settings_and_the_variables_of_its_own_tenant(
    grant: Grant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIRE_CREDENTIAL_OURS", FIRST)
    monkeypatch.setenv("SPIRE_CREDENTIAL_THEIRS", SECOND)
    monkeypatch.setenv("SPIRE_ENVIRONMENT_ALLOW", "acme:OURS,acme:UNSET,bravo:THEIRS")
    monkeypatch.setenv("SPIRE_VAULT_ADDRESS", "https://vault.example:8200")
    monkeypatch.setenv("SPIRE_VAULT_TOKEN_FILE", str(tmp_path / "{tenant}.token"))
    chosen = Settings()
    given = {"environment": chosen.environment_of("acme"), "vault": chosen.vault}
    handed = replace(grant, folder=grant.folder.with_name("anew"), **given)
    for name in ("VAULT_ADDRESS", "VAULT_TOKEN_FILE", "ENVIRONMENT_ALLOW"):
        monkeypatch.delenv(f"SPIRE_{name}")
    arrived = Grant.from_json(handed.to_json())
    opened = open_desk(arrived)
    try:
        assert opened.environment == {"OURS": FIRST}
        assert opened.settings.vault_address == "https://vault.example:8200"
        assert opened.settings.vault_token_file == tmp_path / "{tenant}.token"
        assert FIRST not in repr(arrived) + repr(opened)
    finally:
        opened.store.close()
    with pytest.raises(ValueError, match="https"):
        Settings(vault_address="http://vault.example")
