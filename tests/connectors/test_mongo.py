"""MongoDB collections come whole, exact and once, from a real server."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from pydantic import ValidationError
from pymongo.database import Database

from connectors import check, mongo_server, payloads_of
from connectors.addresses import NotAllowed
from connectors.database import Turned, Unreachable
from connectors.mongo import Config
from connectors.registry import Reach
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor

HERE = ("127.0.0.1",)


@pytest.fixture(scope="module")
def base(mongo_url: str) -> dict[str, Any]:
    parts = urlsplit(mongo_url)
    return {
        "host": parts.hostname, "port": parts.port, "database": "feeds", "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip


@pytest.fixture(scope="module")
def database(mongo_url: str) -> Iterator[Database[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
        client.drop_database("feeds")
        yield client["feeds"]
        client.drop_database("feeds")


def source(base: dict[str, Any], **config: Any) -> Source:
    return Source(id="g", name="g", connector="mongo", config={**base, **config})


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[dict[str, Any]], Cursor | None]]:
    """Each payload's documents and the cursor after it."""
    return [
        ([json.loads(line) for line in payload.stream.read().splitlines()], payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def documents(from_: Source, since: Cursor | None = None) -> list[dict[str, Any]]:
    return [document for found, _ in taken(from_, since) for document in found]


def test_values_json_has_no_form_for_come_as_exact_text(
    base: dict[str, Any], database: Database[dict[str, Any]]
) -> None:
    id, token = ObjectId(), uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    database["exact"].insert_one(
        {
            "_id": id, "money": Decimal128("12345678901234567890.10"), "big": Int64(2**62), "at": datetime(2026, 1, 2, 3, 4, 5, 678000),
            "nan": math.nan, "raw": b"\x00\xff", "uuid": Binary.from_uuid(token), "like": Regex("^a", "i"),
            "seen": Timestamp(1767323045, 1), "low": MinKey(), "deep": {"list": [{"a": None}, "ü\n"], "at": datetime(1969, 7, 20, 20, 17)}, "yes": True, "far": DatetimeMS(10**15),
        }
    )  # fmt: skip
    [found] = documents(source(base, collection="exact"))
    assert found == {
        "_id": str(id), "money": "12345678901234567890.10", "big": 2**62, "at": "2026-01-02T03:04:05.678000Z", "nan": "nan",
        "raw": "AP8=", "uuid": str(token), "like": "/^a/", "seen": "2026-01-02T03:04:05Z", "low": "MinKey",
        "deep": {"list": [{"a": None}, "ü\n"], "at": "1969-07-20T20:17:00Z"}, "yes": True, "far": 10**15,
    }  # fmt: skip


def test_a_filter_and_fields_choose(base: dict[str, Any], database: Database[dict[str, Any]]) -> None:
    database["many"].insert_many({"_id": n, "kind": "ip" if n % 2 else "url", "v": n} for n in range(10))
    chosen = source(base, collection="many", filter='{"kind": "ip", "v": {"$gt": 3}}', fields=["v"])
    assert documents(chosen) == [{"_id": n, "v": n} for n in (5, 7, 9)]
    with pytest.raises(ValidationError):
        Config.model_validate({**base, "collection": "many", "filter": '{"$where": "sleep(1)"}'})


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def growing(
    database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> pymongo.collection.Collection[dict[str, Any]]:
    """A collection in which seven documents share each time, read ten at a time; some have none, one a text."""
    monkeypatch.setattr("connectors.database.ROWS", 10)
    database["growing"].drop()
    database["growing"].insert_many({"_id": n, "at": BEGIN + timedelta(hours=n // 7)} for n in range(100))
    database["growing"].insert_many([{"_id": 1000}, {"_id": 1001, "at": None}, {"_id": 1002, "at": "soon"}])
    return database["growing"]


def test_from_every_cursor_nothing_is_missed_though_times_are_shared(
    base: dict[str, Any], growing: Any
) -> None:
    by_time = source(base, collection="growing", cursor="at", overlap=0)
    pages = taken(by_time)
    everything = [document["_id"] for found, _ in pages for document in found]
    assert len(everything) == len(set(everything)) == 103
    assert len(pages) > 5
    for number, (_, cursor) in enumerate(pages):
        before = {document["_id"] for found, _ in pages[: number + 1] for document in found}
        assert before | {document["_id"] for document in documents(by_time, cursor)} == set(everything)


def test_only_what_is_new_or_late_comes_again(base: dict[str, Any], growing: Any) -> None:
    by_time = source(base, collection="growing", cursor="at", overlap=3600)
    cursor = taken(by_time)[-1][1]
    growing.insert_many(
        {"_id": id, "at": BEGIN + timedelta(hours=hours)} for id, hours in ((200, 13.5), (201, 216), (202, 0))
    )
    again = {document["_id"] for document in documents(by_time, cursor)}
    assert {200, 201, 1000, 1001, 1002} <= again
    assert 202 not in again
    assert len(again) < 25


def test_ids_and_numbers_work_as_cursors(base: dict[str, Any], database: Database[dict[str, Any]]) -> None:
    database["ids"].drop()
    database["ids"].insert_many({"n": n} for n in range(5))
    by_id = source(base, collection="ids", cursor="_id", overlap=0)
    cursor = taken(by_id)[-1][1]
    database["ids"].insert_one({"n": 9})
    assert 9 in {document["n"] for document in documents(by_id, cursor)}
    by_number = source(base, collection="ids", cursor="n", overlap=1)
    assert [d["n"] for d in documents(by_number, taken(by_number)[-1][1])] == [9]


def test_a_check_goes_from_the_name_to_the_first_document(
    base: dict[str, Any], growing: Any, free_port: int
) -> None:
    stages = list(check(source(base, collection="growing", cursor="at"), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("sign-in", True), ("permission", True), ("cursor", True), ("first document", True)
    ]  # fmt: skip
    assert "no index" in stages[3].detail
    last = list(check(source(base, collection="growing", password="wrong-one"), HERE))[-1]
    assert (last.name, last.ok) == ("sign-in", False)
    assert last.action
    assert "wrong-one" not in str(last)


def test_who_is_refused_nobody_there_and_private_addresses_are_told_apart(
    base: dict[str, Any], free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_server, "SELECT", 500)
    with pytest.raises(Turned):
        documents(source(base, collection="x", password="wrong"))
    with pytest.raises(Unreachable):
        documents(source(base, collection="x", port=free_port))
    with pytest.raises(NotAllowed):
        list(payloads_of(source(base, collection="x"), None, ()))


def test_without_a_check_of_the_certificate_the_address_that_was_checked_is_the_one_connected_to(
    base: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is known to our own look-up only: whoever looked it up again would reach nothing."""
    monkeypatch.setattr(mongo_server, "SELECT", 800)
    config = Config.model_validate({**base, "host": "mongo.invalid", "tls": "require", "collection": "any"})
    with (
        pytest.raises(SpireError) as refused,
        mongo_server.connected(config, Reach(("mongo.invalid",)), lambda name, port: ["127.0.0.1"]),
    ):
        pass
    assert not isinstance(refused.value, Unreachable), refused.value
