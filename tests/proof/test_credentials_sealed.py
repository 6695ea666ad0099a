"""A planted secret is in no file, log, audit event, error or answer, and a crash in a rotation leaves the old one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app.client import Client
from app.wire import NoAnswer
from engine.errors import SpireError
from tests.proof.serving import Installation, installation, patiently, until
from tests.servers.keyed import Keyed

KEPT, TYPED, NEW, GIVEN = (f"PLANTED-{word}-4711-0815" for word in ("KEPT", "TYPED", "NEW", "GIVEN"))
SECRETS = (KEPT, TYPED, NEW, GIVEN)


@pytest.fixture(scope="module")
def server() -> Iterator[Keyed]:
    keyed = Keyed(KEPT, TYPED, GIVEN)
    yield keyed
    keyed.close()


@pytest.fixture(scope="module")
def place(server: Keyed) -> Iterator[Installation]:
    settings = {
        "url_allow": "127.0.0.1", "audit_level": "comprehensive", "log_level": "debug",
        "credential_given": GIVEN, "environment_allow": "acme:GIVEN",
    }  # fmt: skip
    with installation(**settings) as made:
        yield made


@pytest.fixture(scope="module")
def tenant(place: Installation) -> Iterator[Client]:
    with place.tenant("acme") as client:
        yield client


def config(server: Keyed, secret: object, path: str = "/feed.csv") -> dict[str, Any]:
    return {"url": f"http://{server.host}{path}", "header": "X-Key", "secret": secret}


def everything_read(place: Installation, client: Client, ids: dict[str, str]) -> list[httpx.Response]:
    """What every route that only reads answers."""
    with place.client(cookie=place.admin) as http:
        paths = http.get("/api/openapi.json").json()["paths"]
        asked = [path for path, item in paths.items() if "get" in item and "{tenant}" in path]
        filled = []
        for path in asked:
            path = path.replace("{tenant}", "acme")
            for noun, id in ids.items():
                path = re.sub(rf"/{noun}/\{{\w+\}}", f"/{noun}/{id}", path)
            filled.append(re.sub(r"\{\w+\}", "1", path))
        answers = [http.get(path, timeout=60) for path in filled]
        answers += [
            http.get(path)
            for path in ("/api/v1/audit/export", "/api/v1/settings", "/api/v1/doctor", "/metrics")
        ]
    assert sum(answer.status_code == 200 for answer in answers) > 25
    return answers


def test_planted_secrets_are_found_nowhere(place: Installation, tenant: Client, server: Keyed) -> None:
    kept = tenant.create_credential(name="Kept", value=KEPT, hosts=[server.host]).id
    asked = {"place": "environment", "reference": "GIVEN", "hosts": [server.host]}
    given = tenant.create_credential(name="Given", **asked).id
    said: list[str] = []

    def tell(ask: Any, *args: Any, **options: Any) -> None:
        try:
            found = ask(*args, **options)
        except SpireError as error:
            said.append(f"{error} {error!r} {vars(error)}")
        else:
            said.append(found.model_dump_json() if hasattr(found, "model_dump_json") else str(found))

    for name, secret in (("kept", {"credential": kept}), ("typed", TYPED), ("given", {"credential": given})):
        made = tenant.create_source(id=name, connector="url", config=config(server, secret), name=name)
        said.append(made.model_dump_json())
        saved = tenant.create_pipeline(
            id=name, name=name, source=name, mappings=[tenant.suggest(name, target="indicator").suggestions[0].mapping],
        )  # fmt: skip
        run = tenant.start_run(saved.pipeline.id, wait=60)
        assert run.state == "finished"
        tell(tenant.check_source, name)
    own = tenant.source("typed").source.config["secret"]["credential"]

    # Errors on purpose: refusals, a server that repeats what it was sent, requests in the wrong form.
    server.echoing.add("/echo")
    for secret in ({"credential": kept}, TYPED):
        tell(tenant.check_connection, "url", config(server, secret, "/echo"))
        tell(tenant.create_source, connector="url", config=config(server, secret, "/echo"), name="echo")
    assert "•••" in "".join(said[-4:])
    tell(tenant.check_connection, "url", config(server, [KEPT]))
    tell(tenant.check_connection, "url", {**config(server, KEPT), "nothing": KEPT})
    tell(tenant.check_connection, "rest", {"url": "http://127.0.0.1:1/", "auth": "oauth2", "secret": TYPED})
    tell(tenant.create_credential, name="x", value=KEPT, hosts=["two words"])
    tell(tenant.create_credential, name="x", value=KEPT * 10_000, hosts=["a.example"])
    tell(tenant.create_credential, id="NO", name="x", value=KEPT, hosts=["a.example"], more=KEPT)
    tell(tenant.rotate_credential, kept, NEW)
    tell(tenant.rotate_credential, given, NEW)
    tell(tenant.check_credential, own)
    server.keys = set()
    for name in ("kept", "typed", "given"):
        said.append(tenant.start_run(name, wait=60).model_dump_json())
        tell(tenant.check_source, name)
    server.keys = {KEPT, TYPED, GIVEN}
    tell(tenant.query, "SELECT * FROM spire.credentials")
    tell(tenant.query, "SELECT * FROM spire.definitions")

    ids = {"sources": "kept", "credentials": kept, "pipelines": "typed", "runs": "1", "targets": "indicator",
           "records": "indicator", "export": "indicator"}  # fmt: skip
    answers = [answer.text for answer in everything_read(place, tenant, ids)]
    answers += ["".join(piece.decode() for piece in tenant.export_audit())]
    assert "credential.used" in answers[-1]
    for secret in SECRETS:
        for text in (*said, *answers):
            assert secret not in text
        assert place.holding(secret) == []
    pid = place.worker("acme")
    for process in (pid, place.process.pid):
        for part in ("cmdline", "environ"):
            with open(f"/proc/{process}/{part}", "rb") as file:
                shown = file.read().decode(errors="replace")
            # The variable is the administrator's own, and stands with the gateway alone.
            expected = (process, part) == (place.process.pid, "environ")
            assert (GIVEN in shown) == expected, (process == pid, part)


def test_a_crash_while_a_new_value_is_tried_leaves_the_old_one(
    place: Installation, tenant: Client, server: Keyed
) -> None:
    server.keys = {KEPT, NEW}
    id = tenant.create_credential(name="Crashing", value=KEPT, hosts=[server.host]).id
    tenant.create_source(
        id="crashing", connector="url", config=config(server, {"credential": id}), name="Crashing"
    )
    asked = len(server.asked)
    server.held.clear()

    def rotate() -> None:
        with suppress(SpireError, NoAnswer):
            tenant.rotate_credential(id, NEW)

    thread = threading.Thread(target=rotate)
    thread.start()
    until(lambda: len(server.asked) > asked)
    assert server.shown[-1] == NEW
    place.kill_worker("acme")
    server.held.set()
    thread.join()

    found = patiently(lambda: tenant.credential(id))
    assert found.rotated is None
    assert patiently(lambda: tenant.check_source("crashing")).ok
    assert server.shown[-1] == KEPT
    # The trial itself was written down before it was cut off.
    uses = [e for e in tenant.audit(action="credential.used", object=id).events if e.outcome == "done"]
    assert len(uses) == 3
    assert json.loads(uses[0].after)["hosts"] == [server.host]
    assert tenant.verify_audit().ok
    assert place.holding(NEW) == []
