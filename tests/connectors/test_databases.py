"""What PostgreSQL, MariaDB and MongoDB do alike: they are browsed, read by key, and filled by key."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pymongo
import pymysql
import pytest

from connectors import CONNECTORS, Reach, browse, payloads_of
from connectors.cursors import told
from connectors.database import NotReadable
from connectors.mongo_server import TooOld
from connectors.upsert import NotWritable
from engine.model import FieldType, Source, TargetField, TargetModel
from engine.ports import Cursor, Delivered, Gone, Outgoing

HERE = ("127.0.0.1",)
SPACE = "alike"


@dataclass(frozen=True)
class Base:
    """A database to try: its connector, how to reach it, and its own way to be asked and told."""

    kind: str
    config: dict[str, Any]
    place: str
    run: Callable[..., list[Any]]

    def at(self, name: str) -> dict[str, Any]:
        return {**self.config, self.place: self.named(name)}

    def named(self, name: str) -> str:
        return f"{SPACE}.{name}" if self.kind == "postgres" else name

    def source(self, name: str, **more: Any) -> Source:
        return Source(id="s", name="s", connector=self.kind, config={**self.at(name), **more})

    def put(self, name: str, outgoing: Outgoing) -> list[Delivered]:
        connector = CONNECTORS[self.kind]
        return list(connector.write(connector.config.model_validate(self.at(name)), outgoing, Reach(HERE)))


@pytest.fixture(scope="module", params=["postgres", "mysql", "mongo"])
def base(request: pytest.FixtureRequest) -> Iterator[Base]:
    url = request.getfixturevalue({"mysql": "mariadb_url"}.get(request.param, f"{request.param}_url"))
    parts = urlsplit(url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": parts.path[1:] or SPACE, "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip
    if request.param == "postgres":
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SPACE} CASCADE; CREATE SCHEMA {SPACE}")

            def sql(text: str) -> list[Any]:
                found = connection.execute(text)
                return found.fetchall() if found.description else []

            yield Base("postgres", config, "table", sql)
            connection.execute(f"DROP SCHEMA {SPACE} CASCADE")
    elif request.param == "mysql":
        maria = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=parts.username,
            password=parts.password or "",
            autocommit=True,
        )
        with maria, maria.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {SPACE}")
            cursor.execute(f"CREATE DATABASE {SPACE}")
            cursor.execute(f"USE {SPACE}")

            def maria_sql(text: str) -> list[Any]:
                cursor.execute(text)
                return list(cursor.fetchall())

            yield Base("mysql", {**config, "database": SPACE}, "table", maria_sql)
            cursor.execute(f"DROP DATABASE {SPACE}")
    else:
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            client.drop_database(SPACE)
            yield Base(
                "mongo", config, "collection", lambda name: list(client[SPACE][name].find({}, {"_id": 0}))
            )
            client.drop_database(SPACE)


def numbered(base: Base, name: str, rows: int) -> None:
    """A table of so many rows, whose key counts from 1."""
    if base.kind == "mongo":
        parts = {key: base.config[key] for key in ("host", "port", "username", "password")}
        with pymongo.MongoClient[dict[str, Any]](**parts) as client:
            client[SPACE][name].insert_many([{"_id": n, "word": f"w{n}"} for n in range(1, rows + 1)])
        return
    base.run(f"CREATE TABLE {SPACE}.{name} (id int PRIMARY KEY, word varchar(20))")
    if rows:
        values = ", ".join(f"({n}, 'w{n}')" for n in range(1, rows + 1))
        base.run(f"INSERT INTO {SPACE}.{name} VALUES {values}")


# ── browsing ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_there_is_listed_with_its_columns_and_about_how_many_rows(base: Base) -> None:
    numbered(base, "listed", 30)
    if base.kind == "postgres":
        base.run(f"ANALYZE {SPACE}.listed")
    given = {key: value for key, value in base.config.items() if key != base.place}
    [place] = [
        p
        for p in browse(Source(id="s", name="s", connector=base.kind, config=given), HERE)
        if p.name == base.named("listed")
    ]
    assert [(c.name, c.key) for c in place.columns] == [
        ("_id" if base.kind == "mongo" else "id", True),
        ("word", False),
    ]
    assert place.rows == pytest.approx(30, abs=5)
    # The name is taken as it is listed.
    assert (
        len(
            list(
                payloads_of(
                    Source(id="s", name="s", connector=base.kind, config={**given, base.place: place.name}),
                    None,
                    HERE,
                )
            )
        )
        == 1
    )


# ── by key ───────────────────────────────────────────────────────────────────────────────────────────


def pages(from_: Source, since: Cursor | None = None) -> list[tuple[set[str], Cursor | None]]:
    """The words of each payload, and the cursor after it."""
    return [
        (set(re.findall(r"\bw\d+\b", payload.stream.read().decode())), payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def test_a_large_table_without_a_cursor_column_goes_on_from_every_cursor(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.database.ROWS", 10)
    numbered(base, "large", 35)
    every = {f"w{n}" for n in range(1, 36)}
    found = pages(base.source("large"))
    assert [len(words) for words, _ in found] == [10, 10, 10, 5]
    assert set().union(*(words for words, _ in found)) == every
    for number, (_, cursor) in enumerate(found[:-1]):
        before = set().union(*(words for words, _ in found[: number + 1]))
        assert before | set().union(*(words for words, _ in pages(base.source("large"), cursor))) == every
    # The last says that nothing is left, so what follows begins anew.
    assert found[-1][1] is not None
    assert found[-1][1]["complete"] is True
    assert set().union(*(words for words, _ in pages(base.source("large"), found[-1][1]))) == every


def test_a_small_table_is_one_payload_without_a_cursor(base: Base) -> None:
    numbered(base, "small", 3)
    assert pages(base.source("small")) == [({"w1", "w2", "w3"}, None)]


@pytest.fixture
def by_ranges(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What makes a source be read by three connections, five rows at a time."""
    monkeypatch.setattr("connectors.database.RANGE", 5)
    monkeypatch.setattr("connectors.database.RANGES", 2)
    return {"connections": 3}


