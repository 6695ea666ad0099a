"""Drafting: drafts that the people of a tenant write together, nobody's change over another's unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from app.problems import Problem
from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.desk import Desk
from app.tenant.schemas.drafts import DraftHead, DraftView, PresentView
from storage import definitions, drafts
from storage.audit import ActionKind
from storage.drafts import Draft, Overtaken

# Open pages say so every few seconds; who has said nothing for this long is gone.
GONE = timedelta(seconds=15)
LARGEST = 4 << 20


def read(desk: Desk, subject: str, known: int | None = None) -> DraftView:
    """The draft of a subject, with its content unless that revision is known; revision 0 where there is none."""
    with desk.store.cursor() as cursor:
        found = drafts.find(cursor, subject)
    if found is None:
        return DraftView(subject=subject, present=present(desk, subject))
    return DraftView(
        **_head(desk, found).model_dump(), content=None if found.revision == known else found.content
    )


def under_way(desk: Desk) -> list[DraftHead]:
    """The drafts of pipelines and sources that are still there, the one changed last first."""
    with desk.store.cursor() as cursor:
        there = {
            f"{kind}:{d.id}" for kind in ("pipeline", "source") for d in definitions.all_latest(cursor, kind)
        }
        return [_head(desk, d) for d in drafts.all_of(cursor) if d.subject in there]


def put(desk: Desk, who: Caller, subject: str, content: dict[str, Any], based_on: int) -> DraftHead:
    """Keep one edit. The first one is an audit event; who made the others stands in the draft."""
    if len(json.dumps(content)) > LARGEST:
        raise Problem(413, "This draft is larger than 4 MB.", where=subject, action="Split the mapping.")

    def change(cursor: DuckDBPyConnection) -> Draft:
        made = drafts.put(cursor, subject, content, who=who.user, now=desk.now, based_on=based_on)
        if not based_on:
            journal.note(desk, who, ActionKind.CHANGE, "draft.begun", subject, cursor=cursor)
        return made

    return _changed(desk, who, change)


def move(desk: Desk, who: Caller, subject: str, by: int, based_on: int) -> DraftView:
    """Undo or redo one edit, whoever made it."""
    found = _changed(
        desk,
        who,
        lambda cursor: drafts.move(cursor, subject, by, who=who.user, now=desk.now, based_on=based_on),
    )
    return read(desk, found.subject)


def end(desk: Desk, who: Caller, subject: str, based_on: int | None) -> None:
    """Put a draft away: it was saved as a version, or is not wanted any more."""

    def change(cursor: DuckDBPyConnection) -> None:
        if drafts.end(cursor, subject, based_on) is not None:
            journal.note(desk, who, ActionKind.CHANGE, "draft.ended", subject, cursor=cursor)

    _guarded(desk, who, change)


def here(desk: Desk, who: Caller, subject: str) -> DraftHead:
    """Say that somebody has it open, and hear where it stands."""
    desk.present.setdefault(subject, {})[who.user] = desk.now()
    with desk.store.cursor() as cursor:
        found = drafts.find(cursor, subject)
    return _head(desk, found) if found else DraftHead(subject=subject, present=present(desk, subject))


def present(desk: Desk, subject: str) -> list[PresentView]:
    """Who has a subject open now, by name."""
    now = desk.now()
    seen = {who: at for who, at in list(desk.present.get(subject, {}).items()) if now - at < GONE}
    if subject in desk.present:
        desk.present[subject] = seen
    return [PresentView(who=who, seen=at) for who, at in sorted(seen.items())]


def _changed(desk: Desk, who: Caller, change: Callable[[DuckDBPyConnection], Draft]) -> DraftHead:
    found: Draft = _guarded(desk, who, change)
    return _head(desk, found)


def _guarded(desk: Desk, who: Caller, change: Callable[[DuckDBPyConnection], Any]) -> Any:
    try:
        with desk.store.transaction() as cursor:
            return change(cursor)
    except Overtaken as overtaken:
        raise Problem(
            409, _told(overtaken.there, who, desk.now()), where=overtaken.where, action=overtaken.action
        ) from None


def _told(there: Draft | None, who: Caller, now: datetime) -> str:
    if there is None:
        return "This draft was saved or put away meanwhile, so your change was not kept."
    passed = max(0, round((now - there.at).total_seconds()))
    ago = f"{passed} seconds" if passed < 120 else f"{passed // 60} minutes"
    name = "You, in another window," if there.who == who.user else there.who
    return f"{name} changed this draft {ago} ago, so your change was not kept."


def _head(desk: Desk, found: Draft) -> DraftHead:
    return DraftHead(
        subject=found.subject, revision=found.revision, who=found.who, at=found.at, past=found.past,
        future=found.future, present=present(desk, found.subject),
    )  # fmt: skip
