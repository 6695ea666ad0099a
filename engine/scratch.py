"""An empty DuckDB in memory on which plans, patterns and formats are tried before they meet a row."""

from __future__ import annotations

from functools import cache
from threading import Lock

import duckdb

from engine.types import register

_once = Lock()


def scratch() -> duckdb.DuckDBPyConnection:
    """A cursor of its own for the caller, with our functions known and no way out of the process."""
    with _once:
        return _database().cursor()


def complaint(error: duckdb.Error) -> str:
    """What DuckDB said, as one clause without its class name, candidates and caret art."""
    first = str(error).split("\n\nLINE")[0].splitlines()[0]
    return first.split("Error: ", 1)[-1].strip().rstrip(".")


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "256MB"})
    register(connection)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
