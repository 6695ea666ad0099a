"""A PostgreSQL table as a source: read into the store, and after that only what changed."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from app.client import Client
from app.tenant.desk import Desk
from engine.errors import SpireError


def test_a_table_is_read_whole_and_then_only_what_changed(
    client: Client, desk: Desk, postgres_url: str
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    parts = urlsplit(postgres_url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "disable", "table": "partner.blocklist", "cursor": "updated_at", "overlap": 0,
    }  # fmt: skip
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(
            """DROP SCHEMA IF EXISTS partner CASCADE; CREATE SCHEMA partner;
            CREATE TABLE partner.blocklist (indicator text, confidence int, updated_at timestamptz);
            INSERT INTO partner.blocklist SELECT '203.0.113.' || i, i, timestamptz '2026-01-01Z' + i * interval '1 day'
                FROM generate_series(1, 50) i"""
        )
        made = client.create_source(connector="postgres", config=config, name="Partner")
        assert str(parts.password) not in made.model_dump_json()
        [suggested, *_] = client.suggest(made.source.id, "indicator").suggestions
        saved = client.create_pipeline(name="Partner", source=made.source.id, mappings=[suggested.mapping])

        first = client.wait_run(client.start_run(saved.pipeline.id).run).ledger
        assert (first.read, first.inserted) == (50, 50)

        database.execute(
            """UPDATE partner.blocklist SET confidence = 99, updated_at = '2026-06-01Z' WHERE confidence = 7;
            INSERT INTO partner.blocklist VALUES ('198.51.100.1', 1, '2026-06-02Z')"""
        )
        again = client.wait_run(client.start_run(saved.pipeline.id).run).ledger
        assert (again.inserted, again.updated) == (1, 1)
        assert again.read <= 3
        assert client.records("indicator").total == 51
        database.execute("DROP SCHEMA partner CASCADE")


def test_tables_are_browsed_with_nothing_chosen_yet(client: Client, desk: Desk, postgres_url: str) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    parts = urlsplit(postgres_url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(
            'DROP SCHEMA IF EXISTS looked CASCADE; CREATE SCHEMA looked; CREATE TABLE looked."Odd name" (id int PRIMARY KEY)'
        )
        found = client.browse_connection("postgres", config)
        [place] = [place for place in found.places if place.name.startswith("looked.")]
        assert (place.name, [(c.name, c.key) for c in place.columns]) == ('looked."Odd name"', [("id", True)])
        assert (found.setting, found.choosing, found.whole) == ("table", "columns", True)
        database.execute("DROP SCHEMA looked CASCADE")
    with pytest.raises(SpireError) as refused:
        client.browse_connection("postgres", {**config, "password": "wrong-one"})
    assert "wrong-one" not in str(refused.value)
    with pytest.raises(SpireError):
        client.browse_connection("taxii", {})


def test_a_row_that_a_whole_read_no_longer_meets_is_said_to_be_gone_however_the_read_is_cut(
    client: Client, desk: Desk, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.database.ROWS", 10)
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    parts = urlsplit(postgres_url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "disable", "table": "whole.blocklist",
    }  # fmt: skip
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(
            """DROP SCHEMA IF EXISTS whole CASCADE; CREATE SCHEMA whole;
            CREATE TABLE whole.blocklist (id int PRIMARY KEY, indicator text);
            INSERT INTO whole.blocklist SELECT i, '203.0.113.' || i FROM generate_series(1, 35) i"""
        )
        made = client.create_source(connector="postgres", config=config, name="Whole")
        [suggested, *_] = client.suggest(made.source.id, "indicator").suggestions
        saved = client.create_pipeline(name="Whole", source=made.source.id, mappings=[suggested.mapping])
        first = client.wait_run(client.start_run(saved.pipeline.id).run)
        assert (first.ledger.read, first.ledger.inserted) == (35, 35)

        # One is gone, and every row behind it moves to another place in the read.
        database.execute("DELETE FROM whole.blocklist WHERE id = 7")
        again = client.wait_run(client.start_run(saved.pipeline.id).run)
        assert (again.ledger.read, again.ledger.unchanged) == (34, 34)
        told = {
            c["kind"]: c["count"]
            for c in client.request("GET", f"/runs/{again.run}/changes").json()["changes"]
        }
        assert told["gone"] == 1
        assert client.records("indicator").total == 35
        database.execute("DROP SCHEMA whole CASCADE")
