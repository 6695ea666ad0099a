"""PostgreSQL tables come whole, exact and once, from a real server."""

from __future__ import annotations

import csv
import io
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme

from connectors import check, payloads_of, postgres
from connectors.database import Broke, NotReadable, Turned, Unreachable
from engine.model import Source
from engine.ports import Cursor
from tests.servers import postgres as server
from tests.servers.process import stop

HERE = ("127.0.0.1",)


@pytest.fixture(scope="module")
def base(postgres_url: str) -> dict[str, Any]:
    """The configuration of the test server."""
    parts = urlsplit(postgres_url)
    return {
        "host": parts.hostname, "port": parts.port, "database": parts.path[1:], "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS feeds CASCADE; CREATE SCHEMA feeds")
        yield connection
        connection.execute("DROP SCHEMA feeds CASCADE")


def source(base: dict[str, Any], **config: Any) -> Source:
    return Source(id="p", name="p", connector="postgres", config={**base, **config})


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[dict[str, str]], Cursor | None]]:
    """Each payload's rows and the cursor after it."""
    return [
        (list(csv.DictReader(io.StringIO(payload.stream.read().decode()))), payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def rows(from_: Source, since: Cursor | None = None) -> list[dict[str, str]]:
    return [row for found, _ in taken(from_, since) for row in found]


def test_values_come_exactly_as_the_server_writes_them(
    base: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute(
        """CREATE TYPE feeds.mood AS ENUM ('calm', 'grim');
        CREATE TABLE feeds.exact (n numeric, f float8, j jsonb, u uuid, a text[], e feeds.mood, ts timestamptz,
            iv interval, by bytea, ip inet, r int4range, t text, "Odd ""name"" ü" int, m text[][]);
        INSERT INTO feeds.exact VALUES (12345678901234567890.12345678901234567890, 0.1, '{"a": [1, null]}',
            '6ba7b810-9dad-11d1-80b4-00c04fd430c8', ARRAY['a,b', 'c"d', NULL], 'grim', '2026-01-02 03:04:05.678901+02',
            '1 day 2 hours', '\\x00ff', '2001:db8::1/64', '[1,5)', E'two\\nlines, "quoted" \\u00fc', 7, '{{a,b},{c,d}}')"""
    )
    [row] = rows(source(base, table="feeds.exact"))
    assert row == {
        "n": "12345678901234567890.12345678901234567890", "f": "0.1", "j": '{"a": [1, null]}',
        "u": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a": '["a,b","c\\"d",null]', "e": "grim",
        "ts": "2026-01-02 01:04:05.678901+00", "iv": "P1DT2H", "by": "\\x00ff", "ip": "2001:db8::1/64",
        "r": "[1,5)", "t": 'two\nlines, "quoted" ü', 'Odd "name" ü': "7", "m": '[["a","b"],["c","d"]]',
    }  # fmt: skip


def test_a_single_column_of_nothing_is_still_a_row(
    base: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE feeds.one (v text); INSERT INTO feeds.one VALUES (NULL), ('a'), ('')")
    [data] = [p.stream.read() for p in payloads_of(source(base, table="feeds.one"), None, HERE)]
    assert data == b'v\n""\na\n""\n'


def test_partitions_views_and_queries_are_read_like_tables(
    base: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute(
        """CREATE TABLE feeds.parts (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE feeds.parts_1 PARTITION OF feeds.parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE feeds.parts_2 PARTITION OF feeds.parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO feeds.parts VALUES (1, '2026-01-05'), (2, '2026-02-05');
        CREATE VIEW feeds.seen AS SELECT id FROM feeds.parts WHERE id > 1"""
    )
    assert {row["id"] for row in rows(source(base, table="feeds.parts"))} == {"1", "2"}
    assert rows(source(base, table="feeds.seen")) == [{"id": "2"}]
    query = "SELECT id, '100%' AS share FROM feeds.parts WHERE at < '2026-02-01';"
    assert rows(source(base, query=query)) == [{"id": "1", "share": "100%"}]
    assert rows(source(base, table="feeds.parts", columns=["at"], cursor="id"))[0] == {
        "at": "2026-01-05",
        "id": "1",
    }


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE feeds.parts",
        "SELECT 1; DROP TABLE x",
        "not a query at all (",
        "SELECT 1) TO STDOUT; COMMIT --",
    ],
)
def test_what_is_no_single_select_is_refused(base: dict[str, Any], query: str) -> None:
    with pytest.raises(NotReadable):
        rows(source(base, query=query))


@pytest.fixture
def growing(database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection[Any]:
    """A table in which seven rows share each time, read ten rows at a time; three rows have none."""
    monkeypatch.setattr("connectors.database.ROWS", 10)
    database.execute(
        """DROP TABLE IF EXISTS feeds.growing;
        CREATE TABLE feeds.growing (id int PRIMARY KEY, at timestamptz);
        INSERT INTO feeds.growing SELECT i, timestamptz '2026-01-01 00:00Z' + (i / 7) * interval '1 hour'
            FROM generate_series(0, 99) i;
        INSERT INTO feeds.growing SELECT i, NULL FROM generate_series(1000, 1002) i"""
    )
    return database


def test_from_every_cursor_nothing_is_missed_though_times_are_shared(
    base: dict[str, Any], growing: psycopg.Connection[Any]
) -> None:
    by_time = source(base, table="feeds.growing", cursor="at", overlap=0)
    pages = taken(by_time)
    everything = [row["id"] for found, _ in pages for row in found]
    assert len(everything) == len(set(everything)) == 103
    assert len(pages) > 5
    for number, (_, cursor) in enumerate(pages):
        before = {row["id"] for found, _ in pages[: number + 1] for row in found}
        assert before | {row["id"] for row in rows(by_time, cursor)} == set(everything)


def test_only_what_is_new_or_late_comes_again(base: dict[str, Any], growing: psycopg.Connection[Any]) -> None:
    by_time = source(base, table="feeds.growing", cursor="at", overlap=3600)
    cursor = taken(by_time)[-1][1]
    growing.execute(
        """INSERT INTO feeds.growing VALUES (200, '2026-01-01 13:30Z'), (201, '2026-02-01 00:00Z'),
        (202, '2026-01-01 01:00Z')"""
    )
    again = {row["id"] for row in rows(by_time, cursor)}
    assert {"200", "201", "1000"} <= again
    assert "202" not in again
    assert len(again) < 25


def test_numbers_and_dates_work_as_cursors(base: dict[str, Any], growing: psycopg.Connection[Any]) -> None:
    by_id = source(base, table="feeds.growing", cursor="id", overlap=5)
    cursor = taken(by_id)[-1][1]
    assert {row["id"] for row in rows(by_id, cursor)} == {"1000", "1001", "1002"}
    growing.execute(
        "CREATE TABLE feeds.days AS SELECT i AS id, date '2026-01-01' + i AS day FROM generate_series(0, 9) i"
    )
    by_day = source(base, table="feeds.days", cursor="day", overlap=3600)
    found = rows(by_day, taken(by_day)[-1][1])
    assert {row["id"] for row in found} == {"8", "9"}


def test_a_check_goes_from_the_name_to_the_first_row(
    base: dict[str, Any], growing: psycopg.Connection[Any]
) -> None:
    stages = list(check(source(base, table="feeds.growing", cursor="at"), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("sign-in", True), ("permission", True), ("cursor", True), ("first row", True)
    ]  # fmt: skip
    assert "no index" in stages[3].detail
    for wrong, name in (
        ({"password": "wrong-one"}, "sign-in"), ({"database": "nowhere"}, "sign-in"), ({"table": "feeds.no"}, "permission"),
        ({"cursor": "no"}, "cursor"), ({"tls": "verify-full"}, "sign-in"),
    ):  # fmt: skip
        last = list(check(source(base, **{"table": "feeds.growing", "cursor": "at", **wrong}), HERE))[-1]
        assert (last.name, last.ok) == (name, False)
        assert last.action
        assert "wrong-one" not in str(last)


def test_a_connection_that_is_ended_moves_no_cursor(
    base: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "CREATE TABLE feeds.big AS SELECT i AS id, repeat('x', 500) AS t FROM generate_series(1, 200000) i"
    )
    payloads = payloads_of(source(base, table="feeds.big"), None, HERE)
    stream = next(payloads).stream
    stream.read(1000)
    ended = threading.Thread(
        target=database.execute,
        args=(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'phantom-spire'",
        ),
    )
    ended.start()
    ended.join()
    with pytest.raises(Broke):
        stream.read()


def test_several_connections_see_the_database_as_it_was_when_the_first_looked(
    base: dict[str, Any], database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        "CREATE TABLE feeds.moved AS SELECT i AS id, 'before' AS word FROM generate_series(1, 40) i;"
        "ALTER TABLE feeds.moved ADD PRIMARY KEY (id)"
    )
    monkeypatch.setattr("connectors.database.RANGE", 5)
    monkeypatch.setattr("connectors.database.RANGES", 2)
    seen = postgres._snapshot

    def then_changed(connection: Any) -> str:
        name = seen(connection)
        database.execute("UPDATE feeds.moved SET word = 'after', id = id + 100 WHERE id % 2 = 0")
        return name

    monkeypatch.setattr(postgres, "_snapshot", then_changed)
    found = rows(source(base, table="feeds.moved", connections=3))
    assert [(row["id"], row["word"]) for row in found] == [(str(n), "before") for n in range(1, 41)]


def test_a_reader_whose_connection_is_ended_moves_no_cursor(
    base: dict[str, Any], database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.abreast.WAITING", 1 << 20)
    database.execute(
        "CREATE TABLE feeds.broad AS SELECT i AS id, repeat('x', 500) AS t FROM generate_series(1, 150000) i;"
        "ALTER TABLE feeds.broad ADD PRIMARY KEY (id)"
    )
    payloads = payloads_of(source(base, table="feeds.broad", connections=2), None, HERE)
    stream = next(payloads).stream
    stream.read(1000)
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'phantom-spire'"
    )
    with pytest.raises((Broke, Unreachable)):
        stream.read()
    payloads.close()  # type: ignore[attr-defined]


def test_tls_proves_who_the_server_is(tmp_path: Path, base: dict[str, Any]) -> None:
    ca, other = (trustme.CA() for _ in range(2))
    issued = ca.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # the server runs as another account
        running = server.start(Path(place), tls=(certificate, key))
        try:
            parts = urlsplit(running.url)
            over_tls = {**base, "port": parts.port, "password": parts.password, "query": "SELECT 1 AS one"}
            proven = source(over_tls, tls="verify-full", authority=ca.cert_pem.bytes().decode())
            assert rows(proven) == [{"one": "1"}]
            assert "over TLS" in list(check(proven, HERE))[1].detail
            with pytest.raises(Turned):
                rows(source(over_tls, tls="verify-full", authority=other.cert_pem.bytes().decode()))
            with pytest.raises(Turned):
                rows(source(over_tls, tls="disable"))
        finally:
            stop(running)
