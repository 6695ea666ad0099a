"""The tenant's journal: who did what, written into the same store, in the same transaction where it changes."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from duckdb import DuckDBPyConnection

from app.tenant.caller import Caller
from app.tenant.desk import Desk
from storage import audit
from storage.audit import ActionKind, Event, Head, Verdict

TABLE = "store.spire.audit"


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


def recent(desk: Desk, *, before: int | None, limit: int) -> list[audit.Row]:
    """Events, newest first, those before number `before`."""
    last = head(desk).count
    end = min(last, before - 1) if before is not None else last
    found = list(audit.rows(desk.store.cursor(), TABLE, after=max(0, end - limit), limit=limit))
    return [row for row in reversed(found) if row.seq <= end]


def verify(desk: Desk, witness: Head | None) -> Verdict:
    """Check the whole chain, and against where it was seen before."""
    return audit.verify(audit.rows(desk.store.cursor(), TABLE), desk.keys.audit, witness)
