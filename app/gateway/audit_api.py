"""Control routes: the installation's own audit log, searched, exported and verified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from app.gateway.services import Services, principal
from app.problems import Problem
from app.tenant.schemas.events import EventSearch, EventSummary
from storage.audit import ActionKind, Row
from storage.control import control_audit

PIECE = 5000


class AuditEvent(BaseModel):
    """One event of the control plane's chain. `before` and `after` are JSON text, secrets masked."""

    seq: int
    at: str
    who: str
    action: str
    kind: str
    tenant: str
    object: str
    outcome: str
    before: str
    after: str
    hash: str


class ControlSearch(EventSearch):
    """A search, perhaps in one tenant's matters alone."""

    tenant: str | None = None


class ControlEventsAsked(ControlSearch):
    """A search, and which page of it."""

    before: int | None = None
    limit: int = Field(default=200, ge=1, le=5000)


class Verdict(BaseModel):
    """Whether the chain holds, and if not where it breaks."""

    ok: bool
    events: int
    broken: int | None
    reason: str


def router(services: Services) -> APIRouter:
    """The routes about the installation's audit log."""
    api = APIRouter(prefix="/api/v1/audit", tags=["audit"])
    control = services.control

    @api.get("")
    def audit(asked: Annotated[ControlEventsAsked, Query()]) -> list[AuditEvent]:
        """The control plane's events that a search finds, newest first."""
        with control.database.read() as session:
            found = control_audit.events(
                session, search=asked.search(), tenant=asked.tenant, before=asked.before, limit=asked.limit
            )
        return [_event(row) for row in found]

    @api.get("/summary")
    def summary(asked: Annotated[ControlSearch, Query()]) -> EventSummary:
        """What a search finds, counted: in all, along time, by person, action, kind and outcome."""
        with control.database.read() as session:
            return EventSummary.of(control_audit.summary(session, asked.search(), asked.tenant))

    @api.get("/export", response_class=StreamingResponse)
    def export(asked: Annotated[ControlSearch, Query()], request: Request) -> StreamingResponse:
        """The events a search finds as NDJSON, newest first."""
        with control.database.read() as session:
            # Up to here: what is written of the export itself is no part of it.
            start = control_audit.head(session, control.keys, control_audit.CONTROL).count + 1
        with services.change(principal(request), "export-audit", kind=ActionKind.EXPORT) as (_, note):
            note["after"] = asked.model_dump(mode="json", exclude_defaults=True)

        def lines() -> Iterator[str]:
            before = start
            while True:
                with control.database.read() as session:
                    found = control_audit.events(
                        session, search=asked.search(), tenant=asked.tenant, before=before, limit=PIECE
                    )
                for row in found:
                    yield _event(row).model_dump_json() + "\n"
                if len(found) < PIECE:
                    return
                before = found[-1].seq

        headers = {"content-disposition": 'attachment; filename="audit-installation.ndjson"'}
        return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)

    @api.get("/{seq}")
    def event(seq: int) -> AuditEvent:
        """One event by its number."""
        with control.database.read() as session:
            row = control_audit.event(session, seq)
        if row is None:
            raise Problem(404, "There is no such event.", where=f"Event {seq:,}.")
        return _event(row)

    @api.post("/verify")
    def verify() -> Verdict:
        """Check the chain of the control plane's events against its last witnessed end."""
        with control.database.read() as session:
            verdict = control_audit.verify_control(session, control.keys)
        return Verdict(ok=verdict.ok, events=verdict.head.count, broken=verdict.broken, reason=verdict.reason)

    return api


def _event(row: Row) -> AuditEvent:
    return AuditEvent(**{name: value for name, value in vars(row).items() if name != "prev"})
