"""Records go to a real database and stand there once, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from app.client import Client
from app.tenant import publishing
from app.tenant.desk import Desk
from app.tenant.schemas.publications import DeliveryDetail, PublicationView
from engine.errors import SpireError
from storage import publications
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii

FEED = "indicator,type,confidence\n" + "".join(f"192.0.2.{n},ip,{n}\n" for n in range(1, 13))
MORE = "indicator,type,confidence\n192.0.2.3,ip,99\n198.51.100.7,ip,50\n"


@pytest.fixture
def sink(desk: Desk, postgres_url: str) -> Iterator[tuple[dict[str, Any], psycopg.Connection[Any]]]:
    """The configuration of an empty schema, and a connection to look at it."""
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    parts = urlsplit(postgres_url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "disable", "table": "sink.indicators",
    }  # fmt: skip
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS sink CASCADE; CREATE SCHEMA sink")
        yield config, connection
        connection.execute("DROP SCHEMA sink CASCADE")


def loaded(client: Client, text: str, name: str = "feed.csv") -> None:
    payload = client.paste(text, name)
    client.ingest_payload(payload.payload, target="indicator", source="feed", wait=60)


def made(client: Client, config: dict[str, Any], **more: Any) -> PublicationView:
    return client.create_publication(
        name="Partner", connector="postgres", config=config, target="indicator", **more
    )


def delivered(client: Client, id: str, **how: Any) -> DeliveryDetail:
    found = client.delivery(id, client.deliver(id, **how).delivery, wait=60)
    assert found.taken == found.sent + found.refused
    return found


def there(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Value and confidence; one that stood there twice fails here."""
    found = connection.execute("SELECT value, confidence FROM sink.indicators").fetchall()
    assert len(found) == len(dict(found))
    return dict(found)


def test_only_what_is_new_goes_and_what_changed_replaces_what_was_there(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    loaded(client, FEED)
    kept = made(client, config)
    assert kept.waiting == 12
    first = delivered(client, kept.publication.id)
    assert (first.state, first.taken, first.sent, first.refused) == ("finished", 12, 12, 0)
    assert there(connection) == {f"192.0.2.{n}": n for n in range(1, 13)}

    loaded(client, MORE, "more.csv")
    assert client.publication(kept.publication.id).waiting == 2
    assert delivered(client, kept.publication.id).sent == 2
    assert there(connection) == {
        **{f"192.0.2.{n}": n for n in range(1, 13)},
        "192.0.2.3": 99,
        "198.51.100.7": 50,
    }
    assert delivered(client, kept.publication.id).taken == 0
    # Everything again changes nothing there.
    assert delivered(client, kept.publication.id, anew=True).sent == 13
    assert len(there(connection)) == 13


def test_a_record_the_database_refuses_is_named_and_the_books_balance(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    loaded(client, FEED)
    kept = made(client, config)
    delivered(client, kept.publication.id)
    connection.execute(
        "TRUNCATE sink.indicators; ALTER TABLE sink.indicators ADD CHECK (confidence <> 7 AND confidence <> 9)"
    )
    again = delivered(client, kept.publication.id, anew=True)
    assert (again.state, again.taken, again.sent, again.refused) == ("finished", 12, 10, 2)
    ids = {row["id"] for row in client.records("indicator").rows if row["confidence"] in (7, 9)}
    assert {one.id for one in again.refusals} == ids
    assert {one.why for one in again.refusals} == {"The database refuses it: check violation."}
    assert set(there(connection)) == {f"192.0.2.{n}" for n in range(1, 13) if n not in (7, 9)}


def test_a_filter_says_which_records_go(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    loaded(client, FEED)
    kept = made(client, config, where=["confidence=5..8"])
    assert delivered(client, kept.publication.id).taken == 3
    assert set(there(connection).values()) == {5, 6, 7}
    with pytest.raises(SpireError, match="no field nonsense"):
        made(client, config, where=["nonsense=1"])


def test_a_delivery_cut_short_between_pages_goes_on_there_and_doubles_nothing(
    client: Client,
    desk: Desk,
    sink: tuple[dict[str, Any], psycopg.Connection[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, connection = sink
    loaded(client, FEED)
    kept = made(client, config)
    monkeypatch.setattr(publishing, "PAGE", 5)
    took, pages = publications.took, []

    def dies(*told: Any) -> None:
        # The other side has the page, and we are gone before we could write that down.
        pages.append(told)
        if len(pages) == 2:
            raise KeyboardInterrupt
        took(*told)

    monkeypatch.setattr(publications, "took", dies)
    id = kept.publication.id
    place = publishing.place_of(publishing.publication(desk, id))
    number = publications.begin(desk.store, id, 1, place, "ana", desk.now())
    with pytest.raises(KeyboardInterrupt):
        publishing.deliver(desk, id, number, publishing.Progress())
    assert len(there(connection)) == 10
    assert (client.delivery(id, number).state, client.delivery(id, number).taken) == ("running", 5)
    with pytest.raises(SpireError, match="delivered already"):
        client.deliver(id)

    publishing.resume(desk)
    ended = client.delivery(id, number, wait=60)
    assert (ended.state, ended.taken, ended.sent) == ("finished", 12, 12)
    assert there(connection) == {f"192.0.2.{n}": n for n in range(1, 13)}


def test_what_goes_wrong_says_what_to_do_and_the_next_delivery_goes_on(
    client: Client, sink: tuple[dict[str, Any], psycopg.Connection[Any]]
) -> None:
    config, connection = sink
    loaded(client, FEED)
    kept = made(client, {**config, "password": "wrong-one"})
    id = kept.publication.id
    failed = delivered(client, id)
    assert (failed.state, failed.taken) == ("failed", 0)
    assert failed.error is not None
    assert failed.error["action"]
    assert "wrong-one" not in failed.model_dump_json() + client.publication(id).model_dump_json()
    body = {"name": "Partner", "connector": "postgres", "target": "indicator"}
    client.change_publication(id, **body, config=config)
    assert delivered(client, id).sent == 12
    # A secret that comes back masked stays, and a new name is no new place.
    shown = client.publication(id).publication.config
    assert shown["password"] != config["password"]
    client.change_publication(id, **{**body, "name": "Partners"}, config=shown)
    assert delivered(client, id).taken == 0
    # Elsewhere it begins from the start.
    client.change_publication(id, **body, config={**shown, "table": "sink.others"})
    assert delivered(client, id).sent == 12
    assert connection.execute("SELECT count(*) FROM sink.others").fetchall() == [(12,)]


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_records_go_to_a_taxii_collection_as_stix_and_only_once(
    client: Client, desk: Desk, taxii_server: Taxii
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    loaded(client, FEED)
    config = {
        "url": taxii_server.inbox, "username": ACCOUNT, "password": PASSWORD, "collections": ["Inbox"],
    }  # fmt: skip
    kept = client.create_publication(name="Members", connector="taxii", config=config, target="indicator")
    first = delivered(client, kept.publication.id)
    assert first.error is None
    assert (first.state, first.sent, first.refused) == ("finished", 12, 0)
    assert delivered(client, kept.publication.id).taken == 0
    assert delivered(client, kept.publication.id, anew=True).sent == 12


def test_only_a_connector_that_writes_can_be_published_through(client: Client) -> None:
    with pytest.raises(SpireError, match="postgres"):
        client.create_publication(name="x", connector="rest", config={}, target="indicator")
