"""Cursors: shown in words, set with validation, led back to where a run left them; every change is audited."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from fastapi import APIRouter

from app.problems import Problem
from app.tenant import journal
from app.tenant.caller import Caller, Here, Who
from app.tenant.desk import Desk, pipeline, source
from app.tenant.schemas.cursors import (
    CursorChange,
    CursorRewind,
    CursorTrial,
    CursorTry,
    CursorView,
    PointView,
)
from connectors.cursors import NOTHING_READ, doubt, told
from engine.errors import Stop
from engine.model import Source
from engine.ports import Cursor
from storage import cursors, runs
from storage.audit import ActionKind
from storage.cursors import BY_HAND, Point
from storage.definitions import NotFound

router = APIRouter(tags=["cursors"])


class UnderWay(Stop):
    """A run of this pipeline is under way, and would move the cursor itself."""


@router.get("/pipelines/{id}/cursor")
def get(id: str, desk: Here) -> CursorView:
    """Where the pipeline's source stands, in words, and the places it can be led back to."""
    return _view(desk, id)


@router.post("/pipelines/{id}/cursor/try")
def try_cursor(id: str, body: CursorTry, desk: Here) -> CursorTrial:
    """What a cursor says, and whether the source could have given it. Nothing is changed."""
    read = source(desk, pipeline(desk, id).source)
    return CursorTrial(says=told(read, body.cursor), doubt=_doubt(desk, id, read, body.cursor))


@router.put("/pipelines/{id}/cursor")
def change(id: str, body: CursorChange, desk: Here, who: Who) -> CursorView:
    """Set the cursor; the next run begins there."""
    read = source(desk, pipeline(desk, id).source)
    if not _moves(read):
        raise Problem(422, "An uploaded file has no position: each run reads all of it.", where=read.name)
    if why := _doubt(desk, id, read, body.cursor):
        raise Problem(
            422, "This source could not have given such a cursor.", where=f"{why[:1].upper()}{why[1:]}.",
            action="Take one it gave and change its values only.",
        )  # fmt: skip
    return _set(desk, who, id, "cursor.set", body.cursor, body.reason)


@router.post("/pipelines/{id}/cursor/rewind")
def rewind(id: str, body: CursorRewind, desk: Here, who: Who) -> CursorView:
    """Lead the source back to where a run left it, or to its beginning."""
    pipeline(desk, id)
    if body.run is None:
        return _set(desk, who, id, "cursor.rewound", None, body.reason)
    found = [point for point in cursors.points(desk.store.cursor(), id, 1_000) if point.run == body.run]
    if not found or body.run == BY_HAND:
        raise NotFound(f"a cursor of run {body.run}.")
    return _set(desk, who, id, "cursor.rewound", found[0].cursor, body.reason)


def _set(desk: Desk, who: Caller, id: str, action: str, to: Cursor | None, reason: str) -> CursorView:
    if runs.recent(desk.store.cursor(), pipeline=id, state="running", kind="run", limit=1):
        raise UnderWay(id, action="Wait for its end, or cancel it.")
    with desk.store.transaction() as cursor:
        before = runs.cursor_of(cursor, id)
        cursors.keep(cursor, id, to, desk.now())
        journal.note(
            desk, who, ActionKind.CHANGE, action, id, cursor=cursor,
            before={"cursor": before}, after={"cursor": to, "reason": reason.strip()},
        )  # fmt: skip
    return _view(desk, id)


def _view(desk: Desk, id: str) -> CursorView:
    read = source(desk, pipeline(desk, id).source)
    cursor = desk.store.cursor()
    found = cursors.points(cursor, id)
    rows, by = cursors.read_since(cursor, id, None)
    beginning = PointView(says="The beginning: nothing has been read.", rows=rows, runs=by)
    now = found[0] if found else None
    reached: dict[str, Any] | None = now.cursor if now else None
    return CursorView(
        pipeline=id,
        source=read.id,
        cursor=reached,
        says=told(read, reached)
        if _moves(read)
        else "An uploaded file has no position: each run reads all of it.",
        at=now.at.replace(tzinfo=UTC) if now else None,
        run=now.run or None if now else None,
        moves=_moves(read),
        points=[*(_point(read, each) for each in found[1:]), beginning] if found else [],
    )


def _point(read: Source, point: Point) -> PointView:
    return PointView(
        run=point.run or None,
        at=point.at.replace(tzinfo=UTC),
        cursor=point.cursor,
        says=told(read, point.cursor) if point.cursor is not None else NOTHING_READ,
        rows=point.rows,
        runs=point.runs,
    )


def _doubt(desk: Desk, id: str, read: Source, given: Cursor | None) -> str:
    if given is None:
        return ""
    before = [p.cursor for p in cursors.points(desk.store.cursor(), id) if p.run != BY_HAND and p.cursor]
    return doubt(read, given, before)


def _moves(read: Source) -> bool:
    return read.connector != "upload"
