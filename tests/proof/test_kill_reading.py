"""kill -9 between the pages of a source loses nothing and doubles nothing: the run goes on from its last cursor."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymongo
import pytest

from app.client import Client
from tests.connectors.web import Web
from tests.proof.serving import Installation, installation, patiently, until

PAGES, SIZE = 12, 50
ROWS = 9_000


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    with installation(url_allow="127.0.0.1") as made:
        yield made


def mapped(client: Client, connector: str, config: dict[str, Any]) -> str:
    """A pipeline of a new source onto indicators."""
    source = client.create_source(connector=connector, config=config, name="Partner").source
    [suggested, *_] = client.suggest(source.id, "indicator").suggestions
    made = client.create_pipeline(name="Partner", source=source.id, mappings=[suggested.mapping])
    return made.pipeline.id


def ended(client: Client, run: int) -> tuple[str, int, int, int, int]:
    """State, rows read again, inserted, records there now, and how many different values they have."""
    done = patiently(lambda: client.wait_run(run, timeout=60), 90)
    assert done.ledger.balanced
    [[records, values]] = patiently(
        lambda: client.query("SELECT count(*), count(DISTINCT value) FROM indicator")
    ).rows
    return done.state, done.ledger.read - done.ledger.inserted, done.ledger.inserted, records, values


def test_a_round_of_pages_that_a_kill_cut_off_is_asked_for_again_and_is_there_once(
    place: Installation,
) -> None:
    asked: Counter[int] = Counter()
    # Before the third page is answered, and a moment after the sixth.
    before, after = {2}, {5}

    def page(query: dict[str, str]) -> bytes:
        number = int(query["start"]) // SIZE
        asked[number] += running
        if running and number in before:
            before.remove(number)
            place.kill_worker("pages")
        if running and number in after:
            after.remove(number)
            threading.Timer(0.05, place.kill_worker, ["pages"]).start()
        first = number * SIZE
        items = [
            {"ip": f"198.51.{n // 250}.{n % 250}", "seen": "2026-01-01"} for n in range(first, first + SIZE)
        ]
        return json.dumps({"items": items if number < PAGES else []}).encode()

    running = False
    with closing(Web()) as web:
        web.made["/items"] = page
        client = place.tenant("pages")
        config = {
            "url": f"http://127.0.0.1:{web.port}/items", "records": "items", "pages": "offset",
            "page_name": "start", "size_name": "n", "size": SIZE,
        }  # fmt: skip
        with client:
            pipeline = mapped(client, "rest", config)
            running = True
            run = client.start_run(pipeline).run
            state, again, *counts = ended(client, run)
            assert (state, counts) == ("finished", [PAGES * SIZE] * 3)
    assert not before | after
    # Numbered pages shift where something comes in between: only a whole round has missed nothing.
    assert again <= SIZE * sum(times - 1 for times in asked.values())
    assert set(asked) >= set(range(PAGES))
    assert max(asked.values()) <= 3


def postgres_table(url: str) -> tuple[str, dict[str, Any]]:
    parts = urlsplit(url)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(
            f"""DROP SCHEMA IF EXISTS killed CASCADE; CREATE SCHEMA killed;
            CREATE TABLE killed.blocklist (id int PRIMARY KEY, ip text, note text);
            INSERT INTO killed.blocklist SELECT i, '10.9.' || i / 250 || '.' || i % 250, repeat('x', 300)
                FROM generate_series(0, {ROWS - 1}) i"""
        )
    return "postgres", {
        "host": parts.hostname, "port": parts.port, "database": parts.path[1:], "username": parts.username,
        "password": parts.password, "tls": "disable", "table": "killed.blocklist",
    }  # fmt: skip


def mongo_collection(url: str) -> tuple[str, dict[str, Any]]:
    """One that several connections read."""
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        client.drop_database("killed")
        client["killed"]["blocklist"].insert_many(
            [{"_id": i, "ip": f"10.9.{i // 250}.{i % 250}", "note": "x" * 300} for i in range(ROWS)]
        )
    parts = urlsplit(url)
    return "mongo", {
        "host": parts.hostname, "port": parts.port, "tls": "disable", "database": "killed", "collection": "blocklist",
        "username": parts.username, "password": parts.password, "connections": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fixture", "made"), [("postgres_url", postgres_table), ("mongo_url", mongo_collection)]
)
def test_a_table_read_by_a_worker_that_is_killed_over_and_over_is_there_once(
    place: Installation,
    fixture: str,
    made: Callable[[str], tuple[str, dict[str, Any]]],
    request: pytest.FixtureRequest,
) -> None:
    connector, config = made(request.getfixturevalue(fixture))
    with place.tenant(connector) as client:
        run = client.start_run(mapped(client, connector, config)).run
        for rows in (1, 4_000):
            until(
                lambda least=rows: (  # type: ignore[misc]
                    (seen := patiently(lambda: client.run(run))).ledger.read >= least
                    or seen.state != "running"
                )
            )
            found = patiently(lambda: client.run(run))
            assert (found.state, found.error) == ("running", None)
            place.kill_worker(connector)
            time.sleep(0.05)
        state, again, *counts = ended(client, run)
        assert (state, counts) == ("finished", [ROWS] * 3)
        # What a payload ends with may be read once more: its key is where the next one begins.
        assert again <= 2