def test_several_connections_read_a_large_table_once_and_from_every_cursor(
    base: Base, by_ranges: dict[str, Any]
) -> None:
    numbered(base, "wide", 37)
    from_, every = base.source("wide", **by_ranges), {f"w{n}" for n in range(1, 38)}
    found = pages(from_)
    assert [len(words) for words, _ in found] == [10, 10, 10, 7]
    assert set().union(*(words for words, _ in found)) == every
    for number, (_, cursor) in enumerate(found[:-1]):
        before = set().union(*(words for words, _ in found[: number + 1]))
        again = pages(from_, cursor)
        assert before | set().union(*(words for words, _ in again)) == every
        assert len(again) == len(found) - number - 1
    assert found[-1][1] is not None
    assert found[-1][1]["complete"] is True
    # A cursor is the same whoever reads: one connection goes on, with its last row, where several ended.
    rest = pages(base.source("wide"), found[1][1])
    assert set().union(*(words for words, _ in rest)) == {f"w{n}" for n in range(20, 38)}


def test_what_several_connections_read_is_what_one_reads(base: Base, by_ranges: dict[str, Any]) -> None:
    numbered(base, "whole", 23)

    def rows(**more: Any) -> list[bytes]:
        payloads = payloads_of(base.source("whole", **more), None, HERE)
        each = [payload.stream.read().splitlines() for payload in payloads]
        # Every payload is whole in itself, with a header where it has one.
        assert base.kind == "mongo" or {lines[0] for lines in each} == {b"id,word"}
        return sorted({line for lines in each for line in lines})

    assert rows(**by_ranges) == rows()


def test_a_small_table_is_read_by_one_connection(base: Base, by_ranges: dict[str, Any]) -> None:
    numbered(base, "little", 4)
    assert pages(base.source("little", **by_ranges)) == [({"w1", "w2", "w3", "w4"}, None)]


def test_a_read_that_nobody_goes_on_with_leaves_no_reader(base: Base, by_ranges: dict[str, Any]) -> None:
    numbered(base, "left", 60)
    before = set(threading.enumerate())
    payloads = payloads_of(base.source("left", **by_ranges), None, HERE)
    assert next(payloads).stream.read(5)
    payloads.close()  # type: ignore[attr-defined]
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith(("reader", "ranges"))]


