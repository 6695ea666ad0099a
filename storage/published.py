"""What publications that withdraw have delivered: which version of which record, and what has to go back since.

A record is gone when it is no longer one that would be delivered: its run was undone, every source that gave all
it held no longer has it, or the publication's filter no longer means it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine.model import TargetModel
from engine.ports import Gone
from engine.scan import identifier, literal
from storage import filters, records
from storage.filters import Filter

# Of a record that was withdrawn no version counts as delivered.
_NONE = -1
_OF = "publication = ? AND sink = ? AND target = ?"


@dataclass(frozen=True)
class Ledger:
    """Whose ledger: a publication's, for one place and one target model."""

    publication: str
    sink: str
    target: str

    @property
    def values(self) -> list[str]:
        return [self.publication, self.sink, self.target]


@dataclass(frozen=True)
class Entry:
    """A record as it was delivered. `there` is what it became, empty where the other side would not have it."""

    key: int
    seq: int
    id: str
    there: str


@dataclass(frozen=True)
class Left:
    """A record to be withdrawn, by its key's hash."""

    key: int
    gone: Gone


def keep(cursor: DuckDBPyConnection, of: Ledger, entries: Sequence[Entry]) -> None:
    """Enter what was delivered. What a record became before stays known where it is refused now."""
    columns = {
        "kh": pa.array([one.key for one in entries], pa.uint64()),
        "seq": pa.array([one.seq for one in entries], pa.int64()),
        "id": pa.array([one.id for one in entries], pa.string()),
        "there": pa.array([one.there for one in entries], pa.string()),
    }
    cursor.register("fresh", pa.table(columns))
    try:
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE entered AS SELECT f.kh, f.seq, f.id, "
            "CASE WHEN f.there <> '' THEN f.there ELSE coalesce(p.there, '') END AS there, "
            "CASE WHEN f.there <> '' THEN NULL ELSE p.withdrawn END AS withdrawn "
            f"FROM fresh f LEFT JOIN (SELECT * FROM store.spire.published WHERE {_OF}) p ON p.kh = f.kh",
            of.values,
        )
    finally:
        cursor.unregister("fresh")
    cursor.execute(
        f"DELETE FROM store.spire.published WHERE {_OF} AND kh IN (SELECT kh FROM entered)", of.values
    )
    cursor.execute(
        "INSERT INTO store.spire.published SELECT ?, ?, ?, kh, seq, id, there, withdrawn FROM entered",
        of.values,
    )


def withdrew(cursor: DuckDBPyConnection, of: Ledger, keys: Sequence[int], at: datetime) -> None:
    """Enter what the other side has taken back. Should it come again, it is delivered again."""
    cursor.execute(
        f"UPDATE store.spire.published SET withdrawn = ?, seq = {_NONE} WHERE {_OF} AND kh IN "
        "(SELECT unnest(?::UBIGINT[]))",
        [at, *of.values, list(keys)],
    )


def again(cursor: DuckDBPyConnection, of: Ledger) -> None:
    """Let every record be delivered once more."""
    cursor.execute(f"UPDATE store.spire.published SET seq = {_NONE} WHERE {_OF}", of.values)


def withdrawn(cursor: DuckDBPyConnection, of: Ledger, keys: Sequence[int]) -> set[int]:
    """Those of the records that were withdrawn there before."""
    found = cursor.execute(
        f"SELECT kh FROM store.spire.published WHERE {_OF} AND withdrawn IS NOT NULL AND kh IN "
        "(SELECT unnest(?::UBIGINT[]))",
        [*of.values, list(keys)],
    ).fetchall()
    return {int(row[0]) for row in found}


