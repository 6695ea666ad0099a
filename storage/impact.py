"""Impact: what stored records would become under other mappings, found by comparing hashes, keeping nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from duckdb import DuckDBPyConnection

from engine.compile import Branch
from engine.scan import identifier
from storage import records
from storage.staging import Staged, StagedBranch


@dataclass(frozen=True)
class Changed:
    """A stored record and what it would be."""

    target: str
    key: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def fields(self) -> list[str]:
        return [name for name, value in self.before.items() if self.after[name] != value]


@dataclass
class Comparison:
    """What was found so far. `met` names, by target, the table of key hashes that were met."""

    read: int = 0
    same: int = 0
    different: int = 0
    new: int = 0
    gone: int = 0
    rejected: int = 0
    by_field: Counter[str] = field(default_factory=Counter)
    examples: list[Changed] = field(default_factory=list)
    met: dict[str, str] = field(default_factory=dict)


def compare(
    cursor: DuckDBPyConnection, staged: Staged, found: Comparison, *, name: str, examples: int
) -> None:
    """Compare a staged chunk with what is stored. `name` prefixes the tables that note the keys met."""
    found.read += staged.chunk.read
    found.rejected += len(staged.chunk.faults)
    for branch in staged.branches:
        _branch(cursor, branch, found, name, examples)


def finish(cursor: DuckDBPyConnection, run: int, found: Comparison) -> None:
    """Count the records of the run that the new mappings no longer make, and forget what was noted."""
    for name in records.kept_targets(cursor):
        met = found.met.get(name)
        lost = f"AND _kh NOT IN (SELECT kh FROM {met})" if met else ""
        row = cursor.execute(
            f"SELECT count(*) FROM store.records.{identifier(name)} WHERE _run = {int(run)} {lost}"
        ).fetchone()
        found.gone += int(row[0]) if row else 0
    for table in found.met.values():
        cursor.execute(f"DROP TABLE IF EXISTS {table}")


def _branch(
    cursor: DuckDBPyConnection, staged: StagedBranch, found: Comparison, name: str, examples: int
) -> None:
    branch, target = staged.branch, staged.branch.target
    blocking = branch.blocking
    found.rejected += _count(cursor, f"SELECT count(*) FROM {staged.table} WHERE (_mask & {blocking}) <> 0")
    met = found.met.get(target.name)
    if met is None:
        met = found.met[target.name] = f"stage.{identifier(f'{name}_{target.name}')}"
        cursor.execute(f"CREATE OR REPLACE TABLE {met} (kh UBIGINT)")
    values = ", ".join(f"{staged.column(f.name)} AS {identifier(f.name)}" for f in target.fields)
    good = f"SELECT {values}, _kh, _vh FROM {staged.table} WHERE (_mask & {blocking}) = 0 AND _kh NOT IN (SELECT kh FROM {met})"
    latest = f"SELECT * FROM ({good}) QUALIFY row_number() OVER (PARTITION BY _kh) = 1"
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE compared AS {latest}")
    cursor.execute(f"INSERT INTO {met} SELECT _kh FROM compared")
    if not records.exists(cursor, target.name):
        found.new += _count(cursor, "SELECT count(*) FROM compared")
        return
    records.ensure(cursor, target)
    stored = f"store.records.{identifier(target.name)}"
    found.new += _count(
        cursor, f"SELECT count(*) FROM compared c WHERE c._kh NOT IN (SELECT _kh FROM {stored})"
    )
    found.same += _count(
        cursor, f"SELECT count(*) FROM compared c JOIN {stored} s ON s._kh = c._kh AND s._vh = c._vh"
    )
    pairs = f"compared c JOIN {stored} s ON s._kh = c._kh AND s._vh <> c._vh"
    found.different += _count(cursor, f"SELECT count(*) FROM {pairs}")
    _differences(cursor, branch, pairs, found, examples)


def _differences(
    cursor: DuckDBPyConnection, branch: Branch, pairs: str, found: Comparison, examples: int
) -> None:
    names = [f.name for f in branch.target.fields]
    counted = ", ".join(
        f"count(*) FILTER (c.{identifier(n)} IS DISTINCT FROM s.{identifier(n)})" for n in names
    )
    row = cursor.execute(f"SELECT {counted} FROM {pairs}").fetchone()
    found.by_field.update({n: int(count) for n, count in zip(names, row or (), strict=True) if count})
    missing = examples - len(found.examples)
    if missing <= 0:
        return
    listed = ", ".join([*(f"s.{identifier(n)}" for n in names), *(f"c.{identifier(n)}" for n in names)])
    for values in cursor.execute(f"SELECT {listed} FROM {pairs} LIMIT {missing}").fetchall():
        before = dict(zip(names, values[: len(names)], strict=True))
        after = dict(zip(names, values[len(names) :], strict=True))
        key = {n: before[n] for n in branch.target.key}
        found.examples.append(Changed(branch.target.name, key, before, after))


def _count(cursor: DuckDBPyConnection, query: str) -> int:
    row = cursor.execute(query).fetchone()
    return int(row[0]) if row else 0