# ── as a sink ────────────────────────────────────────────────────────────────────────────────────────

TARGET = TargetModel(
    name="sighting",
    key=("id",),
    fields=(
        TargetField(name="id", required=True), TargetField(name="score", type=FieldType.INTEGER),
        TargetField(name="weight", type=FieldType.DECIMAL), TargetField(name="at", type=FieldType.TIMESTAMP),
        TargetField(name="active", type=FieldType.BOOLEAN), TargetField(name="day", type=FieldType.DATE),
        TargetField(name="about", type=FieldType.JSON), TargetField(name="tags", type=FieldType.TEXTS),
    ),
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("score", pa.int64()), ("weight", pa.decimal128(38, 9)), ("at", pa.timestamp("us", tz="UTC")),
        ("active", pa.bool_()), ("day", pa.date32()), ("about", pa.string()), ("tags", pa.list_(pa.string())),
    ]
)  # fmt: skip


def outgoing(*rows: Mapping[str, Any], target: TargetModel = TARGET) -> Outgoing:
    empty = dict.fromkeys(SCHEMA.names)
    batch = pa.RecordBatch.from_pylist([{**empty, **row} for row in rows], schema=SCHEMA)
    return Outgoing(target, target.key, batches=lambda: iter([batch]))


ONE = {
    "id": "ä-1", "score": 1 << 40, "weight": Decimal("0.123456789"), "at": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
    "active": True, "day": datetime(2026, 1, 2, tzinfo=UTC).date(), "about": '{"a": [1, null]}', "tags": ["x", "y,z"],
}  # fmt: skip


def stands(base: Base, name: str) -> set[tuple[Any, ...]]:
    """Ids and scores in the table; one that stood there twice would fail here."""
    if base.kind == "mongo":
        found = [(row["id"], row["score"]) for row in base.run(name)]
    else:
        found = [tuple(row) for row in base.run(f"SELECT id, score FROM {SPACE}.{name}")]
    assert len(found) == len(set(found))
    return set(found)


def test_records_make_their_table_and_replace_what_they_meet(base: Base) -> None:
    assert base.put("made", outgoing(ONE, {"id": "b"})) == [Delivered(2)]
    assert base.put("made", outgoing({**ONE, "score": 7}, {"id": "c", "score": 3})) == [Delivered(2)]
    assert stands(base, "made") == {("b", None), ("c", 3), ("ä-1", 7)}
    if base.kind == "postgres":
        [row] = base.run(
            f"SELECT weight, at, active, day, about ->> 'a', tags FROM {SPACE}.made WHERE score = 7"
        )
        assert row == (ONE["weight"], ONE["at"], True, ONE["day"], "[1, null]", ["x", "y,z"])
    elif base.kind == "mysql":
        [row] = base.run(f"SELECT weight, at, active, day, about, tags FROM {SPACE}.made WHERE score = 7")
        assert row[:4] == (ONE["weight"], datetime(2026, 1, 2, 3, 4, 5, 678000), 1, ONE["day"])
        assert (row[4], row[5]) == ('{"a": [1, null]}', '["x","y,z"]')
    else:
        [document] = [row for row in base.run("made") if row["score"] == 7]
        assert document["weight"].to_decimal() == ONE["weight"]
        assert (document["about"], document["tags"], document["active"]) == (
            {"a": [1, None]},
            ["x", "y,z"],
            True,
        )


def test_what_is_delivered_twice_is_not_even_written_again(base: Base) -> None:
    written = []
    for _ in range(2):
        assert base.put("twice", outgoing(ONE, {"id": "b", "score": 2})) == [Delivered(2)]
        # Which transaction wrote each row, where the database tells.
        written.append(
            base.run(f"SELECT xmin::text FROM {SPACE}.twice ORDER BY id") if base.kind == "postgres" else []
        )
    assert stands(base, "twice") == {("ä-1", 1 << 40), ("b", 2)}
    assert written[0] == written[1]


