"""Sample: strange rows first, the same ones every time."""

from __future__ import annotations

import duckdb
import pytest

from engine import types
from engine.profile import profile
from engine.sample import sample


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    types.register(connection)
    connection.execute(
        "CREATE TABLE t AS SELECT '192.0.2.' || (i % 250) AS ip, 'usual' AS word, 'n' || i AS name "
        "FROM range(50000) r(i)"
    )
    for row, column, value in (
        (31_000, "ip", "not an address"),
        (32_000, "word", "rare"),
        (33_000, "name", None),
        (34_000, "name", "x" * 90),
        (35_000, "word", ""),
    ):
        connection.execute(f"UPDATE t SET {column} = ? WHERE rowid = {row}", [value])
    connection.execute("CREATE TABLE s AS SELECT row_number() OVER (ORDER BY rowid) - 1 AS o, * FROM t")
    return connection


FIELDS = ["ip", "word", "name"]


def test_strange_rows_are_in_the_sample_with_their_reason(connection: duckdb.DuckDBPyConnection) -> None:
    known = profile(connection, "s", FIELDS, ordinal="o")
    found = sample(connection, "s", FIELDS, limit=40, known=known, ordinal="o")
    reasons = {picked.row: picked.reasons for picked in found.picked}
    at = {
        row: connection.execute(f"SELECT min(o) FILTER ({test}) FROM s").fetchone()[0]  # type: ignore[index]
        for row, test in {
            "ip is not ipv4": "ip = 'not an address'",
            "word is a rare value": "word = 'rare'",
            "name is null": "name IS NULL",
            "name is the longest": "length(name) = 90",
            "word is empty": "word = ''",
        }.items()
    }
    assert all(reason in reasons[row] for reason, row in at.items())
    assert {0, 49_999} <= set(found.ordinals)


def test_a_sample_keeps_its_limit_and_is_the_same_every_time(connection: duckdb.DuckDBPyConnection) -> None:
    first = sample(connection, "s", FIELDS, limit=25, ordinal="o")
    assert len(first.picked) == 25
    assert sample(connection, "s", FIELDS, limit=25, ordinal="o") == first


def test_few_rows_are_all_in_the_sample(connection: duckdb.DuckDBPyConnection) -> None:
    found = sample(connection, "SELECT * FROM s WHERE o < 7", FIELDS, ordinal="o")
    assert found.ordinals == tuple(range(7))
    assert sample(connection, "SELECT * FROM s WHERE false", FIELDS).picked == ()
