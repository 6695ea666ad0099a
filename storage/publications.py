"""Publications: how far each has been delivered, what its deliveries come to, and the next records to go.

A delivery's count and the place it has reached commit together, page by page, so that one that is cut short goes
on behind its last page, and what it sends twice the other side finds unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine.model import TargetModel
from engine.ports import Refused
from engine.scan import identifier
from storage import filters, published, records
from storage.definitions import NotFound
from storage.filters import Filter
from storage.published import Entry, Ledger
from storage.store import Store

# What `published.keep` and `published.withdrew` enter.
Kept = tuple[Ledger, Sequence[Entry]]
TakenBack = tuple[Ledger, Sequence[int], datetime]
EVERYTHING = (1 << 63) - 1
NOTHING = -1


@dataclass(frozen=True)
class Delivery:
    """One delivery of a publication: `taken` records were `sent` or `withdrawn`, or the other side `refused`.
    `less` of those sent say less there than they did here.

    `state` is running, finished, failed or cancelled; `until` and `reached` are places in the order of arrival.
    """

    delivery: int
    publication: str
    version: int
    place: str
    state: str
    started: datetime
    finished: datetime | None
    started_by: str
    until: int
    reached: int
    taken: int
    sent: int
    refused: int
    error: dict[str, Any] | None
    withdrawn: int
    less: int


@dataclass(frozen=True)
class Page:
    """Records that go next, in order of arrival, and the place they reach."""

    rows: pa.Table
    reached: int


def begin(
    store: Store, publication: str, version: int, place: str, by: str, now: datetime, *, anew: bool = False
) -> int:
    """Enter a new delivery in the books: it goes on where the last to that place ended, or begins `anew`.

    It ends before the oldest run under way: what that has still to commit would stand before what came after it.
    """
    with store.transaction() as cursor:
        number = cursor.execute(
            "SELECT coalesce(max(delivery), 0) + 1 FROM store.spire.deliveries"
        ).fetchall()
        after = NOTHING if anew else reached(cursor, publication, place)
        cursor.execute(
            "INSERT INTO store.spire.deliveries VALUES (?, ?, ?, ?, 'running', ?, NULL, ?, ?, ?, 0, 0, 0, NULL, 0, 0)",
            [number[0][0], publication, version, place, now, by, _settled(cursor), after],
        )
    return int(number[0][0])


def reached(cursor: DuckDBPyConnection, publication: str, place: str) -> int:
    """How far the publication has been delivered to a place."""
    found = cursor.execute(
        "SELECT reached FROM store.spire.deliveries WHERE publication = ? AND place = ? ORDER BY delivery DESC LIMIT 1",
        [publication, place],
    ).fetchone()
    return int(found[0]) if found else NOTHING


def _settled(cursor: DuckDBPyConnection) -> int:
    found = cursor.execute("SELECT min(run) FROM store.spire.runs WHERE state = 'running'").fetchone()
    return EVERYTHING if found is None or found[0] is None else (int(found[0]) << records.RUN_BITS) - 1


def page(
    cursor: DuckDBPyConnection, target: TargetModel, asked: Filter, after: int, until: int, rows: int
) -> Page | None:
    """The next records after a place, as they stand now; None where there are none."""
    if not records.exists(cursor, target.name):
        return None
    where = filters.condition(cursor, target, asked)
    found = cursor.execute(
        f"SELECT * FROM store.records.{identifier(target.name)} WHERE {where.sql} AND _seq > ? AND _seq <= ? "
        f"ORDER BY _seq LIMIT {int(rows)}",
        [*where.values, after, until],
    ).to_arrow_table()
    return Page(found, found.column("_seq")[-1].as_py()) if found.num_rows else None


def sighted(cursor: DuckDBPyConnection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of indicators and observables by their ids the attribute of MISP's each came as, if one, and its value."""
    found: dict[str, tuple[str, str]] = {}
    for name in ("indicator", "observable"):
        if ids and records.exists(cursor, name):
            rows = cursor.execute(
                "SELECT id, json_extract_string(object, ['$.row', '$.uuid']), value "
                f"FROM store.records.{name} WHERE id IN (SELECT unnest(?))",
                [list(ids)],
            ).fetchall()
            found |= {
                id: (came[1] or "" if came and came[0] == "attribute" else "", value or "")
                for id, came, value in rows
            }
    return found


