"""The control plane's own audit chain, and the witnessed heads of every chain."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from storage.audit import COLUMNS, ChainBroken, Event, Head, Row, Verdict, head_after, link, spoken, verify
from storage.audit_search import (
    COUNTED,
    LENGTH,
    MOST_STRETCHES,
    MOST_VALUES,
    READ_BY_PEOPLE,
    Bar,
    Search,
    Summary,
    step_for,
)
from storage.control.database import lock
from storage.control.installation import Installation
from storage.control.tables import AuditHeadRow, AuditRow

CONTROL = "control"


def tenant_chain(tenant: str) -> str:
    """The name of a tenant's chain; no tenant can take the control plane's."""
    return f"tenant:{tenant}"


def _mac(keys: Installation, chain: str, head: Head) -> str:
    spoken = json.dumps(["head", chain, head.count, head.hash]).encode()
    return hmac.new(keys.audit, spoken, hashlib.sha256).hexdigest()


def head(session: Session, keys: Installation, chain: str) -> Head:
    """Where a chain was last seen. Errors: ChainBroken, where the note itself was changed."""
    # Read anew: the session may have seen it before another transaction moved it on.
    query = select(AuditHeadRow).where(AuditHeadRow.chain == chain)
    row = session.scalars(query.execution_options(populate_existing=True)).first()
    if row is None:
        return Head()
    found = Head(row.count, row.hash)
    if not hmac.compare_digest(row.mac, _mac(keys, chain, found)):
        raise ChainBroken(f"The head of {chain} was changed.", action="Restore the control database.")
    return found


def advance(session: Session, keys: Installation, chain: str, to: Head) -> None:
    """Witness where a chain stands now. Errors: ChainBroken, where it went back or is another.

    Call it after the chain's own commit: a chain may be ahead of its witness, never behind.
    """
    lock(session, f"audit {chain}")
    now = head(session, keys, chain)
    if to.count < now.count or (to.count == now.count and to.hash != now.hash):
        raise ChainBroken(
            f"{chain} is at event {to.count} and was at {now.count}.",
            action="Run spire audit verify, and restore from a backup.",
        )
    session.merge(AuditHeadRow(chain=chain, count=to.count, hash=to.hash, mac=_mac(keys, chain, to)))
    session.flush()


def record(session: Session, keys: Installation, event: Event, at: datetime, tenant: str = "") -> Row:
    """Add an event to the control plane's chain; it commits with the change it tells of.

    Call it last in the transaction: the chain is locked from here to the commit.
    """
    lock(session, f"audit {CONTROL}")
    row = link(keys.audit, head(session, keys, CONTROL), tenant, event, at)
    session.add(AuditRow(**{name: getattr(row, name) for name in COLUMNS}))
    session.flush()
    advance(session, keys, CONTROL, head_after(row))
    return row


def rows(session: Session) -> Iterator[Row]:
    """The whole chain in order, a few thousand rows in memory at a time."""
    for row in session.scalars(select(AuditRow).order_by(AuditRow.seq).execution_options(yield_per=2000)):
        yield _row(row)


def events(
    session: Session,
    *,
    search: Search | None = None,
    tenant: str | None = None,
    before: int | None = None,
    limit: int = 200,
) -> list[Row]:
    """The latest events a search finds, newest first; those of one tenant if named, those before a number."""
    query = select(AuditRow).where(*_where(search or Search(), tenant)).order_by(AuditRow.seq.desc())
    if before is not None:
        query = query.where(AuditRow.seq < before)
    return [_row(row) for row in session.scalars(query.limit(limit))]


def event(session: Session, seq: int) -> Row | None:
    """One event by its number."""
    row = session.get(AuditRow, seq)
    return None if row is None else _row(row)


def summary(session: Session, search: Search, tenant: str | None = None) -> Summary:
    """What a search finds, counted."""
    where = _where(search, tenant)
    bounds = select(func.count(), func.min(AuditRow.at), func.max(AuditRow.at)).where(*where)
    total, first, last = session.execute(bounds).one()
    if not total:
        return Summary(0, "hour", [], {name: [] for name in COUNTED})
    step = step_for(first, last)
    start = func.substr(AuditRow.at, 1, LENGTH[step])
    wrong = func.sum(case((AuditRow.outcome != "done", 1), else_=0))
    stretches = select(start, func.count(), wrong).where(*where).group_by(start).order_by(start.desc())
    bars = [Bar(*one) for one in session.execute(stretches.limit(MOST_STRETCHES))]
    counted = {}
    for name in COUNTED:
        column = getattr(AuditRow, name)
        values = select(column, func.count()).where(*where).group_by(column)
        values = values.order_by(func.count().desc(), column).limit(MOST_VALUES)
        counted[name] = [(str(value), int(number)) for value, number in session.execute(values)]
    return Summary(total, step, bars[::-1], counted)


def _where(search: Search, tenant: str | None) -> list[ColumnElement[bool]]:
    found = [getattr(AuditRow, name) == wanted for name in COUNTED if (wanted := getattr(search, name))]
    if tenant is not None:
        found.append(AuditRow.tenant == tenant)
    if search.object:
        found.append(AuditRow.object.icontains(search.object, autoescape=True))
    if search.text:
        fields = [getattr(AuditRow, name) for name in READ_BY_PEOPLE]
        found.append(or_(*(field.icontains(search.text, autoescape=True) for field in fields)))
    if search.since is not None:
        found.append(AuditRow.at >= spoken(search.since))
    if search.until is not None:
        found.append(AuditRow.at < spoken(search.until))
    return found


def verify_control(session: Session, keys: Installation) -> Verdict:
    """Check the control plane's chain against its witnessed head.

    Both are in this database: who can restore an old copy of it whole can hide what came after. Keep the
    head elsewhere (a log server, a printed line) to see that too.
    """
    try:
        witness = head(session, keys, CONTROL)
    except ChainBroken as broken:
        return Verdict(False, Head(), None, str(broken))
    return verify(rows(session), keys.audit, witness)


def _row(row: AuditRow) -> Row:
    return Row(**{name: getattr(row, name) for name in COLUMNS})
