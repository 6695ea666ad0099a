"""A table of a real MariaDB, read by a time that rows share; one with a character no charset knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pymysql

from tests.connectors.harness import COUNT, LARGE, OWN, UNHEARD, Ground, Kind, Served

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE: dict[str, float] = {"connectors.mysql_server.SILENCE": 1, "connectors.mysql_server._CONNECT": 1}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    ground.monkeypatch.setattr("connectors.database.ROWS", 5)
    at = urlsplit(ground.fixture("mariadb_url"))
    count = 0 if kind == "empty" else COUNT
    more = "_latin1 x'e92c'" if kind == "broken" else "''"
    connection = pymysql.connect(
        host=at.hostname, port=at.port or 0, user=at.username, password=at.password or "", database=at.path[1:],
        autocommit=True, charset="utf8mb4",
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE OR REPLACE TABLE {OWN} (name text, at datetime, more text, odd text CHARACTER SET latin1)"
            " CHARACTER SET utf8mb4"
        )
        if count:
            cursor.execute(
                f"""INSERT INTO {OWN} SELECT concat('rec-', lpad(seq, 4, '0')),
                '2026-01-01' + INTERVAL (seq DIV 3) HOUR, '{UNHEARD}', {more} FROM seq_1_to_{count}"""
            )
    query = f"SELECT 'rec-0001' AS name, repeat('x', 1000) AS filler FROM seq_1_to_{LARGE // 1000}"
    yield Served(
        lambda port: {
            "host": "127.0.0.1", "port": port, "database": at.path[1:], "username": at.username,
            "password": at.password, "tls": "disable", "overlap": 0,
        } | ({"query": query} if kind == "large" else {"table": OWN, "cursor": "at"}),
        at.port or 0,
        secret=at.password or "",
        **({"records": frozenset()} if kind == "empty" else {}),
    )  # fmt: skip
