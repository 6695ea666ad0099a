"""Audit: the tenant's journal, read and verified."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.schemas.events import EventPage, EventView, VerifyResult, Witness
from storage.audit import ActionKind, Head

router = APIRouter(tags=["audit"])


@router.get("/audit")
def events(
    desk: Here, who: Who, before: int | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> EventPage:
    """Audit events, newest first."""
    journal.note(desk, who, ActionKind.READ, "audit.read")
    found = journal.recent(desk, before=before, limit=limit)
    more = bool(found) and found[-1].seq > 1
    return EventPage(events=[EventView.model_validate(row) for row in found], more=more)


@router.post("/audit/verify")
def verify(desk: Here, who: Who, witness: Witness | None = None) -> VerifyResult:
    """Check every link of the chain, and that it goes on from where it was last seen."""
    seen = Head(witness.count, witness.hash) if witness and witness.hash else None
    verdict = journal.verify(desk, seen)
    journal.note(desk, who, ActionKind.SECURITY, "audit.verified", outcome="done" if verdict.ok else "failed")
    return VerifyResult(
        ok=verdict.ok,
        count=verdict.head.count,
        hash=verdict.head.hash,
        broken=verdict.broken,
        reason=verdict.reason,
    )
