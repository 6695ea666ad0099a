"""Waiting: references to objects that are not here yet, parked until they arrive.

A reference is an id in a `_ref` or `_refs` field, or anywhere in a whole STIX object as a text of its own:
deep in granular markings and extensions, and in what no standard names. What a batch finds dangling is noted
with the version that names it, in `waiting`; the batch that brings the object notes that, in `settled`. Both are
only ever inserted, and commit with their batch, so a reference waits across pages, feeds and restarts, and
waits again where a load is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from engine.scan import identifier, literal
from engine.types.vocabularies.tlp import EXTENSION, MARKINGS
from storage import records
from storage.records import RUN_BITS

_ID = '"([a-z][a-z0-9-]*--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"'
# Objects of types without a model of their own are in these.
_OTHERS = ("observable", "stix-object")


@dataclass(frozen=True)
class Awaited:
    """An id that is not here: how many records name it, and the target models they are of."""

    ref: str
    records: int
    targets: tuple[str, ...]


def note(cursor: DuckDBPyConnection, run: int, since: int, written: Iterable[str]) -> None:
    """Park what the versions from `_seq` `since` on name and the store lacks; settle what waits for them.

    Must run inside the batch's transaction, after its records are in.
    """
    for target in written:
        cursor.execute(
            f"""
            INSERT INTO store.spire.settled
            SELECT {run}, w.seq, w.rh FROM store.spire.waiting w
            SEMI JOIN (SELECT kh FROM store.seen.{identifier(target)} WHERE seq >= {since}) n ON n.kh = w.rh
            ANTI JOIN store.spire.settled s ON s.seq = w.seq AND s.rh = w.rh
            """
        )
        _park(cursor, target, f"_run = {run} AND _seq >= {since}")


def _park(cursor: DuckDBPyConnection, target: str, which: str, refs: str = "true") -> None:
    """Note what the versions `which` means name, as far as `refs` holds of its hash `rh` and it is not here."""
    named = _named(cursor, target)
    if not named:
        return
    # The standard defines these, so nobody sends them.
    known = ", ".join(map(literal, (*MARKINGS, EXTENSION)))
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE naming AS
        SELECT DISTINCT _run, _seq, _kh, ref, hash(ref) AS rh FROM (
            SELECT _run, _seq, _kh, unnest({named}) AS ref FROM store.kept.{identifier(target)} WHERE {which}
        ) WHERE contains(ref, '--') AND rh <> _kh AND ref NOT IN ({known}) AND {refs}
        """
    )
    for kind in _kinds(cursor):
        cursor.execute(
            f"DELETE FROM naming WHERE rh IN (SELECT kh FROM store.seen.{identifier(kind)} "
            "WHERE kh IN (SELECT rh FROM naming))"
        )
    cursor.execute(
        f"INSERT INTO store.spire.waiting SELECT _run, {literal(target)}, _seq, _kh, ref, rh FROM naming n "
        "ANTI JOIN store.spire.waiting w ON w.seq = n._seq AND w.rh = n.rh"
    )
    cursor.execute("DROP TABLE naming")


def _named(cursor: DuckDBPyConnection, target: str) -> str:
    """SQL for the list of ids a version names; empty where its fields can't name any.

    Most objects name what their fields name and nothing else: only where the text holds more ids than those
    is it searched, which costs ten times as much as counting them.
    """
    held = {row[0]: row[1] for row in cursor.execute(f"DESCRIBE store.kept.{identifier(target)}").fetchall()}
    refs = {name: kind for name, kind in held.items() if name.endswith(("_ref", "_refs"))}
    lists = [identifier(name) for name, kind in refs.items() if kind == "VARCHAR[]"]
    single = [identifier(name) for name, kind in refs.items() if kind == "VARCHAR"]
    parts = [f"[{', '.join(single)}]"] if single else []
    parts += [f"coalesce({name}, [])" for name in lists]
    if held.get("object") == "JSON":
        text = "object::VARCHAR"
        # A mapping may name what the text does not.
        counted = [f"coalesce(contains({text}, {name}), false)::INTEGER" for name in single]
        counted += [f"coalesce(len(list_filter({name}, x -> contains({text}, x))), 0)" for name in lists]
        # The object's own id is the one more.
        many = f"len(string_split({text}, '--')) - 1 > {' + '.join(['1', *counted])}"
        parts.append(f"CASE WHEN {many} THEN regexp_extract_all({text}, {literal(_ID)}, 1) ELSE [] END")
    return " || ".join(parts)