def missing(
    cursor: DuckDBPyConnection,
    of: Ledger,
    target: TargetModel,
    asked: Filter,
    after: int,
    until: int,
    rows: int,
) -> pa.Table | None:
    """The next records after a place that are to be there and are not, as they stand now; None where there are none."""
    if not records.exists(cursor, target.name):
        return None
    sql, values = _missing(cursor, of, target, asked)
    # First which, then what: a sort that carries every field is several times slower.
    picked = cursor.execute(
        f"SELECT _seq {sql} AND _seq > ? AND _seq <= ? ORDER BY _seq LIMIT {int(rows)}",
        [*values, after, until],
    ).fetchall()
    if not picked:
        return None
    return cursor.execute(
        f"SELECT * FROM store.records.{identifier(target.name)} WHERE _seq BETWEEN ? AND ? "
        "AND _seq IN (SELECT unnest(?::BIGINT[])) ORDER BY _seq",
        [picked[0][0], picked[-1][0], [row[0] for row in picked]],
    ).to_arrow_table()


def lacking(cursor: DuckDBPyConnection, of: Ledger, target: TargetModel, asked: Filter) -> int:
    """How many records are to be there and are not."""
    if not records.exists(cursor, target.name):
        return 0
    sql, values = _missing(cursor, of, target, asked)
    return int(cursor.execute(f"SELECT count(*) {sql}", values).fetchall()[0][0])


def left(
    cursor: DuckDBPyConnection, of: Ledger, target: TargetModel, asked: Filter, after: int, rows: int
) -> list[Left]:
    """Records that are there and should not be any more, in the order of their keys' hashes."""
    sql, values = _left(cursor, of, target, asked)
    found = cursor.execute(
        f"SELECT kh, id, there {sql} AND kh > ? ORDER BY kh LIMIT {int(rows)}", [*values, after]
    ).fetchall()
    return [Left(int(key), Gone(id, there)) for key, id, there in found]


def leaving(cursor: DuckDBPyConnection, of: Ledger, target: TargetModel, asked: Filter) -> int:
    """How many records are there and should not be any more."""
    sql, values = _left(cursor, of, target, asked)
    return int(cursor.execute(f"SELECT count(*) {sql}", values).fetchall()[0][0])


def _missing(
    cursor: DuckDBPyConnection, of: Ledger, target: TargetModel, asked: Filter
) -> tuple[str, list[Any]]:
    where, values = _meant(cursor, target, asked)
    there = f"SELECT 1 FROM store.spire.published p WHERE {_OF} AND p.kh = _kh AND p.seq = _seq"
    name = identifier(target.name)
    return f"FROM store.records.{name} WHERE {where} AND NOT EXISTS ({there})", [*values, *of.values]


def _left(
    cursor: DuckDBPyConnection, of: Ledger, target: TargetModel, asked: Filter
) -> tuple[str, list[Any]]:
    held = f"FROM store.spire.published WHERE {_OF} AND withdrawn IS NULL AND there <> ''"
    if not records.exists(cursor, target.name):
        return held, list(of.values)
    where, values = _meant(cursor, target, asked)
    meant = f"SELECT _kh FROM store.records.{identifier(target.name)} WHERE {where}"
    return f"{held} AND kh NOT IN ({meant})", [*of.values, *values]


def _meant(cursor: DuckDBPyConnection, target: TargetModel, asked: Filter) -> tuple[str, list[Any]]:
    """SQL of the records that are to be there."""
    where = filters.condition(cursor, target, asked)
    return f"{where.sql} AND _kh NOT IN ({_vanished(target.name)})", where.values


def _vanished(target: str) -> str:
    """SQL of the records that no source has any more. One that a source of news brought too can't be told gone."""
    of = f"FROM store.spire.presence WHERE target = {literal(target)}"
    return (
        f"SELECT kh FROM (SELECT pipeline, payload, kh, arg_max(there, run) AS there {of} GROUP BY ALL) "
        "GROUP BY kh HAVING NOT bool_or(there) EXCEPT "
        f"SELECT v._kh FROM store.versions.{identifier(target)} v JOIN store.spire.runs r ON r.run = v._run "
        f"WHERE r.pipeline NOT IN (SELECT pipeline {of})"
    )