def test_a_record_that_cannot_be_taken_is_named_and_harms_no_other(base: Base) -> None:
    if base.kind == "mongo":
        broken, good = {"id": "big", "about": '"' + "x" * (17 << 20) + '"'}, "good-{}"
    else:
        broken, good = {"id": "bro\0ken" if base.kind == "postgres" else "k" * 600, "score": 1}, "good-{}"
    rows = [{"id": good.format(n), "score": n} for n in range(40)]
    rows.insert(17, broken)
    rows.append({"id": None, "score": 9})
    [part] = base.put("harmed", outgoing(*rows))
    assert part.sent == 40
    assert {one.id for one in part.refused} == {broken["id"], ""}
    assert all(
        one.why.endswith(".") and str(broken.get("about", "\0"))[:3] not in one.why for one in part.refused
    )
    assert len(stands(base, "harmed")) == 40


def test_a_table_that_could_not_hold_records_apart_is_refused_before_anything_is_sent(base: Base) -> None:
    if base.kind == "mongo":
        base.put("loose", outgoing({"id": "a"}))
        parts = {key: base.config[key] for key in ("host", "port", "username", "password")}
        with pymongo.MongoClient[dict[str, Any]](**parts) as client:
            client[SPACE]["loose"].drop_indexes()
            client[SPACE]["loose"].insert_one({"id": "a"})
        with pytest.raises(NotWritable):
            base.put("loose", outgoing({"id": "b"}))
        return
    columns = ", ".join(f"{name} varchar(100)" for name in SCHEMA.names)
    base.run(f"CREATE TABLE {SPACE}.loose ({columns})")
    with pytest.raises(NotWritable, match="unique"):
        base.put("loose", outgoing({"id": "a"}))
    base.run(f"CREATE TABLE {SPACE}.narrow (id varchar(50) PRIMARY KEY)")
    with pytest.raises(NotWritable, match="no column score"):
        base.put("narrow", outgoing({"id": "a"}))
    assert base.run(f"SELECT count(*) FROM {SPACE}.narrow")[0][0] == 0


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def followed(mongo_replica_url: str) -> Iterator[tuple[Any, Source]]:
    """A collection of a replica set with two documents, and a source that follows it."""
    parts = urlsplit(mongo_replica_url)
    with pymongo.MongoClient[dict[str, Any]](mongo_replica_url, directConnection=True) as client:
        client.drop_database("followed")
        collection = client["followed"]["words"]
        collection.insert_many([{"_id": 1, "word": "one"}, {"_id": 2, "word": "two"}])
        config = {
            "host": parts.hostname, "port": parts.port, "database": "followed", "collection": "words", "changes": True,
            "username": parts.username, "password": parts.password, "tls": "disable",
        }  # fmt: skip
        yield collection, Source(id="s", name="s", connector="mongo", config=config)


def lines(from_: Source, since: Cursor | None) -> tuple[list[tuple[Any, Any, str]], Cursor | None]:
    """Id, word and operation of every line, and the last cursor."""
    found: list[tuple[Any, Any, str]] = []
    cursor = since
    for payload in payloads_of(from_, since, HERE):
        for line in payload.stream.read().splitlines():
            row = json.loads(line)
            found.append((row["_id"], row.get("word"), row["_operation"]))
        cursor = payload.cursor
    return found, cursor


def test_changes_are_followed_from_where_the_last_read_ended(followed: tuple[Any, Source]) -> None:
    collection, from_ = followed
    everything, cursor = lines(from_, None)
    assert sorted(everything) == [(1, "one", "read"), (2, "two", "read")]
    collection.update_one({"_id": 1}, {"$set": {"word": "uno"}})
    collection.delete_one({"_id": 2})
    collection.insert_one({"_id": 3, "word": "three"})
    changed, after = lines(from_, cursor)
    assert changed == [(1, "uno", "update"), (2, None, "delete"), (3, "three", "insert")]
    # A cursor is complete in itself: from the same one the same comes again, and from the last nothing.
    assert lines(from_, cursor)[0] == changed
    assert lines(from_, after)[0] == []


