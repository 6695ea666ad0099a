"""Queries: what a person's SQL may read, and what comes back."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from engine.targets import TARGETS
from storage import query
from storage.query import Position, QueryCancelled, QueryRefused, QueryTookTooLong
from tests.storage.conftest import HOST, Loader, lines, straight


@pytest.fixture
def filled(load: Loader) -> Loader:
    load(straight(HOST), [lines('{"name": "a", "port": "1"}', '{"name": "b", "port": "2"}')])
    load(straight(HOST), [lines('{"name": "a", "port": "9"}', '{"name": "c", "port": "x"}')])
    return load


def test_a_select_over_records_sees_the_latest_of_each(filled: Loader) -> None:
    table = query.query(filled.store, "SELECT name, port FROM host ORDER BY name")
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
    assert query.query(filled.store, sql).rows


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
        query.query(filled.store, sql)
    assert refused.value.where
    assert filled.latest("host", "name") == [("a",), ("b",)]


def test_a_query_without_end_is_stopped(filled: Loader) -> None:
    with pytest.raises(QueryTookTooLong):
        query.query(
            filled.store, "SELECT count(*) FROM range(1000000000) a, range(1000000000) b", seconds=0.3
        )


def test_more_rows_than_asked_for_are_said_to_be_there(filled: Loader) -> None:
    table = query.query(filled.store, "SELECT * FROM range(10)", limit=3)
    assert (len(table.rows), table.more) == (3, True)


def test_a_query_is_cancelled_by_its_name(filled: Loader) -> None:
    def stop() -> None:
        while not query.cancel("ana/1"):
            time.sleep(0.01)

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(QueryCancelled):
        query.query(
            filled.store, "SELECT count(*) FROM range(1000000000) a, range(1000000000) b", name="ana/1"
        )
    stopping.join()
    assert not query.cancel("ana/1")


def test_a_query_cancelled_before_it_has_quite_begun_is_stopped_all_the_same(
    filled: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = query._stopped_after

    def late(*given: Any) -> Any:
        query.cancel("ana/2")
        time.sleep(0.2)
        return begun(*given)

    monkeypatch.setattr(query, "_stopped_after", late)
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"
    with pytest.raises(QueryCancelled):
        query.query(filled.store, endless, name="ana/2", seconds=3600)


def test_all_rows_are_counted_where_more_than_the_limit_are_there(filled: Loader) -> None:
    table = query.query(filled.store, "SELECT * FROM range(5000)", limit=10)
    assert (len(table.rows), table.more, table.total) == (10, True, 5000)


def test_a_model_of_which_nothing_is_kept_is_an_empty_table(filled: Loader) -> None:
    found = query.query(filled.store, "SELECT * FROM malware m WHERE m.is_family", models=TARGETS)
    assert found.rows == []
    assert found.columns[:2] == ("id", "external_id")
    assert "BOOLEAN" in found.types
    both = "SELECT h.name FROM host h LEFT JOIN records.indicator i ON i.value = h.name ORDER BY 1"
    assert query.query(filled.store, both, models=TARGETS).rows == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("sql", "at", "says"),
    [
        ("SELECT nam\nFROM host", Position(1, 8, 3), "nam"),
        ("SELECT name,\n  prot AS p\nFROM host", Position(2, 3, 4), "prot"),
        ("SELECT name FROM host WHERE nofun(name)", Position(1, 29, 5), "nofun"),
        ("SELECT name\nFROM hots", Position(2, 6, 4), "hots"),
        ("SELECT name FROM host\nWHERE )", Position(2, 7, 1), ")"),
    ],
)
def test_an_error_says_where_in_the_text_it_is(filled: Loader, sql: str, at: Position, says: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        query.query(filled.store, sql)
    assert refused.value.position == at
    assert says in refused.value.where
