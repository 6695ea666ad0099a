"""Cursors as they were kept: where each run left a source, and what has been read since, from the books."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from engine.ports import Cursor

# No run has this number: a cursor under it was set by a person.
BY_HAND = 0


@dataclass(frozen=True)
class Point:
    """A place a source was left at: by which run, when, and what was read after it."""

    run: int
    at: datetime
    cursor: Cursor | None
    rows: int
    runs: int


def points(cursor: DuckDBPyConnection, pipeline: str, limit: int = 50) -> list[Point]:
    """Where each run, or a person, left the source last, the newest first."""
    rows = cursor.execute(
        "SELECT run, max(moment), arg_max(cursor, moment) FROM store.spire.cursors WHERE pipeline = ? AND run <> ? "
        "GROUP BY run UNION ALL SELECT run, moment, cursor FROM store.spire.cursors WHERE pipeline = ? AND run = ? "
        "ORDER BY 2 DESC, 1 DESC LIMIT ?",
        [pipeline, BY_HAND, pipeline, BY_HAND, limit],
    ).fetchall()
    return [Point(row[0], row[1], json.loads(row[2]), *read_since(cursor, pipeline, row[1])) for row in rows]


def read_since(cursor: DuckDBPyConnection, pipeline: str, moment: datetime | None) -> tuple[int, int]:
    """How many rows were read for a pipeline after a moment (None: ever), and by how many runs."""
    row = cursor.execute(
        "SELECT coalesce(sum(b.read), 0), count(DISTINCT b.run) FROM store.spire.batches b "
        "JOIN store.spire.runs r ON r.run = b.run "
        "WHERE r.pipeline = $pipeline AND r.kind = 'run' AND r.state <> 'undone' "
        "AND ($moment::TIMESTAMP IS NULL OR b.moment > $moment::TIMESTAMP)",
        {"pipeline": pipeline, "moment": moment},
    ).fetchall()[0]
    return int(row[0]), int(row[1])


def keep(cursor: DuckDBPyConnection, pipeline: str, reached: Cursor | None, at: datetime) -> None:
    """Set a pipeline's cursor by hand; None is the beginning."""
    cursor.execute(
        "INSERT INTO store.spire.cursors VALUES (?, ?, ?, ?)", [pipeline, json.dumps(reached), BY_HAND, at]
    )
