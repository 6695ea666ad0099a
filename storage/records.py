"""Records: versions that are only ever inserted, and the small tables that say which is the latest.

For each target model there are
- `kept.T`: every version, where it came from (`_run`, `_segment`, `_line`, `_mapping`), and those of its fields
  that anything was ever mapped onto: a column of NULLs costs time and memory like any other;
- `seen.T`: 64-bit hashes of key (`kh`) and content (`vh`), which find what is already there without an index;
- `superseded.T`: the versions that are no longer the latest, and which run made them so;
- `versions.T`: a view of every version with all fields of the model;
- `records.T`: a view of the latest.

A version's `_seq` is its run's number shifted left by 36 bits plus its place in the run: unique, and
ascending in order of arrival.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from engine.model import FieldType, TargetModel
from engine.scan import identifier, literal
from storage.staging import Staged, StagedBranch

RUN_BITS = 36
_INSERTED, _UPDATED, _UNCHANGED, _DUPLICATE = range(4)
ORIGIN = {
    "_run": "INTEGER", "_seq": "BIGINT", "_segment": "INTEGER", "_line": "BIGINT", "_mapping": "VARCHAR",
    "_kh": "UBIGINT", "_vh": "UBIGINT",
}  # fmt: skip


@dataclass(frozen=True)
class Arrival:
    """Staged rows of one branch on their way into the store. `base` is the `_seq` of row 0."""

    staged: Staged
    branch: StagedBranch
    base: int
    segment: int

    @property
    def good(self) -> str:
        """SQL for the rows that are not rejected; a row that fans out is good only if all its parts are."""
        if not self.branch.branch.fan_out:
            return f"NOT ({self.branch.blocked})"
        return f"_ord NOT IN (SELECT _ord FROM {self.branch.table} WHERE {self.branch.blocked})"


@dataclass(frozen=True)
class Kept:
    """What became of good rows: source rows by outcome, and records whose version was known with other content."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    conflicting: int = 0


@dataclass(frozen=True)
class Shelf:
    """Where a target's hashes are looked up and written, and whether the records themselves are kept.

    A dry run reads what is stored, notes what it would have stored in `stage`, and keeps nothing.
    """

    seen: str
    note: str
    keep: bool


def shelf(
    cursor: DuckDBPyConnection, target: TargetModel, fields: Collection[str] = (), dry: str = ""
) -> Shelf:
    """The shelf of a target model with room for `fields`, made where it isn't there yet.

    Where `dry` names a dry run, it is that one's.
    """
    name = identifier(target.name)
    if not dry:
        ensure(cursor, target, fields)
        return Shelf(f"store.seen.{name}", f"store.seen.{name}", True)
    note = f"stage.{identifier(f'{dry}_{target.name}')}"
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {note} (kh UBIGINT, vh UBIGINT, seq BIGINT, ver BIGINT)")
    if not exists(cursor, target.name):
        return Shelf(note, note, False)
    return Shelf(f"(SELECT * FROM store.seen.{name} UNION ALL SELECT * FROM {note})", note, False)


def exists(cursor: DuckDBPyConnection, target: str) -> bool:
    """Whether the store has ever kept a record of this target model."""
    return bool(
        cursor.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = 'store' AND schema_name = 'kept' "
            "AND table_name = ?",
            [target],
        ).fetchone()
    )


