"""Objects: what runs did to them beyond the ledger, and which of them are named and not here yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.schemas.objects import AwaitedView, RunChange, RunChanges, TouchedView, WaitingPage
from storage import changes, runs, waiting
from storage.audit import ActionKind

router = APIRouter(tags=["objects"])


@router.get("/runs/{run}/changes")
def of_run(run: int, desk: Here, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 20) -> RunChanges:
    """What a run did to objects that no ledger tells: altered without a new version, revoked, gone, waiting."""
    cursor = desk.store.cursor()
    runs.get(cursor, run)
    journal.note(desk, who, ActionKind.READ, "records.read", f"run {run}")
    found = changes.of_run(cursor, run, limit)
    return RunChanges(run=run, changes=[RunChange.model_validate(each) for each in found])


@router.get("/waiting")
def awaited(
    desk: Here,
    who: Who,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> WaitingPage:
    """Ids that records name and that are not here yet, with records that wait for each."""
    cursor = desk.store.cursor()
    journal.note(desk, who, ActionKind.READ, "records.read", "waiting")
    ids, total, records = waiting.awaited(cursor, limit, offset)
    return WaitingPage(
        ids=[
            AwaitedView(ref=each.ref, records=each.records, first=[
                TouchedView.model_validate(one)
                for one in changes.touched(cursor, [(*r, "") for r in waiting.of_id(cursor, each.ref, 3)])
            ])
            for each in ids
        ],
        total=total,
        records=records,
    )  # fmt: skip
