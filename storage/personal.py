"""What a person keeps in a tenant for themselves: the queries they asked, and how they like their screens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from storage.definitions import NotFound

KEPT = 200


@dataclass(frozen=True)
class Asked:
    """A query a person asked. `outcome` is done, refused, stopped or cancelled; `rows` is None unless done."""

    id: int
    sql: str
    at: datetime
    seconds: float
    rows: int | None
    outcome: str


def note_asked(
    cursor: DuckDBPyConnection,
    who: str,
    sql: str,
    at: datetime,
    *,
    seconds: float,
    rows: int | None,
    outcome: str,
) -> int:
    """Put a query at the head of a person's history, once: asked again, it moves up. Gives its number."""
    cursor.execute("DELETE FROM store.spire.asked WHERE who = ? AND sql = ?", [who, sql])
    number = cursor.execute("SELECT nextval('store.spire.asked_id')").fetchall()[0][0]
    cursor.execute(
        "INSERT INTO store.spire.asked VALUES (?, ?, ?, ?, ?, ?, ?)",
        [number, who, sql, at, seconds, rows, outcome],
    )
    cursor.execute(
        "DELETE FROM store.spire.asked WHERE who = ? AND id NOT IN "
        f"(SELECT id FROM store.spire.asked WHERE who = ? ORDER BY id DESC LIMIT {KEPT})",
        [who, who],
    )
    return int(number)


def history(cursor: DuckDBPyConnection, who: str) -> list[Asked]:
    """What a person asked, newest first."""
    rows = cursor.execute(
        "SELECT id, sql, moment, seconds, rows, outcome FROM store.spire.asked WHERE who = ? ORDER BY id DESC",
        [who],
    ).fetchall()
    return [Asked(*row) for row in rows]


def asked(cursor: DuckDBPyConnection, who: str, number: int) -> Asked:
    """One query of a person's history; NotFound where it isn't theirs."""
    found = [one for one in history(cursor, who) if one.id == number]
    if not found:
        raise NotFound(f"query {number}.")
    return found[0]


def forget(cursor: DuckDBPyConnection, who: str) -> None:
    """Empty a person's history."""
    cursor.execute("DELETE FROM store.spire.asked WHERE who = ?", [who])


def preference(cursor: DuckDBPyConnection, who: str, name: str) -> Any:
    """What a person chose under a name, None where they didn't."""
    row = cursor.execute(
        "SELECT body FROM store.spire.preferences WHERE who = ? AND name = ?", [who, name]
    ).fetchone()
    return json.loads(row[0]) if row else None


def prefer(cursor: DuckDBPyConnection, who: str, name: str, body: Any) -> None:
    """Keep a person's choice; None lets go of it."""
    cursor.execute("DELETE FROM store.spire.preferences WHERE who = ? AND name = ?", [who, name])
    if body is not None:
        cursor.execute("INSERT INTO store.spire.preferences VALUES (?, ?, ?)", [who, name, json.dumps(body)])
