"""Staging: a chunk goes through the plan once and stands in memory as mapped rows, ready to commit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine import scan
from engine.compile import Branch, Plan
from engine.errors import Bug
from engine.model import SourceField
from engine.ports import Chunk
from storage.store import MemoryFull


class RowsWentMissing(Bug):
    """The reader and the database disagree about how many rows there are, so nothing was kept."""


@dataclass(frozen=True)
class StagedBranch:
    """The rows of a chunk that took one branch: its mapped fields, `_kh`, `_vh` and `_mask`.

    `ordinal` is the SQL for a row's place in its chunk.
    """

    branch: Branch
    table: str
    rows: int
    ordinal: str

    def column(self, field: str) -> str:
        """SQL for a target field's value: fields that nothing is mapped onto aren't staged."""
        if field in self.branch.mapped:
            return scan.identifier(field)
        return f"NULL::{dict(self.branch.columns)[field]}"

    @property
    def blocked(self) -> str:
        """SQL for the rows that a broken check keeps out of the store."""
        return f"(_mask & {self.branch.blocking}) <> 0"


@dataclass(frozen=True)
class Staged:
    """A chunk after the plan. `filtered` rows met no branch. Tables live until `discard`."""

    name: str
    chunk: Chunk
    branches: tuple[StagedBranch, ...]
    filtered: int
    tables: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(b.rows for b in self.branches)

    def line(self, ordinal: str) -> str:
        """SQL for a row's physical line in its source."""
        if self.chunk.lines is None:
            return f"{self.chunk.first_line} + {ordinal}"
        # Inside a plain subquery an ordinal called `rowid` would be the inner table's own.
        numbered = f"(SELECT rowid AS at, line FROM stage.{self.name}_lines)"
        return f"(SELECT l.line FROM {numbered} l WHERE l.at = {ordinal})"

    def lines(self, ordinals: np.ndarray) -> np.ndarray:
        if self.chunk.lines is None:
            return ordinals + self.chunk.first_line
        return self.chunk.lines[ordinals]


def stage(
    cursor: DuckDBPyConnection, plan: Plan, fields: Mapping[str, SourceField], chunk: Chunk, name: str
) -> Staged:
    """Read a chunk through the plan into tables called after `name`.

    `fields` are the source's fields by name. RowsWentMissing where DuckDB read another number of rows
    than the reader counted: that would be a silent loss. A chunk whose reader took its rows at their
    word is read again, proven, where the first reading shows that it was wrong to.
    """
    try:
        return _stage(cursor, plan, fields, chunk, name)
    except (duckdb.Error, RowsWentMissing):
        if chunk.prove is None:
            raise
    return _stage(cursor, plan, fields, chunk.proven, name)


def _stage(
    cursor: DuckDBPyConnection, plan: Plan, fields: Mapping[str, SourceField], chunk: Chunk, name: str
) -> Staged:
    tables: list[str] = []
    try:
        return _lightened(cursor, _read(cursor, plan, fields, chunk, name, tables))
    except (duckdb.Error, RowsWentMissing) as error:
        for table in tables:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
        if isinstance(error, duckdb.OutOfMemoryException):
            raise MemoryFull from error
        raise


def _read(
    cursor: DuckDBPyConnection,
    plan: Plan,
    fields: Mapping[str, SourceField],
    chunk: Chunk,
    name: str,
    tables: list[str],
) -> Staged:
    if chunk.lines is not None:
        arrow = pa.table({"line": pa.array(chunk.lines, pa.int64())})
        _create(cursor, tables, f"{name}_lines", "SELECT line FROM arriving", arriving=arrow)
    with opened(chunk) as place:
        if len(plan.branches) == 1 and plan.branches[0].where is None:
            branch = plan.branches[0]
            relation = scan.source(chunk, place, _wanted(branch, fields), ordinal=branch.fan_out)
            one, read = _apply(cursor, tables, branch, relation, name)
            _expect(chunk, read)
            return Staged(name, chunk, (one,), 0, tuple(tables))
        return _route(cursor, plan, fields, chunk, place, name, tables)


def _lightened(cursor: DuckDBPyConnection, staged: Staged) -> Staged:
    """The same without the chunk's bytes, but for those of rows on their way to quarantine.

    A rule over all rows is judged only at the commit, and then any row may be wanted.
    """
    if any(b.branch.set_checks for b in staged.branches):
        return staged
    blocked = {int(row) for b in staged.branches for row in ordinals(cursor, b, b.blocked)[0]}
    wanted = sorted(blocked)
    raws = dict(zip(wanted, staged.chunk.raw(wanted), strict=True))
    light = replace(staged.chunk, data=b"", raw=lambda rows: [raws[row] for row in rows], prove=None)
    return replace(staged, chunk=light)


def discard(cursor: DuckDBPyConnection, staged: Staged) -> None:
    """Drop what staging made."""
    for table in staged.tables:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")