def test_a_collection_that_was_dropped_is_read_anew(followed: tuple[Any, Source]) -> None:
    collection, from_ = followed
    _, cursor = lines(from_, None)
    collection.drop()
    _, after = lines(from_, cursor)
    collection.insert_one({"_id": 9, "word": "new"})
    assert lines(from_, after)[0] == [(9, "new", "read")]


def test_changes_the_server_has_forgotten_say_what_to_do(followed: tuple[Any, Source]) -> None:
    collection, from_ = followed
    _, cursor = lines(from_, None)
    collection.insert_one({"_id": 3, "word": "forgotten"})

    def crowded_out() -> None:
        for n in range(120):  # many times what the server keeps, and it forgets within seconds
            collection.database["noise"].replace_one({"_id": 1}, {"word": "x" * (2 << 20)}, upsert=True)
            if n % 10 == 9:
                time.sleep(0.5)
                lines(from_, cursor)

    with pytest.raises(TooOld) as refused:
        crowded_out()
    assert "Rewind the pipeline's cursor" in refused.value.action


def test_a_server_that_tells_no_changes_says_so(mongo_url: str) -> None:
    parts = urlsplit(mongo_url)
    config = {
        "host": parts.hostname, "port": parts.port, "database": "alone", "collection": "c", "changes": True,
        "username": parts.username, "password": parts.password, "tls": "disable",
    }  # fmt: skip
    with pytest.raises(NotReadable, match="replica set"):
        lines(Source(id="s", name="s", connector="mongo", config=config), None)


# ── lateness ─────────────────────────────────────────────────────────────────────────────────────────


def stamped(base: Base, name: str, *rows: tuple[int, str]) -> None:
    """Rows with the time they say they were changed at, minutes and seconds after noon."""
    if base.kind == "mongo":
        parts = {key: base.config[key] for key in ("host", "port", "username", "password")}
        with pymongo.MongoClient[dict[str, Any]](**parts) as client:
            documents = [{"_id": n, "at": datetime.fromisoformat(f"2026-01-01T12:{at}")} for n, at in rows]
            client[SPACE][name].insert_many(documents)
        return
    base.run(f"CREATE TABLE IF NOT EXISTS {SPACE}.{name} (id int PRIMARY KEY, at timestamp)")
    base.run(
        f"INSERT INTO {SPACE}.{name} VALUES " + ", ".join(f"({n}, '2026-01-01 12:{at}')" for n, at in rows)
    )


def test_how_late_rows_come_is_measured_and_told(base: Base) -> None:
    followed = base.source("late", cursor="at", overlap=64)
    stamped(base, "late", (1, "00:00"), (2, "04:00"), (3, "05:00"))
    first = pages(followed)[-1][1]
    assert first is not None
    assert "no row was seen to come late" in told(followed, first)
    # Nothing new, nothing late: the cursor says the same again.
    assert pages(followed, first)[-1][1] == first
    # Stamped 20 seconds before what had been read already, and committed after it.
    stamped(base, "late", (4, "04:40"), (5, "06:00"))
    second = pages(followed, first)[-1][1]
    assert second is not None
    assert second["late"] == {"rows": 1, "by": 32.0}
    assert "1 row came late, by up to 32: the overlap covers that" in told(followed, second)
    stamped(base, "late", (6, "05:01"), (7, "05:58"))
    third = pages(followed, second)[-1][1]
    assert third is not None
    assert third["late"] == {"rows": 3, "by": 64.0}
    assert "raise the overlap" in told(followed, third)


def test_what_is_gone_is_deleted_by_its_whole_key_and_nothing_else_is(base: Base) -> None:
    target = TARGET.model_copy(update={"key": ("id", "score")})
    rows = [{"id": "a", "score": 1}, {"id": "a", "score": 2}, {"id": "b", "score": 1}]
    assert base.put("gone", outgoing(*rows, target=target)) == [Delivered(3)]
    gone = tuple(Gone(f"{id}, {score}", json.dumps([id, str(score)])) for id, score in (("a", 2), ("x", 9)))
    # What is not there any more is as good as deleted.
    assert base.put("gone", Outgoing(target, target.key, gone=gone)) == [Delivered(2)]
    assert stands(base, "gone") == {("a", 1), ("b", 1)}
