"""Traces: rows of a source on the way of one field, stop by stop, through the plan's own SQL. Nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine import scan
from engine.compile import Branch, Check, Plan
from engine.lineage import Way
from storage.staging import applied
from storage.texts import Texts


@dataclass(frozen=True)
class TracedRow:
    """A row's value at every stop (its text), why it got lost there (None where it did not), and the checks it broke."""

    row: int
    line: int
    values: tuple[str | None, ...]
    lost: tuple[str | None, ...]
    broken: tuple[Check, ...]


def trace(
    cursor: DuckDBPyConnection,
    plan: Plan,
    at: int,
    narrow: Branch,
    way: Way,
    texts: Texts,
    rows: Sequence[int],
) -> list[TracedRow]:
    """The given rows that take branch `at` of the plan, in their order; a row that fans out comes as often.

    `narrow` is that branch with the field and its checks alone: what it says is what the run would say.
    """
    _take(cursor, plan, at, texts, rows)
    lines = dict(cursor.execute("SELECT _ord, _line FROM traced").fetchall())
    shown = [scan.identifier(stage.column) for stage in way.stages]
    lost = [scan.identifier(stage.lost) if stage.lost else "NULL" for stage in way.stages]
    order = ", _ord" if narrow.fan_out else ""
    relation = f"SELECT {', '.join(_read(narrow))}{order} FROM traced"
    columns = ", ".join([*shown, *(f"{one} AS l{n}" for n, one in enumerate(lost))])
    parts = f"(SELECT {columns} FROM ({_on(way, relation)})) POSITIONAL JOIN (SELECT _mask{order} FROM ({applied(narrow, relation)}))"
    if not narrow.fan_out:
        parts += " POSITIONAL JOIN (SELECT _ord FROM traced)"
    stops = len(way.stages)
    return [
        TracedRow(
            row[-1],
            lines[row[-1]],
            tuple(row[:stops]),
            tuple(row[stops : 2 * stops]),
            tuple(check for check in narrow.checks if int(row[-2]) >> check.bit & 1),
        )
        for row in cursor.execute(f"SELECT * FROM {parts}").fetchall()
    ]


def distinct(
    cursor: DuckDBPyConnection,
    plan: Plan,
    at: int,
    narrow: Branch,
    way: Way,
    texts: Texts,
    rows: Sequence[int],
    stops: tuple[int, int],
) -> list[tuple[str | None, str | None, int]]:
    """Each distinct value at one stop, what it is at another, and in how many of the rows, most first."""
    _take(cursor, plan, at, texts, rows)
    order = ", _ord" if narrow.fan_out else ""
    before, after = (scan.identifier(way.stages[stop].column) for stop in stops)
    relation = f"SELECT {', '.join(_read(narrow))}{order} FROM traced"
    return cursor.execute(
        f"SELECT {before} AS b, any_value({after}), count(*) AS n FROM ({_on(way, relation)}) "
        "GROUP BY b ORDER BY n DESC, b"
    ).fetchall()


def _take(cursor: DuckDBPyConnection, plan: Plan, at: int, texts: Texts, rows: Sequence[int]) -> None:
    """The rows that take the branch, in their order, as the table `traced`."""
    arms = " ".join(f"WHEN {b.where or 'true'} THEN {i}" for i, b in enumerate(plan.branches))
    picked = f"list_contains([{', '.join(str(int(r)) for r in rows)}]::BIGINT[], rowid)" if rows else "false"
    if rows and len(rows) == rows[-1] - rows[0] + 1:
        picked = f"rowid BETWEEN {int(rows[0])} AND {int(rows[-1])}"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE traced AS SELECT * FROM (SELECT *, rowid AS _ord, CASE {arms} ELSE -1 END "
        f"AS _route FROM {texts.table} AS source WHERE {picked} ORDER BY rowid) WHERE _route = {int(at)}"
    )


def _on(way: Way, relation: str) -> str:
    return f"WITH source AS NOT MATERIALIZED ({relation}) {way.sql}"


def altered(
    cursor: DuckDBPyConnection, texts: Texts, field: str, values: Sequence[tuple[int, str | None]], name: str
) -> Texts:
    """Rows with another value in one field, as a held text of its own: row i is the i-th of `values`."""
    table = f"stage.{scan.identifier(name)}"
    cursor.register("altering", _altering(values))
    try:
        cursor.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT t.* REPLACE (a.value AS {scan.identifier(field)}) "
            f"FROM altering a JOIN (SELECT *, rowid AS _at FROM {texts.table}) t ON t._at = a.at ORDER BY a.nth"
        )
        cursor.execute(f"ALTER TABLE {table} DROP COLUMN _at")
    finally:
        cursor.unregister("altering")
    return replace(texts, table=table, rows=len(values), faults=(), complete=False)


def _altering(values: Sequence[tuple[int, str | None]]) -> pa.Table:
    return pa.table(
        {
            "nth": pa.array(range(len(values)), pa.int64()),
            "at": pa.array([row for row, _ in values], pa.int64()),
            "value": pa.array([value for _, value in values], pa.string()),
        }
    )


def place_of(cursor: DuckDBPyConnection, texts: Texts, line: int) -> int | None:
    """The held row on a physical line of the source."""
    found = cursor.execute(f"SELECT rowid FROM {texts.table} WHERE _line = {int(line)} LIMIT 1").fetchone()
    return int(found[0]) if found else None


def _read(branch: Branch) -> list[str]:
    return [scan.identifier(name) for name in branch.fields] or ["1 AS _nothing"]


def held_values(
    cursor: DuckDBPyConnection, texts: Texts, rows: Sequence[int], field: str
) -> tuple[dict[int, str | None], dict[str, list[str]]]:
    """One field's text by row, and what stands in every field of these rows, blanks left out."""
    names = [f.name for f in texts.fields if f.name != scan.RAW]
    listed = ", ".join(["rowid", *map(scan.identifier, names)])
    picked = f"list_contains([{', '.join(str(int(row)) for row in rows)}]::BIGINT[], rowid)"
    found = cursor.execute(f"SELECT {listed} FROM {texts.table} WHERE {picked} ORDER BY rowid").fetchall()
    others = {name: [row[n] for row in found if row[n]] for n, name in enumerate(names, 1)}
    return {row[0]: row[names.index(field) + 1] for row in found} if field in names else {}, others