def ensure(cursor: DuckDBPyConnection, target: TargetModel, fields: Collection[str] = ()) -> None:
    """Make the target's tables with columns for `fields`, and views with all that its model has."""
    name = identifier(target.name)
    types = {f.name: column_type(f.type) for f in target.fields}
    if not exists(cursor, target.name):
        columns = ", ".join(f"{c} {t}" for c, t in ORIGIN.items())
        cursor.execute(f"CREATE TABLE store.kept.{name} ({columns})")
        cursor.execute(f"CREATE TABLE store.seen.{name} (kh UBIGINT, vh UBIGINT, seq BIGINT, ver BIGINT)")
        cursor.execute(f"CREATE TABLE store.superseded.{name} (seq BIGINT, kh UBIGINT, run INTEGER)")
        shown: set[str] = set()
    else:
        shown = {row[0] for row in cursor.execute(f"DESCRIBE store.versions.{name}").fetchall()}
    there = [row[0] for row in cursor.execute(f"DESCRIBE store.kept.{name}").fetchall()]
    gained = [f for f in fields if f not in there]
    if not gained and shown.issuperset(types):
        return
    for field in gained:
        # What alone tells records apart is another in each: to compress it would take a commit a tenth longer.
        plain = (
            " USING COMPRESSION uncompressed" if (field,) == target.key and types[field] == "VARCHAR" else ""
        )
        cursor.execute(f"ALTER TABLE store.kept.{name} ADD COLUMN {identifier(field)} {types[field]}{plain}")
    held = {*there, *gained}
    all_fields = [identifier(f) if f in held else f"NULL::{t} AS {identifier(f)}" for f, t in types.items()]
    former = [identifier(f) for f in there if f not in types and f not in ORIGIN]
    cursor.execute(
        f"CREATE OR REPLACE VIEW store.versions.{name} AS "
        f"SELECT {', '.join([*all_fields, *former, *ORIGIN])} FROM store.kept.{name}"
    )
    cursor.execute(
        f"CREATE OR REPLACE VIEW store.records.{name} AS SELECT v.* FROM store.versions.{name} v "
        f"ANTI JOIN store.superseded.{name} s ON v._seq = s.seq"
    )


def column_type(kind: FieldType) -> str:
    """The DuckDB type in which a field is stored."""
    return {
        FieldType.TEXT: "VARCHAR", FieldType.INTEGER: "BIGINT", FieldType.DECIMAL: "DECIMAL(38, 9)",
        FieldType.BOOLEAN: "BOOLEAN", FieldType.TIMESTAMP: "TIMESTAMP", FieldType.DATE: "DATE",
        FieldType.JSON: "JSON", FieldType.TEXTS: "VARCHAR[]",
    }[kind]  # fmt: skip


def mapped(rows: Sequence[Arrival]) -> list[str]:
    """The fields that something is mapped onto in any of the arrivals."""
    return list(dict.fromkeys(name for a in rows for name in a.branch.branch.mapped))


def keep(
    cursor: DuckDBPyConnection, run: int, target: TargetModel, rows: Sequence[Arrival], on: Shelf
) -> Kept:
    """Sort good rows into inserted, updated, unchanged and duplicate, and insert the new versions.

    Must run inside the batch's transaction. The caller passes all arrivals of one target together.
    """
    good = " UNION ALL ".join(
        f"SELECT {a.base} + rowid AS seq, _kh AS kh, _vh AS vh, {_version(target, a.branch)} AS ver "
        f"FROM {a.branch.table} WHERE {a.good}"
        for a in rows
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE winner AS "
        f"SELECT kh, vh, max(seq) AS seq, any_value(ver) AS ver, count(*) AS times FROM ({good}) GROUP BY kh, vh"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE key AS "
        "SELECT kh, min(seq) AS first, count(*) AS contents FROM winner GROUP BY kh"
    )
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE hit AS SELECT * FROM {on.seen} s WHERE s.kh IN (SELECT kh FROM key)"
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE sorted AS {_sorted(target, run)}")
    if on.keep:
        _supersede(cursor, run, target)
        _insert(cursor, run, target, rows)
    cursor.execute(f"INSERT INTO {on.note} SELECT kh, vh, seq, ver FROM sorted WHERE outcome <= {_UPDATED}")
    return _counted(cursor, target, rows)


