"""Drafts: read, changed, undone, redone and put away; and who has one open."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.tenant import drafting
from app.tenant.caller import Here, Who
from app.tenant.schemas.drafts import DraftHead, DraftPut, DraftStep, DraftView, Subject

router = APIRouter(tags=["drafts"])


@router.get("/drafts")
def list_drafts(desk: Here) -> list[DraftHead]:
    """Every draft under way: who changed it last, when, and who has it open."""
    return drafting.under_way(desk)


@router.get("/drafts/{subject}")
def get(
    subject: Subject,
    desk: Here,
    known: Annotated[
        int | None, Query(description="Leave the content out where it is this revision.")
    ] = None,
) -> DraftView:
    """The draft of `pipeline:<id>` or `source:<id>`; revision 0 where there is none."""
    return drafting.read(desk, subject, known)


@router.put("/drafts/{subject}")
def put(subject: Subject, body: DraftPut, desk: Here, who: Who) -> DraftHead:
    """Keep one edit. Refused (409) where somebody changed the draft since the revision it is based on."""
    return drafting.put(desk, who, subject, body.content, body.based_on)


@router.post("/drafts/{subject}/undo")
def undo(subject: Subject, body: DraftStep, desk: Here, who: Who) -> DraftView:
    """Take the last edit back, whoever made it."""
    return drafting.move(desk, who, subject, -1, body.based_on)


@router.post("/drafts/{subject}/redo")
def redo(subject: Subject, body: DraftStep, desk: Here, who: Who) -> DraftView:
    """Bring back what was undone last."""
    return drafting.move(desk, who, subject, 1, body.based_on)


@router.post("/drafts/{subject}/here")
def here(subject: Subject, desk: Here, who: Who) -> DraftHead:
    """Say that you have it open (every few seconds), and hear where it stands and who else has."""
    return drafting.here(desk, who, subject)


@router.delete("/drafts/{subject}", status_code=204)
def end(
    subject: Subject,
    desk: Here,
    who: Who,
    based_on: Annotated[int | None, Query(description="Only if it still is this revision.")] = None,
) -> None:
    """Put a draft away with its history."""
    drafting.end(desk, who, subject, based_on)
