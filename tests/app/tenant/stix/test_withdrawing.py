"""What a publication has delivered and is no longer to be there is taken back where it says so, and only then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from stix2validator import ValidationOptions, validate_string

from app.client import Client
from app.tenant import publishing
from app.tenant.desk import Desk
from app.tenant.schemas.publications import DeliveryDetail
from connectors import payloads_of
from engine.model import Source
from storage import publications
from tests.app.tenant.stix.loading import bundle, loaded, watching
from tests.connectors.misp_instance import KEY, Instance
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii

HERE = ("127.0.0.1",)
FEED = "indicator,type,confidence\n" + "".join(f"192.0.2.{n},ip,{n}\n" for n in range(1, 7))


@pytest.fixture(autouse=True)
def reachable(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": HERE})


@pytest.fixture
def sink(postgres_url: str) -> Iterator[tuple[dict[str, Any], psycopg.Connection[Any]]]:
    """The configuration of an empty schema, and a connection to look at it."""
    parts, space = urlsplit(postgres_url), f"back_{uuid4().hex[:8]}"
    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "disable", "table": f"{space}.rows",
    }  # fmt: skip
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {space}; SET search_path TO {space}")
        yield config, connection
        connection.execute(f"DROP SCHEMA {space} CASCADE")


def paste(client: Client, text: str) -> int:
    payload = client.paste(text, f"{uuid4()}.csv")
    return client.ingest_payload(payload.payload, target="indicator", source="feed", wait=60).run


def publish(client: Client, connector: str, config: dict[str, Any], **more: Any) -> str:
    told = {"name": f"To {uuid4()}", "target": "indicator", "gone": "withdraw", **more}
    return client.create_publication(connector=connector, config=config, **told).publication.id


def delivered(client: Client, id: str, **how: Any) -> DeliveryDetail:
    found = client.delivery(id, client.deliver(id, **how).delivery, wait=60)
    assert found.error is None
    assert found.taken == found.sent + found.withdrawn + found.refused
    return found


def counts(found: DeliveryDetail) -> tuple[int, int, int]:
    return found.sent, found.withdrawn, found.refused


def rows(connection: psycopg.Connection[Any], column: str = "confidence") -> set[Any]:
    return {row[0] for row in connection.execute(f"SELECT {column} FROM rows")}


def test_what_an_undone_run_brought_goes_and_what_it_had_replaced_comes_back(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    paste(client, FEED)
    taking, leaving = (
        publish(client, "postgres", config),
        publish(client, "postgres", {**config, "table": config["table"] + "_kept"}, gone="leave"),
    )
    assert counts(delivered(client, taking)) == (6, 0, 0)
    second = paste(client, "indicator,type,confidence\n192.0.2.3,ip,99\n198.51.100.7,ip,50\n")
    assert counts(delivered(client, taking)) == (2, 0, 0)
    assert counts(delivered(client, leaving)) == (7, 0, 0)
    assert rows(connection) == {1, 2, 99, 4, 5, 6, 50}
    client.undo_run(second)
    told = client.publication(taking)
    assert (told.waiting, told.leaving) == (1, 1)
    assert counts(delivered(client, taking)) == (1, 1, 0)
    assert rows(connection) == {1, 2, 3, 4, 5, 6}
    # A publication that leaves what is gone does as before.
    assert counts(delivered(client, leaving)) == (0, 0, 0)
    assert len(connection.execute("SELECT 1 FROM rows_kept").fetchall()) == 7
    assert counts(delivered(client, taking)) == (0, 0, 0)
    assert counts(delivered(client, taking, anew=True)) == (6, 0, 0)


def test_what_a_narrower_filter_no_longer_means_goes_and_comes_back_with_a_wider_one(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    paste(client, FEED)
    id = publish(client, "postgres", config)
    delivered(client, id)
    body = {"name": "x", "connector": "postgres", "config": config, "target": "indicator", "gone": "withdraw"}
    client.change_publication(id, **body, where=["confidence=4..9"])
    assert counts(delivered(client, id)) == (0, 3, 0)
    assert rows(connection) == {4, 5, 6}
    client.change_publication(id, **body)
    assert counts(delivered(client, id)) == (3, 0, 0)
    assert rows(connection) == {1, 2, 3, 4, 5, 6}


def test_a_publication_that_begins_to_withdraw_knows_what_is_there_after_its_next_delivery(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    run = paste(client, FEED)
    id = publish(client, "postgres", config, gone="leave")
    delivered(client, id)
    body = {"name": "x", "connector": "postgres", "config": config, "target": "indicator", "gone": "withdraw"}
    client.change_publication(id, **body)
    assert counts(delivered(client, id)) == (6, 0, 0)
    client.undo_run(run)
    assert counts(delivered(client, id)) == (0, 6, 0)
    assert rows(connection) == set()


def test_what_the_source_no_longer_has_goes_and_comes_back_with_it(
    client: Client, place: Path, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    made = [
        {
            "type": "malware", "spec_version": "2.1", "id": f"malware--{uuid4()}", "is_family": False, "name": f"M{n}",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        }
        for n in range(3)
    ]  # fmt: skip
    (place / "box").mkdir(exist_ok=True)
    bundle(place / "box" / "feed.json", *made)
    pipeline = watching(client, place / "box")
    client.change_source(client.pipeline(pipeline).pipeline.source, options={"complete": True})
    loaded(client, pipeline)
    id = publish(client, "postgres", config, target="malware")
    assert counts(delivered(client, id)) == (3, 0, 0)
    for held, expected in ((made[:2], (0, 1, 0)), (made, (1, 0, 0))):
        bundle(place / "box" / "feed.json", *held)
        loaded(client, pipeline)
        assert counts(delivered(client, id)) == expected
        assert rows(connection, "name") == {each["name"] for each in held}


def test_a_delivery_cut_short_while_it_takes_back_goes_on_there_and_its_books_balance(
    client: Client,
    desk: Desk,
    sink: tuple[dict[str, Any], psycopg.Connection[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, connection = sink
    run = paste(client, FEED)
    id = publish(client, "postgres", config)
    delivered(client, id)
    client.undo_run(run)
    monkeypatch.setattr(publishing, "PAGE", 4)
    took_back, parts = publications.took_back, []

    def dies(*told: Any) -> None:
        # The other side has taken it back, and we are gone before we could write that down.
        parts.append(told)
        if len(parts) == 2:
            raise KeyboardInterrupt
        took_back(*told)

    monkeypatch.setattr(publications, "took_back", dies)
    place = publishing.place_of(publishing.publication(desk, id))
    number = publications.begin(desk.store, id, 1, place, "ana", desk.now())
    with pytest.raises(KeyboardInterrupt):
        publishing.deliver(desk, id, number, publishing.Progress())
    assert rows(connection) == set()
    assert client.delivery(id, number).withdrawn == 4
    publishing.resume(desk)
    ended = client.delivery(id, number, wait=60)
    assert (ended.state, counts(ended)) == ("finished", (0, 6, 0))
    assert client.publication(id).leaving == 0


# ── TAXII ────────────────────────────────────────────────────────────────────────────────────────────


def held(config: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The versions of each object in the collection."""
    source = Source(id="t", name="t", connector="taxii", config=config)
    found: dict[str, list[dict[str, Any]]] = {}
    for page in payloads_of(source, None, HERE):
        for each in json.loads(page.stream.read()).get("objects", []):
            found.setdefault(each["id"], []).append(each)
    return found


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_in_a_collection_ours_is_revoked_for_good_and_what_others_made_is_removed(
    client: Client, taxii_server: Taxii, place: Path
) -> None:
    config = {"url": taxii_server.inbox, "username": ACCOUNT, "password": PASSWORD, "collections": ["Inbox"]}
    theirs = {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid4()}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "valid_from": "2026-01-01T00:00:00Z", "pattern_type": "stix",
        "pattern": "[domain-name:value = 'theirs.example']",
    }  # fmt: skip
    value = f"{uuid4()}.example"
    text = f"indicator,type\n{value},domain\n"
    bundle(place / "theirs.json", theirs)
    runs = [paste(client, text), client.ingest(place / "theirs.json", wait=60).run]
    id = publish(client, "taxii", config)
    assert counts(delivered(client, id)) == (2, 0, 0)
    [ours] = [name for name, found in held(config).items() if value in found[0].get("pattern", "")]
    for run in runs:
        client.undo_run(run)
    assert counts(delivered(client, id)) == (0, 2, 0)
    there = held(config)
    assert theirs["id"] not in there
    last = max(there[ours], key=lambda each: each["modified"])
    assert (last["revoked"], len(there[ours])) == (True, 2)
    assert validate_string(json.dumps(last), ValidationOptions(version="2.1")).is_valid
    assert counts(delivered(client, id)) == (0, 0, 0)
    # What was revoked can't come back under its id, what was only removed can.
    paste(client, text)
    client.ingest(place / "theirs.json", wait=60)
    again = delivered(client, id)
    assert (counts(again), ["revoked" in one.why for one in again.refusals]) == ((1, 0, 1), [True])
    assert held(config)[theirs["id"]] == [theirs]
    assert counts(delivered(client, id)) == (0, 0, 0)