def _kinds(cursor: DuckDBPyConnection) -> Iterator[str]:
    """The stored target models in which the ids of `naming` may be."""
    kept = set(records.kept_targets(cursor))
    kinds = {
        row[0] for row in cursor.execute("SELECT DISTINCT split_part(ref, '--', 1) FROM naming").fetchall()
    }
    yield from sorted(kept & kinds)
    if kinds - kept:
        yield from (name for name in _OTHERS if name in kept - kinds)


def leaving(cursor: DuckDBPyConnection, run: int) -> None:
    """Note which records go wholly with a run that is about to be taken back."""
    mine = _of(run)
    every = " UNION ALL ".join(
        f"(SELECT kh FROM store.seen.{identifier(name)} WHERE {mine} EXCEPT "
        f"SELECT kh FROM store.seen.{identifier(name)} WHERE NOT ({mine}))"
        for name in records.kept_targets(cursor)
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE leaving AS {every or 'SELECT 0::UBIGINT AS kh LIMIT 0'}")


def left(cursor: DuckDBPyConnection, run: int) -> None:
    """The run is taken back: its references go, and what others name of the records that left waits again."""
    cursor.execute("DELETE FROM store.spire.waiting WHERE run = ?", [run])
    cursor.execute(f"DELETE FROM store.spire.settled WHERE {_of(run)} OR rh IN (SELECT kh FROM leaving)")
    if cursor.execute("SELECT count(*) FROM leaving").fetchall()[0][0]:
        for name in records.kept_targets(cursor):
            _park(cursor, name, "true", "rh IN (SELECT kh FROM leaving)")
    cursor.execute("DROP TABLE leaving")


def _of(run: int) -> str:
    return f"seq >= {run << RUN_BITS} AND seq < {(run + 1) << RUN_BITS}"


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────


def _open(cursor: DuckDBPyConnection) -> str:
    """SQL for the references that wait now, of versions that are the latest of their record."""
    targets = cursor.execute("SELECT DISTINCT target FROM store.spire.waiting").fetchall()
    older = " UNION ALL ".join(f"SELECT seq FROM store.superseded.{identifier(row[0])}" for row in targets)
    latest = f"ANTI JOIN ({older}) o ON o.seq = w.seq" if older else ""
    return (
        "SELECT w.* FROM store.spire.waiting w "
        f"ANTI JOIN store.spire.settled s ON s.seq = w.seq AND s.rh = w.rh {latest}"
    )


def awaited(cursor: DuckDBPyConnection, limit: int = 100, offset: int = 0) -> tuple[list[Awaited], int, int]:
    """Ids that are waited for, those most records name first; how many there are, and how many records wait."""
    opened = _open(cursor)
    ids, waiting = cursor.execute(f"SELECT count(DISTINCT ref), count(DISTINCT (target, kh)) FROM ({opened})").fetchall()[0]  # fmt: skip
    rows = cursor.execute(
        f"SELECT ref, count(DISTINCT (target, kh)), list_sort(list(DISTINCT target)) FROM ({opened}) GROUP BY ref "
        f"ORDER BY 2 DESC, 1 LIMIT {int(limit)} OFFSET {int(offset)}"
    ).fetchall()
    return [Awaited(ref, count, tuple(targets)) for ref, count, targets in rows], ids, waiting


def of_id(cursor: DuckDBPyConnection, ref: str, limit: int = 20) -> list[tuple[str, int]]:
    """Records that wait for an id: target model and key hash."""
    return cursor.execute(
        f"SELECT DISTINCT target, kh FROM ({_open(cursor)}) WHERE rh = hash(?) AND ref = ? ORDER BY ALL LIMIT {int(limit)}",
        [ref, ref],
    ).fetchall()


def of_record(cursor: DuckDBPyConnection, target: str, key: int) -> list[str]:
    """The ids a record waits for."""
    rows = cursor.execute(
        f"SELECT DISTINCT ref FROM ({_open(cursor)}) WHERE target = ? AND kh = ? ORDER BY 1", [target, key]
    ).fetchall()
    return [row[0] for row in rows]


def of_run(cursor: DuckDBPyConnection, run: int) -> str:
    """SQL for what versions a run wrote wait for still: target model, key hash and id."""
    return f"SELECT DISTINCT target, kh, ref FROM ({_open(cursor)}) WHERE run = {run}"


def settled_by(run: int) -> str:
    """SQL for the references of older runs whose objects a run brought: target model, key hash and id."""
    return (
        "SELECT DISTINCT w.target, w.kh, w.ref FROM store.spire.settled s JOIN store.spire.waiting w "
        f"ON w.seq = s.seq AND w.rh = s.rh WHERE s.run = {run} AND w.run <> s.run"
    )