def _version(target: TargetModel, staged: StagedBranch) -> str:
    """SQL for a row's place among the versions of its record: NULL where nothing says it."""
    if target.version is None or target.version not in staged.branch.mapped:
        return "NULL::BIGINT"
    name, kind = identifier(target.version), target.field(target.version).type
    if kind in (FieldType.TIMESTAMP, FieldType.DATE):
        return f"epoch_us({name})"
    return f"TRY_CAST({name} AS BIGINT)"


def _sorted(target: TargetModel, run: int) -> str:
    """SQL that gives each distinct content of the batch its outcome."""
    if target.version is None:
        # Without a version field the order of arrival decides, so a content is known only if it is the
        # latest stored one and nothing else of its key stands before it in this batch.
        known = "SELECT kh, arg_max(vh, seq) AS vh, max(seq) AS seq FROM hit GROUP BY kh"
        same = "k.kh = w.kh AND k.vh = w.vh AND w.seq = key.first"
    else:
        known = "SELECT kh, vh, max(seq) AS seq FROM hit GROUP BY kh, vh"
        same = "k.kh = w.kh AND k.vh = w.vh"
    return f"""
        SELECT w.kh, w.vh, w.seq, w.ver, w.times, key.contents > 1 OR old.kh IS NOT NULL AS crowded,
            CASE WHEN k.seq >= {run << RUN_BITS} THEN {_DUPLICATE} WHEN k.seq IS NOT NULL THEN {_UNCHANGED}
                WHEN old.kh IS NULL AND w.seq = key.first THEN {_INSERTED} ELSE {_UPDATED} END AS outcome
        FROM winner w JOIN key ON key.kh = w.kh
        LEFT JOIN ({known}) k ON {same}
        LEFT JOIN (SELECT DISTINCT kh FROM hit) old ON old.kh = w.kh
    """


def _supersede(cursor: DuckDBPyConnection, run: int, target: TargetModel) -> None:
    """Note which versions are no longer the latest of their record."""
    name = identifier(target.name)
    changed = f"SELECT kh FROM sorted WHERE outcome <= {_UPDATED} AND crowded"
    cursor.execute(
        f"""
        INSERT INTO store.superseded.{name}
        SELECT seq, kh, {run} FROM (
            SELECT seq, kh, row_number() OVER (PARTITION BY kh ORDER BY ver DESC NULLS LAST, seq DESC) AS place
            FROM (
                SELECT kh, seq, ver FROM hit WHERE kh IN ({changed})
                UNION ALL
                SELECT kh, seq, ver FROM sorted WHERE outcome <= {_UPDATED} AND crowded
            )
        ) ranked
        WHERE place > 1 AND NOT EXISTS (
            SELECT 1 FROM store.superseded.{name} s WHERE s.seq = ranked.seq
        )
        """
    )


def _insert(cursor: DuckDBPyConnection, run: int, target: TargetModel, rows: Sequence[Arrival]) -> None:
    fields = mapped(rows)
    columns = ", ".join([*map(identifier, fields), *ORIGIN])
    selects = " UNION ALL ".join(_versions(run, fields, a) for a in rows)
    cursor.execute(f"INSERT INTO store.kept.{identifier(target.name)} ({columns}) {selects}")


def _versions(run: int, fields: Sequence[str], a: Arrival) -> str:
    """SQL for the new versions among an arrival's rows: the given fields, then `ORIGIN`."""
    origin = [
        str(run), f"{a.base} + rowid", str(a.segment), a.staged.line(a.branch.ordinal),
        literal(a.branch.branch.version), "_kh", "_vh",
    ]  # fmt: skip
    # Only its own part of the batch: what is looked up in is made anew for each arrival.
    own = f"seq >= {a.base} AND seq < {a.base + a.branch.rows}"
    return (
        f"SELECT {', '.join([*map(a.branch.column, fields), *origin])} FROM {a.branch.table} "
        f"WHERE {a.base} + rowid IN (SELECT seq FROM sorted WHERE outcome <= {_UPDATED} AND {own})"
    )


