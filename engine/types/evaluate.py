"""SQL over a handful of values from Python: a small in-memory database, so there is one implementation only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import duckdb

from engine.types.functions import register

_lock = threading.Lock()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 1")
    register(connection)
    return connection


def evaluate(expression: Callable[[str], str], values: Sequence[str | None]) -> list[Any]:
    """The SQL `expression(value)` for each of the values, in order. Safe from any thread."""
    if not values:
        return []
    query = (
        f"SELECT {expression('value')} FROM (SELECT unnest($1::VARCHAR[]) AS value, "
        "generate_subscripts($1::VARCHAR[], 1) AS place) ORDER BY place"
    )
    with _lock:
        return [row[0] for row in _database().execute(query, [list(values)]).fetchall()]
