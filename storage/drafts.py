"""Drafts: what is being written on a subject, every state of it since it began, and where in them it stands.

An edit puts a state after the present one; undo and redo move between states. Each of these makes a new
revision, and each names the revision it started from, so nobody's work is written over unseen. A number
is never used again: a draft that ended and began anew must not pass for the one somebody still looks at.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.errors import Stop

# The oldest states are let go.
MOST = 100


@dataclass(frozen=True)
class Draft:
    """A draft as it stands. `past` and `future` count the states undo and redo can reach."""

    subject: str
    revision: int
    who: str
    at: datetime
    past: int
    future: int
    content: dict[str, Any]


class Overtaken(Stop):
    """Somebody else has changed this draft meanwhile, so your change was not kept."""

    def __init__(self, subject: str, there: Draft | None) -> None:
        super().__init__(subject, action="Take up the newer state, then make your change again.")
        self.there = there


def find(cursor: DuckDBPyConnection, subject: str) -> Draft | None:
    """The draft of a subject, if there is one."""
    found = _read(cursor, "WHERE d.subject = ?", [subject])
    return found[0] if found else None


def all_of(cursor: DuckDBPyConnection) -> list[Draft]:
    """Every draft, the one changed last first."""
    return _read(cursor, "ORDER BY d.moment DESC, d.subject", [])


def put(
    cursor: DuckDBPyConnection,
    subject: str,
    content: dict[str, Any],
    *,
    who: str,
    now: Callable[[], datetime],
    based_on: int,
) -> Draft:
    """One edit that can be undone; with `based_on` 0 the draft begins. Overtaken where it has moved on."""
    _expected(cursor, subject, based_on)
    row = cursor.execute("SELECT place FROM store.spire.drafts WHERE subject = ?", [subject]).fetchone()
    place = row[0] + 1 if row else 0
    cursor.execute(
        "DELETE FROM store.spire.draft_states WHERE subject = ? AND (place >= ? OR place < ?)",
        [subject, place, place - MOST],
    )
    cursor.execute(
        "INSERT INTO store.spire.draft_states VALUES (?, ?, ?)",
        [subject, place, json.dumps(content, ensure_ascii=False)],
    )
    return _stand(cursor, subject, place, who, now())


def move(
    cursor: DuckDBPyConnection, subject: str, by: int, *, who: str, now: Callable[[], datetime], based_on: int
) -> Draft:
    """Undo (`by` -1) or redo (1). Where there is nothing to undo or redo, the draft stays as it is."""
    last = _expected(cursor, subject, based_on)
    if last is None:
        raise Overtaken(subject, None)
    if not (last.past if by < 0 else last.future):
        return last
    row = cursor.execute("SELECT place FROM store.spire.drafts WHERE subject = ?", [subject]).fetchone()
    assert row is not None  # noqa: S101 - tells the type checker
    return _stand(cursor, subject, row[0] + by, who, now())


def end(cursor: DuckDBPyConnection, subject: str, based_on: int | None = None) -> Draft | None:
    """Forget a draft and all its states; gives what it was."""
    last = find(cursor, subject) if based_on is None else _expected(cursor, subject, based_on)
    cursor.execute("DELETE FROM store.spire.drafts WHERE subject = ?", [subject])
    cursor.execute("DELETE FROM store.spire.draft_states WHERE subject = ?", [subject])
    return last


def _expected(cursor: DuckDBPyConnection, subject: str, revision: int) -> Draft | None:
    last = find(cursor, subject)
    if (last.revision if last else 0) != revision:
        raise Overtaken(subject, last)
    return last


def _stand(cursor: DuckDBPyConnection, subject: str, place: int, who: str, at: datetime) -> Draft:
    cursor.execute("DELETE FROM store.spire.drafts WHERE subject = ?", [subject])
    cursor.execute(
        "INSERT INTO store.spire.drafts VALUES (?, nextval('store.spire.draft_revision'), ?, ?, ?)",
        [subject, place, who, at],
    )
    found = find(cursor, subject)
    assert found is not None  # noqa: S101 - tells the type checker
    return found


def _read(cursor: DuckDBPyConnection, rest: str, values: list[Any]) -> list[Draft]:
    rows = cursor.execute(
        "SELECT d.subject, d.revision, d.who, d.moment, "
        "(SELECT count(*) FROM store.spire.draft_states s WHERE s.subject = d.subject AND s.place < d.place), "
        "(SELECT count(*) FROM store.spire.draft_states s WHERE s.subject = d.subject AND s.place > d.place), "
        "(SELECT any_value(s.content) FROM store.spire.draft_states s "
        "WHERE s.subject = d.subject AND s.place = d.place) "
        f"FROM store.spire.drafts d {rest}",
        values,
    ).fetchall()
    return [Draft(*[*row[:6], json.loads(row[6])]) for row in rows]