@contextmanager
def opened(chunk: Chunk) -> Iterator[str]:
    """The chunk's bytes as a file in memory: a path that DuckDB can read and no disk ever sees."""
    descriptor = os.memfd_create("chunk")
    try:
        left = memoryview(chunk.data)
        while left:
            left = left[os.write(descriptor, left) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _route(
    cursor: DuckDBPyConnection,
    plan: Plan,
    fields: Mapping[str, SourceField],
    chunk: Chunk,
    place: str,
    name: str,
    tables: list[str],
) -> Staged:
    """Give each row to the first branch whose condition it meets, then apply the branches met."""
    wanted = {f.name: f for branch in plan.branches for f in _wanted(branch, fields)}
    whole = [f for f in fields.values() if f.name in wanted or _is_tested(plan, f.name)]
    if scan.RAW in wanted:
        whole.append(SourceField(name=scan.RAW))
    relation = scan.source(chunk, place, whole, ordinal=True)
    arms = " ".join(f"WHEN {b.where or 'true'} THEN {i}" for i, b in enumerate(plan.branches))
    routed = f"{name}_routed"
    _create(
        cursor, tables, routed, f"SELECT *, CASE {arms} ELSE -1 END AS _route FROM ({relation}) AS source"
    )
    counts = dict(cursor.execute(f"SELECT _route, count(*) FROM stage.{routed} GROUP BY 1").fetchall())
    _expect(chunk, sum(counts.values()))
    staged = []
    for i, branch in enumerate(plan.branches):
        if not counts.get(i):
            continue
        rows = f"SELECT * EXCLUDE (_route) FROM stage.{routed} WHERE _route = {i}"
        if branch.fan_out:
            one, _ = _apply(cursor, tables, branch, rows, f"{name}_{i}")
        else:
            one = _apply_in_order(cursor, tables, branch, rows, f"{name}_{i}")
        staged.append(one)
    return Staged(name, chunk, tuple(staged), counts.get(-1, 0), tuple(tables))


def _apply(
    cursor: DuckDBPyConnection, tables: list[str], branch: Branch, relation: str, name: str
) -> tuple[StagedBranch, int]:
    """Apply a branch to a relation whose row i has the ordinal i (or brings its own, fanning out)."""
    _create(cursor, tables, name, f"SELECT {_staged(branch)} FROM ({applied(branch, relation)})")
    rows = _count(cursor, f"stage.{name}")
    ordinal = "_ord" if branch.fan_out else "rowid"
    read = _count(cursor, f"(SELECT DISTINCT _ord FROM stage.{name})") if branch.fan_out else rows
    return StagedBranch(branch, f"stage.{name}", rows, ordinal), read


def _apply_in_order(
    cursor: DuckDBPyConnection, tables: list[str], branch: Branch, relation: str, name: str
) -> StagedBranch:
    """Apply a branch to some rows of a chunk, keeping each one's ordinal beside its result."""
    values = applied(branch, f"SELECT * EXCLUDE (_ord) FROM ({relation})")
    ordinals = f"SELECT _ord FROM ({relation})"
    select = f"SELECT {_staged(branch)}, _ord FROM ({values}) POSITIONAL JOIN ({ordinals})"
    _create(cursor, tables, name, select)
    return StagedBranch(branch, f"stage.{name}", _count(cursor, f"stage.{name}"), "_ord")


def _staged(branch: Branch) -> str:
    """What is worth holding of a branch's columns: thirty NULLs a row are not."""
    names = [scan.identifier(name) for name in branch.mapped]
    return ", ".join([*names, "_kh", "_vh", "_mask", *(["_ord"] if branch.fan_out else [])])


def applied(branch: Branch, relation: str) -> str:
    """The branch's SELECT over a relation."""
    return f"WITH source AS NOT MATERIALIZED ({relation}) {branch.sql}"


def _wanted(branch: Branch, fields: Mapping[str, SourceField]) -> list[SourceField]:
    return [SourceField(name=n) if n == scan.RAW else fields[n] for n in branch.fields]


def _is_tested(plan: Plan, name: str) -> bool:
    return any(b.where and scan.identifier(name) in b.where for b in plan.branches)


def _expect(chunk: Chunk, rows: int) -> None:
    if rows != chunk.rows:
        raise RowsWentMissing(
            f"Rows from line {chunk.first_line:,}: {chunk.rows:,} were counted and {rows:,} read."
        )


def _create(
    cursor: DuckDBPyConnection, tables: list[str], name: str, select: str, arriving: pa.Table | None = None
) -> None:
    tables.append(f"stage.{name}")
    if arriving is not None:
        cursor.register("arriving", arriving)
    try:
        cursor.execute(f"CREATE TABLE stage.{name} AS {select}")
    finally:
        if arriving is not None:
            cursor.unregister("arriving")


def _count(cursor: DuckDBPyConnection, relation: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def ordinals(
    cursor: DuckDBPyConnection, staged: StagedBranch, condition: str
) -> tuple[np.ndarray, np.ndarray]:
    """Ordinals (ascending) and failed-check bits of the rows that meet a condition on the staged table."""
    found = cursor.execute(
        f"SELECT {staged.ordinal} AS o, bit_or(_mask) AS mask FROM {staged.table} "
        f"WHERE {condition} GROUP BY 1 ORDER BY 1"
    ).fetchnumpy()
    return np.asarray(found["o"], np.int64), np.asarray(found["mask"], np.int64)