# ── MISP ─────────────────────────────────────────────────────────────────────────────────────────────


def test_at_a_misp_instance_ours_is_deleted_softly_and_what_came_from_misp_is_its_makers(
    client: Client, place: Path
) -> None:
    attribute = {
        "uuid": str(uuid4()),
        "type": "domain",
        "category": "Network activity",
        "value": "theirs.example",
    }
    event = {"uuid": str(uuid4()), "info": "Theirs", "Attribute": [{**attribute, "to_ids": True}]}
    (place / "event.json").write_text(json.dumps({"Event": event}))
    runs = [paste(client, FEED), client.ingest(place / "event.json", wait=60).run]
    with closing(Instance()) as instance:
        id = publish(client, "misp", {"url": instance.url, "key": KEY})
        assert counts(delivered(client, id)) == (7, 0, 0)

        def deleted() -> dict[str, bool]:
            return {
                a["value"]: bool(a.get("deleted")) for e in instance.events.values() for a in e["Attribute"]
            }

        assert set(deleted().values()) == {False}
        for run in runs:
            client.undo_run(run)
        assert counts(delivered(client, id)) == (0, 6, 0)
        assert deleted() == {**{f"192.0.2.{n}": True for n in range(1, 7)}, "theirs.example": False}
        paste(client, FEED)
        assert counts(delivered(client, id)) == (6, 0, 0)
        assert set(deleted().values()) == {False}
        # What somebody there has deleted stays deleted.
        [ours] = [e for e in instance.events.values() if e["uuid"] != event["uuid"]]
        ours["Attribute"][0]["deleted"] = True
        delivered(client, id, anew=True)
        assert sum(deleted().values()) == 1


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_what_its_maker_revoked_goes_revoked_without_being_asked(
    client: Client, taxii_server: Taxii, place: Path
) -> None:
    first = {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid4()}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "valid_from": "2026-01-01T00:00:00Z", "pattern_type": "stix",
        "pattern": "[domain-name:value = 'revoked.example']",
    }  # fmt: skip
    second = {**first, "modified": "2026-02-01T00:00:00.000Z", "revoked": True}
    config = {"url": taxii_server.inbox, "username": ACCOUNT, "password": PASSWORD, "collections": ["Inbox"]}
    with closing(Instance()) as instance:
        ids = [
            publish(client, "taxii", config, gone="leave"),
            publish(client, "misp", {"url": instance.url, "key": KEY}, gone="leave"),
        ]
        for version in (first, second):
            bundle(place / "feed.json", version)
            client.ingest(place / "feed.json", wait=60)
            assert [counts(delivered(client, id)) for id in ids] == [(1, 0, 0)] * 2
        assert held(config)[first["id"]] == [first, second]
        [event] = instance.events.values()
        assert [(a["value"], a["deleted"]) for a in event["Attribute"]] == [("revoked.example", True)]
