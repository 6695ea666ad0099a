"""Changes: what a run did to objects beyond its ledger, each kind with the records it was done to.

Altered: the same version came with other content. Revoked: its source took it back. Gone and back: a source
that gives all it holds no longer has it, or has it again. Waiting: it names what is not here. Settled: what an
older record waited for has come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from engine.scan import identifier, literal
from storage import presence, records, waiting
from storage.records import RUN_BITS

_NAMED_BY = ("name", "value", "abstract", "relationship_type", "id")


@dataclass(frozen=True)
class Touched:
    """A record by its target model and key, its id and name, and the other id it is about, if any."""

    target: str
    key: str
    id: str
    name: str
    about: str = ""


@dataclass(frozen=True)
class Change:
    """How many records something happened to, and some of them."""

    kind: str
    count: int
    records: tuple[Touched, ...]


def of_run(cursor: DuckDBPyConnection, run: int, limit: int = 20) -> list[Change]:
    """What a run changed, kinds that have any records only; of each kind up to `limit` records."""
    asked = {
        "altered": _altered(cursor, run),
        "revoked": _revoked(cursor, run),
        "gone": presence.gone_in(run),
        "back": presence.back_in(run),
        "waiting": waiting.of_run(cursor, run),
        "settled": waiting.settled_by(run),
    }
    found = []
    for kind, sql in asked.items():
        count = (
            cursor.execute(f"SELECT count(DISTINCT (target, kh)) FROM ({sql})").fetchall()[0][0] if sql else 0
        )
        if count:
            rows = cursor.execute(f"SELECT * FROM ({sql}) ORDER BY ALL LIMIT {int(limit)}").fetchall()
            some = [(row[0], row[1], row[2] if len(row) > 2 else "") for row in rows]
            found.append(Change(kind, count, tuple(touched(cursor, some))))
    return found


def touched(cursor: DuckDBPyConnection, rows: Sequence[tuple[str, int, str]]) -> list[Touched]:
    """Records by target model and key hash, with their ids and names as they are now."""
    named: dict[tuple[str, int], tuple[str, str]] = {}
    keys: dict[str, list[int]] = defaultdict(list)
    for target, key, _ in rows:
        keys[target].append(key)
    for target, wanted in keys.items():
        held = [r[0] for r in cursor.execute(f"DESCRIBE store.kept.{identifier(target)}").fetchall()]
        names = [f"{identifier(n)}::VARCHAR" for n in _NAMED_BY if n in held]
        id = "id::VARCHAR" if "id" in held else "''"
        name = f"coalesce({', '.join(names)})" if names else "''"
        for key, own, called in cursor.execute(
            f"SELECT _kh, {id}, {name} FROM store.records.{identifier(target)} "
            "WHERE list_contains(?::UBIGINT[], _kh)",
            [wanted],
        ).fetchall():
            named[target, key] = (own or "", called or "")
    return [
        Touched(target, f"{key:016x}", *named.get((target, key), ("", "")), about)
        for target, key, about in rows
    ]


def _altered(cursor: DuckDBPyConnection, run: int) -> str:
    """SQL for records of which a run brought a version that was known with other content; empty for none at all."""
    mine = f"n.seq >= {run << RUN_BITS} AND n.seq < {(run + 1) << RUN_BITS}"
    return " UNION ALL ".join(
        f"SELECT DISTINCT {literal(target)} AS target, n.kh FROM store.seen.{identifier(target)} n "
        f"SEMI JOIN store.seen.{identifier(target)} o ON o.kh = n.kh AND o.ver = n.ver AND o.vh <> n.vh "
        f"AND o.seq < n.seq WHERE {mine}"
        for target in records.kept_targets(cursor)
    )


def _revoked(cursor: DuckDBPyConnection, run: int) -> str:
    """SQL for records whose version of a run says that they are revoked, where none before it did."""
    held = cursor.execute(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = 'store' AND schema_name = 'kept' "
        "AND column_name = 'revoked' AND data_type = 'BOOLEAN' ORDER BY 1"
    ).fetchall()
    return " UNION ALL ".join(
        f"SELECT DISTINCT {literal(target)} AS target, n._kh AS kh FROM store.kept.{identifier(target)} n "
        f"WHERE n._run = {run} AND n.revoked AND NOT EXISTS (SELECT 1 FROM store.kept.{identifier(target)} o "
        "WHERE o._kh = n._kh AND o._seq < n._seq AND o.revoked)"
        for (target,) in held
    )
