"""MariaDB tables come whole, exact and once, from a real server."""

from __future__ import annotations

import csv
import io
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
import trustme
from pymysql.converters import encoders

from connectors import check, payloads_of
from connectors.database import Broke, NotReadable, Turned, Unreachable
from engine.model import Source
from engine.ports import Cursor
from tests.servers import mariadb
from tests.servers.process import stop

HERE = ("127.0.0.1",)
Base = dict[str, Any]


def base_of(url: str) -> Base:
    parts = urlsplit(url)
    return {
        "host": parts.hostname, "port": parts.port, "database": parts.path[1:], "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip


@pytest.fixture(scope="module")
def base(mariadb_url: str) -> Base:
    return base_of(mariadb_url)


@pytest.fixture(scope="module")
def run(base: Base) -> Iterator[Any]:
    """Runs statements on the server."""
    connection = pymysql.connect(
        host=base["host"], port=base["port"], user=base["username"], password=base["password"], database="feeds",
        autocommit=True, charset="utf8mb4",
    )  # fmt: skip

    def run(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    run("SET SESSION sql_mode = ''")
    yield run
    connection.close()


def source(base: Base, **config: Any) -> Source:
    return Source(id="y", name="y", connector="mysql", config={**base, **config})


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[dict[str, str]], Cursor | None]]:
    return [
        (list(csv.DictReader(io.StringIO(payload.stream.read().decode()))), payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def rows(from_: Source, since: Cursor | None = None) -> list[dict[str, str]]:
    return [row for found, _ in taken(from_, since) for row in found]


def test_values_come_exactly_as_the_server_writes_them(base: Base, run: Any) -> None:
    run(
        """CREATE OR REPLACE TABLE exact (n decimal(60,20), u bigint unsigned, t tinyint(1), b bit(9), e enum('calm','grim'),
            s set('x','y'), zero datetime, ts timestamp(6) NULL, j json, raw varbinary(9), txt text, y year, `odd "%` int)
            CHARACTER SET utf8mb4""",
        """INSERT INTO exact VALUES (1234567890123456789012345678901234567890.00000000000000000001, 18446744073709551615, 2,
            b'101010101', 'grim', 'x,y', '0000-00-00 00:00:00', '2026-01-02 03:04:05.678901', '{"a": [1, null]}',
            x'00ff', 'two\nlines, "quoted" ü 😀', 2026, 7)""",
    )
    [row] = rows(source(base, table="exact"))
    assert row == {
        "n": "1234567890123456789012345678901234567890.00000000000000000001", "u": "18446744073709551615", "t": "2",
        "b": "341", "e": "grim", "s": "x,y", "zero": "0000-00-00 00:00:00", "ts": row["ts"], "j": '{"a": [1, null]}',
        "raw": "\\x00ff", "txt": 'two\nlines, "quoted" ü 😀', "y": "2026", 'odd "%': "7",
    }  # fmt: skip
    assert row["ts"].endswith(":05.678901")


def test_a_broken_character_harms_no_other_row(base: Base, run: Any) -> None:
    run(
        "CREATE OR REPLACE TABLE broken (v varchar(20) CHARACTER SET latin1)",
        "INSERT INTO broken VALUES ('plain'), (_latin1 x'e9'), (NULL), ('')",
    )
    [data] = [p.stream.read() for p in payloads_of(source(base, table="broken"), None, HERE)]
    assert data == 'v\nplain\né\n""\n""\n'.encode()


def plainly(base: Base, query: str, binary: tuple[int, ...] = ()) -> list[list[str]]:
    """The rows of a query as the driver itself gives them, undecoded, nothing as an empty text."""
    connection = pymysql.connect(
        host=base["host"], port=base["port"], user=base["username"], password=base["password"], database="feeds",
        charset="utf8mb4", use_unicode=False, conv=dict[Any, Any](encoders),
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [
            [
                "" if value is None else f"\\x{value.hex()}" if number in binary else value.decode()
                for number, value in enumerate(row)
            ]
            for row in cursor
        ]


def test_rows_of_every_length_come_as_the_driver_itself_gives_them(base: Base, run: Any) -> None:
    run(
        "CREATE OR REPLACE TABLE lengths (id int PRIMARY KEY, t longtext, b longblob, u varchar(9)) CHARACTER SET utf8mb4",
        # Around the lengths at which the protocol writes the length itself differently, and beyond.
        """INSERT INTO lengths SELECT seq, repeat('é,"', CASE seq % 9 WHEN 0 THEN 50 WHEN 1 THEN 62 WHEN 2 THEN 63
            WHEN 3 THEN 16384 WHEN 4 THEN 0 ELSE seq END), unhex(repeat('00fe', CASE seq % 7 WHEN 0 THEN 125 WHEN 1 THEN 126
            WHEN 2 THEN 0 WHEN 3 THEN 33000 ELSE seq END)), CASE seq % 3 WHEN 0 THEN 'plain' WHEN 1 THEN '\\r\\n' END
            FROM seq_1_to_400""",
        "UPDATE lengths SET t = NULL WHERE id % 5 = 0",
        "UPDATE lengths SET b = NULL WHERE id % 4 = 0",
    )
    csv.field_size_limit(1 << 25)
    [data] = [p.stream.read().decode() for p in payloads_of(source(base, table="lengths"), None, HERE)]
    header, *found = csv.reader(io.StringIO(data, newline=""))
    assert header == ["id", "t", "b", "u"]
    assert sorted(found) == sorted(plainly(base, "SELECT * FROM lengths", binary=(2,)))


def test_a_row_too_long_for_one_packet_comes_whole(base: Base, run: Any) -> None:
    query = """SELECT 1 AS id, repeat('a,', 4500000) AS a, repeat('b', 9000000) AS b, NULL AS c
        UNION ALL SELECT 2, 'x', 'y', 'z' UNION ALL SELECT 3, repeat('",', 1000000), '', 'é' UNION ALL SELECT 4, '', NULL, ''"""
    csv.field_size_limit(1 << 25)
    assert [list(row.values()) for row in rows(source(base, query=query))] == plainly(base, query)


def test_rows_that_wait_to_be_read_are_waited_for(base: Base, run: Any) -> None:
    run(
        "CREATE OR REPLACE TABLE waiting (id int PRIMARY KEY, t varchar(500))",
        "INSERT INTO waiting SELECT seq, repeat('x', 500) FROM seq_1_to_50000",
        "SET GLOBAL net_write_timeout = 1",
    )
    try:
        payloads = payloads_of(source(base, table="waiting"), None, HERE)
        stream = next(payloads).stream
        begun = stream.read(1000)
        time.sleep(2.5)  # longer than this server waits for a reader by itself
        assert (begun + stream.read()).count(b"\n") == 50_001
    finally:
        run("SET GLOBAL net_write_timeout = 60")


def test_a_read_that_the_server_ends_moves_no_cursor(base: Base, run: Any) -> None:
    run(
        "CREATE OR REPLACE TABLE wide (id int PRIMARY KEY, t varchar(500))",
        "INSERT INTO wide SELECT seq, repeat('x', 500) FROM seq_1_to_100000",
    )
    for how in ("QUERY", "CONNECTION"):
        payloads = payloads_of(source(base, table="wide"), None, HERE)
        stream = next(payloads).stream
        stream.read(1000)
        connection = pymysql.connect(
            host=base["host"],
            port=base["port"],
            user=base["username"],
            password=base["password"],
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE info LIKE '%FROM `wide`%'")
            [[number]] = [row for row in cursor if row[0] != connection.thread_id()]
            cursor.execute(f"KILL {how} {number}")
        with pytest.raises(Broke):
            stream.read()


def test_views_and_queries_are_read_like_tables(base: Base, run: Any) -> None:
    run(
        "CREATE OR REPLACE TABLE seen (id int, at date)",
        "INSERT INTO seen VALUES (1, '2026-01-05'), (2, '2026-02-05')",
    )
    run("CREATE OR REPLACE VIEW late AS SELECT id FROM seen WHERE id > 1")
    assert rows(source(base, table="late")) == [{"id": "2"}]
    query = """SELECT id, '100%' AS share, "text" AS quoted FROM seen WHERE at < '2026-02-01';"""
    assert rows(source(base, query=query)) == [{"id": "1", "share": "100%", "quoted": "text"}]
    assert rows(source(base, table="feeds.seen", columns=["at"], cursor="id"))[0] == {
        "at": "2026-01-05",
        "id": "1",
    }


@pytest.mark.parametrize(
    "query", ["DROP TABLE seen", "SELECT 1; DROP TABLE seen", "SELECT 1 INTO OUTFILE '/tmp/x'", "("]
)
def test_what_is_no_single_select_is_refused(base: Base, query: str) -> None:
    with pytest.raises(NotReadable):
        rows(source(base, query=query))


@pytest.fixture
def growing(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table in which seven rows share each time, read ten rows at a time; three rows have none."""
    monkeypatch.setattr("connectors.database.ROWS", 10)
    run(
        "CREATE OR REPLACE TABLE growing (id int PRIMARY KEY, at datetime(3))",
        "INSERT INTO growing SELECT seq, '2026-01-01' + INTERVAL (seq DIV 7) HOUR FROM seq_0_to_99",
        "INSERT INTO growing VALUES (1000, NULL), (1001, NULL), (1002, NULL)",
    )
    return run


def test_from_every_cursor_nothing_is_missed_though_times_are_shared(base: Base, growing: Any) -> None:
    by_time = source(base, table="growing", cursor="at", overlap=0)
    pages = taken(by_time)
    everything = [row["id"] for found, _ in pages for row in found]
    assert len(everything) == len(set(everything)) == 103
    assert len(pages) > 5
    for number, (_, cursor) in enumerate(pages):
        before = {row["id"] for found, _ in pages[: number + 1] for row in found}
        assert before | {row["id"] for row in rows(by_time, cursor)} == set(everything)


@pytest.mark.parametrize(
    "kind",
    [
        "varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "varchar(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        "varchar(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
        "char(30) CHARACTER SET latin1 COLLATE latin1_german2_ci",
        "uuid",
    ],
)
def test_a_key_of_words_is_followed_in_the_order_of_its_collation(
    base: Base, run: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("connectors.database.ROWS", 10)
    chance = random.Random(7)
    letters = "aAbBzZéÉöÖßñ0 _-%'\\\""
    words = {"".join(chance.choices(letters, k=chance.randint(1, 4))) for _ in range(300)} | {"'", "\\", "%s"}
    if kind == "uuid":
        words = {str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(90)}
    run(f"CREATE OR REPLACE TABLE worded (id {kind} PRIMARY KEY, n int)")
    # What the collation takes for the same is the same key.
    for n, word in enumerate(sorted(words)):
        run(f"INSERT IGNORE INTO worded VALUES ({connection_quoted(word)}, {n})")
    by_key = source(base, table="worded")
    pages = taken(by_key)
    everything = [row["n"] for found, _ in pages for row in found]
    assert len(everything) == len(set(everything)) > 60
    assert [len(found) for found, _ in pages[:-1]] == [10] * (len(pages) - 1)
    for number, (_, cursor) in enumerate(pages[:-1]):
        before = {row["n"] for found, _ in pages[: number + 1] for row in found}
        after = {row["n"] for row in rows(by_key, cursor)}
        assert before | after == set(everything)
        assert len(before & after) <= 1, "the key a slice ends with is where the next one begins"


def connection_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def test_an_enumeration_as_a_key_is_read_in_one_piece(
    base: Base, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ordered by its list and compared as a word."""
    monkeypatch.setattr("connectors.database.ROWS", 2)
    run("CREATE OR REPLACE TABLE listed (id enum('z', 'm', 'a') PRIMARY KEY)")
    run("INSERT INTO listed VALUES ('a'), ('m'), ('z')")
    [(found, cursor)] = taken(source(base, table="listed"))
    assert ([row["id"] for row in found], cursor) == (["z", "m", "a"], None)


def test_only_what_is_new_or_late_comes_again(base: Base, growing: Any) -> None:
    by_time = source(base, table="growing", cursor="at", overlap=3600)
    cursor = taken(by_time)[-1][1]
    growing(
        "INSERT INTO growing VALUES (200, '2026-01-01 13:30'), (201, '2026-02-01'), (202, '2026-01-01 01:00')"
    )
    again = {row["id"] for row in rows(by_time, cursor)}
    assert {"200", "201", "1000"} <= again
    assert "202" not in again
    by_id = source(base, table="growing", cursor="id", overlap=1)
    assert {row["id"] for row in rows(by_id, taken(by_id)[-1][1])} == {"1001", "1002"}


def test_a_check_goes_from_the_name_to_the_first_row(base: Base, growing: Any) -> None:
    stages = list(check(source(base, table="growing", cursor="at"), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("sign-in", True), ("permission", True), ("cursor", True), ("first row", True)
    ]  # fmt: skip
    for wrong, name in (
        ({"password": "wrong-one"}, "sign-in"), ({"database": "nowhere"}, "sign-in"), ({"table": "no"}, "permission"),
        ({"cursor": "no"}, "cursor"), ({"tls": "verify-full"}, "sign-in"),
    ):  # fmt: skip
        last = list(check(source(base, **{"table": "growing", "cursor": "at", **wrong}), HERE))[-1]
        assert (last.name, last.ok) == (name, False)
        assert last.action
        assert "wrong-one" not in str(last)


def test_tls_proves_who_the_server_is(tmp_path: Path) -> None:
    ca, other = (trustme.CA() for _ in range(2))
    issued = ca.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # the server runs as another account
        running = mariadb.start(Path(place), tls=(certificate, key))
        try:
            over_tls = {**base_of(running.url), "query": "SELECT 1 AS one"}
            proven = source(over_tls, tls="verify-full", authority=ca.cert_pem.bytes().decode())
            assert rows(proven) == [{"one": "1"}]
            for wrong in (
                {"tls": "verify-full", "authority": other.cert_pem.bytes().decode()},
                {"tls": "disable"},
            ):
                with pytest.raises((Turned, Unreachable)):
                    rows(source(over_tls, **wrong))
        finally:
            stop(running)
