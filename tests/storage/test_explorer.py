"""Exploring: what a query may read, and what comes back."""

from __future__ import annotations

import pytest

from storage import explorer
from storage.explorer import QueryRefused, QueryTookTooLong
from tests.storage.conftest import ADVISORY, HOST, Loader, lines, straight


@pytest.fixture
def filled(load: Loader) -> Loader:
    load(straight(HOST), [lines('{"name": "a", "port": "1"}', '{"name": "b", "port": "2"}')])
    load(straight(HOST), [lines('{"name": "a", "port": "9"}', '{"name": "c", "port": "x"}')])
    return load


def test_a_select_over_records_sees_the_latest_of_each(filled: Loader) -> None:
    table = explorer.query(filled.store, "SELECT name, port FROM host ORDER BY name")
    assert table.columns == ("name", "port")
    assert table.rows == [("a", 9), ("b", 2)]
    assert not table.more


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM records.host",
        "SELECT h.name FROM host h JOIN runs r ON r.run = h._run",
        "WITH x AS (SELECT * FROM host) SELECT count(*) FROM x",
        "SELECT reason, count(*) FROM rejects GROUP BY 1",
        "SELECT * FROM range(3)",
        "(SELECT name FROM host) UNION ALL (SELECT name FROM host)",
    ],
)
def test_ordinary_questions_are_answered(filled: Loader, sql: str) -> None:
    assert explorer.query(filled.store, sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM host",
        "DROP TABLE store.versions.host",
        "INSERT INTO host VALUES (1)",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM store.spire.definitions",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM nothing_like_this",
        "ATTACH 'x' AS y",
        "COPY host TO 'x.csv'",
        "PRAGMA database_list",
        "SET threads = 8",
        "WITH x AS (DELETE FROM host RETURNING *) SELECT * FROM x",
        "CALL duckdb_tables()",
        "select",
        "",
        "(" * 5000,
    ],
)
def test_anything_else_is_refused_with_a_reason(filled: Loader, sql: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        explorer.query(filled.store, sql)
    assert refused.value.where
    assert filled.latest("host", "name") == [("a",), ("b",)]


def test_a_query_without_end_is_stopped(filled: Loader) -> None:
    with pytest.raises(QueryTookTooLong):
        explorer.query(
            filled.store, "SELECT count(*) FROM range(1000000000) a, range(1000000000) b", seconds=0.3
        )


def test_more_rows_than_asked_for_are_said_to_be_there(filled: Loader) -> None:
    table = explorer.query(filled.store, "SELECT * FROM range(10)", limit=3)
    assert (len(table.rows), table.more) == (3, True)


def test_browsing_searches_filters_and_pages(filled: Loader) -> None:
    cursor = filled.store.cursor()
    page = explorer.browse(cursor, HOST, order="name", limit=1)
    assert (page.total, [r["name"] for r in page.rows]) == (2, ["a"])
    assert [r["name"] for r in explorer.browse(cursor, HOST, search="B").rows] == ["b"]
    assert explorer.browse(cursor, HOST, equal={"port": "9"}).rows[0]["name"] == "a"
    assert explorer.browse(cursor, ADVISORY).total == 0


def test_one_record_shows_its_versions_newest_first(filled: Loader) -> None:
    cursor = filled.store.cursor()
    id = explorer.browse(cursor, HOST, equal={"name": "a"}).rows[0]["_id"]
    versions = explorer.versions_of(cursor, HOST, id)
    assert [(v["port"], v["_latest"], v["_line"]) for v in versions] == [(9, True, 1), (1, False, 1)]