def waiting(cursor: DuckDBPyConnection, target: TargetModel, asked: Filter, after: int) -> int:
    """How many records have come since a place."""
    if not records.exists(cursor, target.name):
        return 0
    where = filters.condition(cursor, target, asked)
    found = cursor.execute(
        f"SELECT count(*) FROM store.records.{identifier(target.name)} WHERE {where.sql} AND _seq > ?",
        [*where.values, after],
    ).fetchall()
    return int(found[0][0])


def took(
    store: Store,
    delivery: int,
    sent: int,
    refused: Sequence[Refused],
    reached: int,
    kept: Kept | None = None,
    less: int = 0,
) -> None:
    """Enter a page the other side has answered for, all of it, and what of it is `kept` there."""
    with store.transaction() as cursor:
        count(cursor, delivery, refused, sent=sent)
        cursor.execute(
            "UPDATE store.spire.deliveries SET reached = greatest(reached, ?), less = less + ? WHERE delivery = ?",
            [reached, less, delivery],
        )
        if kept is not None:
            published.keep(cursor, *kept)


def took_back(store: Store, delivery: int, gone: int, refused: Sequence[Refused], taken: TakenBack) -> None:
    """Enter records the other side has taken back, or would not."""
    with store.transaction() as cursor:
        count(cursor, delivery, refused, withdrawn=gone)
        published.withdrew(cursor, *taken)


def count(
    cursor: DuckDBPyConnection,
    delivery: int,
    refused: Sequence[Refused],
    *,
    sent: int = 0,
    withdrawn: int = 0,
) -> None:
    """Add to what a delivery comes to."""
    cursor.execute(
        "UPDATE store.spire.deliveries SET taken = taken + ?, sent = sent + ?, withdrawn = withdrawn + ?, "
        "refused = refused + ? WHERE delivery = ?",
        [sent + withdrawn + len(refused), sent, withdrawn, len(refused), delivery],
    )
    if refused:
        ids, reasons = [one.id for one in refused], [one.why for one in refused]
        cursor.execute(
            "INSERT INTO store.spire.refusals SELECT ?, unnest(?), unnest(?)", [delivery, ids, reasons]
        )


def end(store: Store, delivery: int, state: str, now: datetime, error: dict[str, Any] | None = None) -> None:
    """Say how a delivery ended."""
    with store.transaction() as cursor:
        cursor.execute(
            "UPDATE store.spire.deliveries SET state = ?, finished = ?, error = ? WHERE delivery = ?",
            [state, now, json.dumps(error) if error else None, delivery],
        )


def get(cursor: DuckDBPyConnection, publication: str, delivery: int) -> Delivery:
    """One delivery of a publication; NotFound where there is none of that number."""
    found = _read(cursor, "publication = ? AND delivery = ?", [publication, delivery])
    if not found:
        raise NotFound(f"delivery {delivery} of {publication}.")
    return found[0]


def recent(cursor: DuckDBPyConnection, publication: str, limit: int = 50) -> list[Delivery]:
    """A publication's deliveries, newest first."""
    return _read(cursor, f"publication = ? ORDER BY delivery DESC LIMIT {int(limit)}", [publication])


def under_way(cursor: DuckDBPyConnection) -> list[Delivery]:
    """Deliveries that are going, or were when the process died."""
    return _read(cursor, "state = 'running' ORDER BY delivery", [])


def refusals(cursor: DuckDBPyConnection, delivery: int, limit: int) -> list[Refused]:
    """Records the other side would not have, the first of them."""
    rows = cursor.execute(
        f"SELECT id, why FROM store.spire.refusals WHERE delivery = ? ORDER BY rowid LIMIT {int(limit)}",
        [delivery],
    ).fetchall()
    return [Refused(*row) for row in rows]


def _read(cursor: DuckDBPyConnection, condition: str, values: list[Any]) -> list[Delivery]:
    rows = cursor.execute(f"SELECT * FROM store.spire.deliveries WHERE {condition}", values).fetchall()
    return [
        Delivery(*[*row[:-3], json.loads(row[-3]) if row[-3] else None, int(row[-2] or 0), int(row[-1] or 0)])
        for row in rows
    ]
