"""Audit: the tenant's journal, searched, exported and verified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from app.problems import Problem
from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.schemas.events import EventPage, EventSearch, EventSummary, EventView, VerifyResult, Witness
from storage.audit import ActionKind, Head

router = APIRouter(tags=["audit"])
Asked = Annotated[EventSearch, Query()]


class EventsAsked(EventSearch):
    """A search, and which page of it."""

    before: int | None = None
    limit: int = Field(default=100, ge=1, le=1000)


@router.get("/audit")
def events(desk: Here, who: Who, asked: Annotated[EventsAsked, Query()]) -> EventPage:
    """Audit events that a search finds, newest first."""
    journal.note(desk, who, ActionKind.READ, "audit.read")
    found = journal.found(desk, asked.search(), before=asked.before, limit=asked.limit + 1)
    views = [EventView.model_validate(row) for row in found[: asked.limit]]
    return EventPage(events=views, more=len(found) > asked.limit)


@router.get("/audit/summary")
def summary(desk: Here, asked: Asked) -> EventSummary:
    """What a search finds, counted: in all, along time, by person, action, kind and outcome."""
    return EventSummary.of(journal.summary(desk, asked.search()))


@router.get("/audit/export", response_class=StreamingResponse)
def export(desk: Here, who: Who, asked: Asked) -> StreamingResponse:
    """The events a search finds as NDJSON, newest first."""
    # Up to here: what is written of the export itself is no part of it.
    before = journal.head(desk).count + 1
    told = asked.model_dump(mode="json", exclude_defaults=True)
    journal.note(desk, who, ActionKind.EXPORT, "audit.exported", after=told)

    def lines() -> Iterator[str]:
        for row in journal.every(desk, asked.search(), before):
            yield EventView.model_validate(row).model_dump_json() + "\n"

    headers = {"content-disposition": f'attachment; filename="audit-{desk.tenant}.ndjson"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


@router.get("/audit/{seq}")
def event(desk: Here, seq: int) -> EventView:
    """One event by its number."""
    row = journal.event(desk, seq)
    if row is None or row.seq != seq:
        raise Problem(404, "There is no such event.", where=f"Event {seq:,}.")
    return EventView.model_validate(row)


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