def _counted(cursor: DuckDBPyConnection, target: TargetModel, rows: Sequence[Arrival]) -> Kept:
    """Source rows by outcome. A row that fans out counts once, by the first outcome any part of it had."""
    counts = [0, 0, 0, 0]
    if any(a.branch.branch.fan_out for a in rows):
        for a in rows:
            found = cursor.execute(
                f"SELECT outcome, count(*) FROM (SELECT min(coalesce(s.outcome, {_DUPLICATE})) AS outcome "
                f"FROM (SELECT {a.branch.ordinal} AS o, {a.base} + rowid AS seq FROM {a.branch.table} "
                f"WHERE {a.good}) t LEFT JOIN sorted s ON s.seq = t.seq GROUP BY t.o) GROUP BY outcome"
            ).fetchall()
            for outcome, rows_of_it in found:
                counts[outcome] += rows_of_it
    else:
        found = cursor.execute(
            "SELECT outcome, count(*), sum(times - 1) FROM sorted GROUP BY outcome"
        ).fetchall()
        for outcome, contents, repeats in found:
            counts[outcome] += contents
            counts[_DUPLICATE] += int(repeats)
    conflicting = 0
    if target.version is not None:
        row = cursor.execute(
            f"SELECT count(DISTINCT s.seq) FROM sorted s JOIN hit h ON h.kh = s.kh AND h.ver = s.ver "
            f"WHERE s.outcome = {_UPDATED}"
        ).fetchone()
        conflicting = int(row[0]) if row else 0
    return Kept(*[*counts, conflicting])


def undo(cursor: DuckDBPyConnection, target: str, run: int) -> int:
    """Remove the versions a run wrote and bring back what they replaced. Returns how many were removed."""
    name = identifier(target)
    low, high = run << RUN_BITS, (run + 1) << RUN_BITS
    mine = f"seq >= {low} AND seq < {high}"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT kh FROM store.seen.{name} WHERE {mine}"
    )
    removed = cursor.execute(f"DELETE FROM store.kept.{name} WHERE _run = {run}").fetchall()[0][0]
    cursor.execute(f"DELETE FROM store.seen.{name} WHERE {mine}")
    cursor.execute(f"DELETE FROM store.superseded.{name} WHERE kh IN (SELECT kh FROM touched)")
    cursor.execute(
        f"""
        INSERT INTO store.superseded.{name}
        SELECT seq, kh, {run} FROM (
            SELECT seq, kh, row_number() OVER (PARTITION BY kh ORDER BY ver DESC NULLS LAST, seq DESC) AS place
            FROM store.seen.{name} WHERE kh IN (SELECT kh FROM touched)
        ) WHERE place > 1
        """
    )
    return int(removed)


def would_undo(cursor: DuckDBPyConnection, target: str, run: int) -> tuple[str, int, int, int]:
    """What `undo` would do: the target, versions removed, records with an older version, records gone."""
    name = identifier(target)
    low, high = run << RUN_BITS, (run + 1) << RUN_BITS
    [[removed, touched, restored]] = cursor.execute(
        f"""
        WITH mine AS MATERIALIZED (
            SELECT kh, count(*) AS versions FROM store.seen.{name} WHERE seq >= {low} AND seq < {high} GROUP BY kh
        )
        SELECT coalesce(sum(versions), 0), count(*), (
            SELECT count(DISTINCT kh) FROM store.seen.{name}
            WHERE (seq < {low} OR seq >= {high}) AND kh IN (SELECT kh FROM mine)
        ) FROM mine
        """
    ).fetchall()
    return target, int(removed), int(restored), int(touched) - int(restored)


def kept_targets(cursor: DuckDBPyConnection) -> list[str]:
    """Names of the target models of which the store holds records, in alphabetical order."""
    rows = cursor.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' AND schema_name = 'kept' "
        "ORDER BY table_name"
    ).fetchall()
    return [row[0] for row in rows]
