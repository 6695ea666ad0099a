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

from engine.scan import identifier
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
    found: dict[str, Sequence[tuple[str, int, str]]] = {
        "altered": _altered(cursor, run),
        "revoked": _revoked(cursor, run),
        "gone": [(*each, "") for each in presence.gone_in(cursor, run)],
        "back": [(*each, "") for each in presence.back_in(cursor, run)],
        "waiting": waiting.of_run(cursor, run),
        "settled": waiting.settled_by(cursor, run),
    }
    return [
        Change(kind, len({each[:2] for each in rows}), tuple(touched(cursor, rows[:limit])))
        for kind, rows in found.items()
        if rows
    ]


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


def _altered(cursor: DuckDBPyConnection, run: int) -> list[tuple[str, int, str]]:
    found = []
    for target in records.kept_targets(cursor):
        seen = f"store.seen.{identifier(target)}"
        rows = cursor.execute(
            f"SELECT DISTINCT n.kh FROM {seen} n SEMI JOIN {seen} o ON o.kh = n.kh AND o.ver = n.ver "
            f"AND o.vh <> n.vh AND o.seq < n.seq WHERE n.seq >= {run << RUN_BITS} AND n.seq < {(run + 1) << RUN_BITS} "
            "ORDER BY 1"
        ).fetchall()
        found += [(target, row[0], "") for row in rows]
    return found


def _revoked(cursor: DuckDBPyConnection, run: int) -> list[tuple[str, int, str]]:
    """Records whose version of this run says that they are revoked, where the one before did not."""
    found = []
    for target in records.kept_targets(cursor):
        name = identifier(target)
        columns = {r[0]: r[1] for r in cursor.execute(f"DESCRIBE store.kept.{name}").fetchall()}
        if columns.get("revoked") != "BOOLEAN":
            continue
        rows = cursor.execute(
            f"SELECT DISTINCT n._kh FROM store.kept.{name} n WHERE n._run = {run} AND n.revoked AND NOT EXISTS ("
            f"SELECT 1 FROM store.kept.{name} o WHERE o._kh = n._kh AND o._seq < n._seq AND o.revoked) ORDER BY 1"
        ).fetchall()
        found += [(target, row[0], "") for row in rows]
    return found
