"""A collection of a real MongoDB, read by a time that documents share; one of another type than the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pymongo

from tests.connectors.harness import COUNT, LARGE, OWN, UNHEARD, Ground, Kind, Served, record

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE: dict[str, float] = {"connectors.mongo_server.SILENCE": 500, "connectors.mongo_server.SELECT": 800}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    ground.monkeypatch.setattr("connectors.database.ROWS", 5)
    url = ground.fixture("mongo_url")
    at, begin = urlsplit(url), datetime(2026, 1, 1, tzinfo=UTC)
    documents: list[dict[str, Any]] = [
        {"_id": record(n), "at": begin + timedelta(hours=n // 3), "more": {"deep": [UNHEARD]}}
        for n in range(1, COUNT + 1)
    ]
    if kind == "broken":
        documents[4]["at"] = {"no": "time"}
    if kind == "large":
        documents = [{"_id": n, "filler": "x" * 2000} for n in range(LARGE // 2000)]
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        client[OWN]["things"].drop()
        if kind != "empty":
            client[OWN]["things"].insert_many(documents)
    yield Served(
        lambda port: {
            "host": "127.0.0.1", "port": port, "database": OWN, "username": at.username,
            "password": at.password, "tls": "disable", "overlap": 0, "collection": "things",
        } | ({} if kind == "large" else {"cursor": "at"}),
        at.port or 0,
        secret=at.password or "",
        **({"records": frozenset()} if kind == "empty" else {}),
    )  # fmt: skip
