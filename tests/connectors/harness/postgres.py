"""A table of a real PostgreSQL, read by a time that rows share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg

from tests.connectors.harness import COUNT, LARGE, OWN, UNHEARD, Ground, Kind, Served

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "large"})
PATIENCE: dict[str, float] = {
    "connectors.postgres_server.SILENCE": 0.5,
    "connectors.postgres_server._CONNECT": 2,
    "connectors.postgres._SILENCE": 0.5,
}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    ground.monkeypatch.setattr("connectors.database.ROWS", 5)
    at = urlsplit(ground.fixture("postgres_url"))
    url = ground.fixture("postgres_url").replace("+psycopg", "")
    count = 0 if kind == "empty" else COUNT
    query = f"SELECT 'rec-0001' AS name, repeat('x', 1000) AS filler FROM generate_series(1, {LARGE // 1000})"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {OWN}")
        connection.execute(f"DROP TABLE IF EXISTS {OWN}.things")
        connection.execute(f"CREATE TABLE {OWN}.things (name text, at timestamptz, more text)")
        connection.execute(
            f"""INSERT INTO {OWN}.things SELECT 'rec-' || lpad(i::text, 4, '0'),
            timestamptz '2026-01-01 00:00Z' + (i / 3) * interval '1 hour', '{UNHEARD}' FROM generate_series(1, {count}) i"""
        )
    yield Served(
        lambda port: {
            "host": "127.0.0.1", "port": port, "database": at.path[1:], "username": at.username,
            "password": at.password, "tls": "disable", "overlap": 0,
        } | ({"query": query} if kind == "large" else {"table": f"{OWN}.things", "cursor": "at"}),
        at.port or 0,
        secret=at.password or "",
        **({"records": frozenset()} if kind == "empty" else {}),
    )  # fmt: skip
