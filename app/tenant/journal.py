"""The tenant's journal: who did what, written into the same store, in the same transaction where it changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from duckdb import DuckDBPyConnection

from app.tenant.caller import Caller
from app.tenant.desk import Desk
from storage import audit, audit_search
from storage.audit import ActionKind, Event, Head, Verdict
from storage.audit_search import Search, Summary

TABLE = "store.spire.audit"
PIECE = 5000


def prepare(desk: Desk) -> None:
    """Make the journal where there is none yet."""
    with desk.store.transaction() as cursor:
        cursor.execute(audit.ddl(TABLE))


def note(
    desk: Desk,
    who: Caller,
    kind: ActionKind,
    action: str,
    object: str = "",
    *,
    before: Any = None,
    after: Any = None,
    outcome: str = "done",
    cursor: DuckDBPyConnection | None = None,
) -> None:
    """Write an event down if the tenant's level asks for it.

    With `cursor` it takes part in the transaction that is open there, so the change and its event
    commit together.
    """
    if not audit.written(desk.settings.audit_level, kind, outcome):
        return
    event = Event(kind, who.user, action, object, outcome, before, after)
    at = desk.now().replace(tzinfo=UTC)
    if cursor is not None:
        audit.append(cursor, TABLE, desk.keys.audit, desk.tenant, [event], at)
        return
    with desk.store.transaction() as own:
        audit.append(own, TABLE, desk.keys.audit, desk.tenant, [event], at)


def head(desk: Desk) -> Head:
    """Where the journal stands, for whoever keeps it in another place."""
    with desk.store.cursor() as cursor:
        return audit.head(cursor, TABLE)


def found(desk: Desk, search: Search, *, before: int | None = None, limit: int = 100) -> list[audit.Row]:
    """Events a search finds, newest first, those before number `before`."""
    with desk.store.cursor() as cursor:
        return audit_search.found(cursor, TABLE, search, before=before, limit=limit)


def every(desk: Desk, search: Search, before: int) -> Iterator[audit.Row]:
    """All events a search finds before a number, newest first, some thousands in memory at a time."""
    while some := found(desk, search, before=before, limit=PIECE):
        yield from some
        before = some[-1].seq


def summary(desk: Desk, search: Search) -> Summary:
    """What a search finds, counted."""
    with desk.store.cursor() as cursor:
        return audit_search.summary(cursor, TABLE, search)


def event(desk: Desk, seq: int) -> audit.Row | None:
    """One event by its number."""
    with desk.store.cursor() as cursor:
        return next(audit.rows(cursor, TABLE, after=seq - 1, limit=1), None)


def verify(desk: Desk, witness: Head | None) -> Verdict:
    """Check the whole chain, and against where it was seen before."""
    return audit.verify(audit.rows(desk.store.cursor(), TABLE), desk.keys.audit, witness)
