"""Rejects: listed, grouped by cause with proposed fixes, repaired, and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from app.tenant import defining, fixing, journal, loading, reject_views, repairing, surroundings
from app.tenant.caller import Caller, Here, Who
from app.tenant.desk import Desk, pipeline
from app.tenant.reject_views import by_pipeline, encoding_of, shape_of, views
from app.tenant.replaying import replay as replay_rejects
from app.tenant.schemas.rejects import (
    CauseCount,
    CauseView,
    DismissFix,
    FixTrial,
    FixTry,
    RejectChange,
    RejectPage,
    RejectTry,
    RejectView,
    RepairRequest,
    RepairResult,
    ReplayRequest,
    ReplayResult,
    Surroundings,
    TakeBack,
    TakenBack,
    TriedRow,
)
from app.tenant.schemas.runs import LedgerView
from engine.errors import Stop
from engine.model import Pipeline, Shape
from storage import definitions, quarantine, runs
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.quarantine import Reject

# A number too large for the store is no reject of ours.
RejectId = Annotated[int, Path(ge=0, lt=1 << 63)]

router = APIRouter(tags=["rejects"])
REPLAY_WAIT = 120.0


class NotOpen(Stop):
    """This reject is closed: it was replayed or dismissed."""


def wanted(
    run: int | None = None,
    pipeline: str | None = None,
    rule: str | None = None,
    field: str | None = None,
    reason: str | None = None,
    state: Annotated[str, Query(description="open, replayed, dismissed; `any` for all.")] = "open",
) -> dict[str, Any]:
    """Which rejects are asked for."""
    return {
        "run": run, "pipeline": pipeline, "rule": rule, "field": field, "reason": reason,
        "state": None if state == "any" else state,
    }  # fmt: skip


Wanted = Annotated[dict[str, Any], Depends(wanted)]


@router.get("/rejects")
def list_rejects(
    desk: Here,
    who: Who,
    wanted: Wanted,
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RejectPage:
    """Rejects in order of their number, each with its bytes, line, rule and reason."""
    journal.note(desk, who, ActionKind.READ, "rejects.read")
    found = quarantine.select(desk.store.cursor(), **wanted, after=after, limit=limit + 1)
    return RejectPage(rejects=views(desk, found[:limit]), more=len(found) > limit)


@router.get("/rejects/causes")
def causes(
    desk: Here,
    who: Who,
    run: int | None = None,
    pipeline: str | None = None,
    propose: Annotated[bool, Query(description="Also compute and try fixes.")] = True,
) -> list[CauseView]:
    """Open rejects by cause, the largest first, each with why, examples, and fixes that were tried."""
    journal.note(desk, who, ActionKind.READ, "rejects.read")
    return reject_views.causes(desk, run=run, pipeline=pipeline, propose=propose)


@router.get("/rejects/{id}")
def get(id: RejectId, desk: Here, who: Who) -> RejectView:
    """One reject."""
    journal.note(desk, who, ActionKind.READ, "reject.read", str(id))
    return views(desk, [_one(desk, id)])[0]


@router.patch("/rejects/{id}")
def change(id: RejectId, body: RejectChange, desk: Here, who: Who) -> RejectView:
    """Repair one reject: its text, or some of its fields; or dismiss it; or take that back.

    Its original bytes stay.
    """
    reject = _one(desk, id)
    if body.undo and reject.state in ("open", "dismissed"):
        with desk.store.transaction() as cursor:
            quarantine.as_it_came(cursor, [id])
            journal.note(desk, who, ActionKind.RUN, "reject.taken-back", str(id), cursor=cursor)
        return views(desk, [_one(desk, id)])[0]
    if reject.state != "open":
        raise NotOpen(f"reject {id}.")
    if body.dismiss:
        _dismiss(desk, who, [reject], body.reason)
        return views(desk, [_one(desk, id)])[0]
    fixed = _repaired(desk, shape_of(desk, reject.pipeline), reject, body.text, body.fields)
    with desk.store.transaction() as cursor:
        quarantine.fix(cursor, {id: fixed})
        journal.note(desk, who, ActionKind.RUN, "reject.repaired", str(id), cursor=cursor)
    return views(desk, [_one(desk, id)])[0]


@router.post("/rejects/{id}/check")
def check(id: RejectId, body: RejectTry, desk: Here, who: Who) -> TriedRow:
    """What the mapping as it is now would make of a reject with this text or these fields. Nothing is kept."""
    journal.note(desk, who, ActionKind.READ, "reject.read", str(id))
    reject = _one(desk, id)
    shape = shape_of(desk, reject.pipeline)
    fixed = replace(reject, fixed=_repaired(desk, shape, reject, body.text, body.fields))
    plan = loading.plan_of(desk, pipeline(desk, reject.pipeline))
    before = repairing.values_of(desk, shape, [replace(reject, fixed=None)]).get(id, {})
    return fixing.tried_row(reject, before, repairing.tried(desk, plan, shape, [fixed])[id])


@router.get("/rejects/{id}/around")
def around(id: RejectId, desk: Here, who: Who, lines: Annotated[int, Query(ge=1, le=50)] = 5) -> Surroundings:
    """The lines around a reject in its payload, as they were received."""
    journal.note(desk, who, ActionKind.READ, "payload.read", str(id))
    reject = _one(desk, id)
    return surroundings.around(desk, reject, shape_of(desk, reject.pipeline), lines)


@router.post("/rejects/try")
def try_fix(body: FixTry, desk: Here, who: Who) -> FixTrial:
    """What a fix would do to the rejects of a cause: which of them it repairs, row by row. Nothing is kept."""
    journal.note(desk, who, ActionKind.READ, "rejects.read")
    rejects = fixing.alike(desk, body.cause, body.limit)
    if not rejects:
        return FixTrial(repairs=0, passes=0, tried=0, total=0, extent="none", rows=[])
    return fixing.trial(desk, body.cause, body.fix, shape_of(desk, fixing.of_one(rejects)), rejects)


@router.post("/rejects/repair")
def repair(body: RepairRequest, desk: Here, who: Who) -> RepairResult:
    """Apply a fix to those rejects of a cause that it repairs, and replay just those.

    The others stay as they are. Repeating it changes nothing more.
    """
    cause, fix = body.cause, body.fix
    rejects = fixing.alike(desk, cause)
    if not rejects:
        return RepairResult(repaired=0, left=0)
    if isinstance(fix, DismissFix):
        _dismiss(desk, who, rejects, fix.reason)
        return RepairResult(repaired=len(rejects), left=0)
    id = fixing.of_one(rejects)
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    made = Pipeline.model_validate(definition.body)
    done = fixing.applied(desk, made, shape_of(desk, id), rejects, fix, save=body.save)
    result = RepairResult(repaired=len(done.repaired), left=len(rejects) - len(done.repaired))
    if done.pipeline != made:
        saved = defining.save(
            desk, who, "pipeline", id, done.pipeline, comment=f"Repairs: {cause.reason}",
            based_on=definition.version,
        )  # fmt: skip
        result.pipeline_version = saved.version
    elif done.changed and done.repaired:
        with desk.store.transaction() as cursor:
            quarantine.fix(cursor, {id: done.changed[id] for id in done.repaired})
            journal.note(
                desk, who, ActionKind.RUN, "rejects.repaired", id, cursor=cursor,
                after={"cause": cause.model_dump(), "fix": fix.model_dump(), "rows": len(done.repaired)},
            )  # fmt: skip
    return _replayed(desk, who, result, done.repaired) if body.replay and done.repaired else result


@router.post("/rejects/replay")
def replay(body: ReplayRequest, desk: Here, who: Who) -> ReplayResult:
    """Run just these rejects again. What is closed already is left alone, so repeating is harmless."""
    found = quarantine.select(
        desk.store.cursor(), ids=body.ids, run=body.run, pipeline=body.pipeline, limit=None
    )
    if body.ids is None and not body.all_open:
        found = [reject for reject in found if reject.fixed is not None]
    result = ReplayResult(replayed=len(found), runs=[])
    for _, rejects in sorted(by_pipeline(found).items()):
        number = replay_rejects(desk, [reject.id for reject in rejects], by=who.user)
        journal.note(desk, who, ActionKind.RUN, "rejects.replayed", str(number), after={"rows": len(rejects)})
        result.runs.append(number)
        if body.wait:
            ended = loading.wait(desk, number, body.wait)
            result.ledgers.append(
                LedgerView.of(ended.ledger).model_dump() | {"run": number, "state": ended.state}
            )
            result.again += _again(desk, number)
    return result


@router.post("/rejects/take-back")
def take_back(body: TakeBack, desk: Here, who: Who) -> TakenBack:
    """Undo a replay: what it wrote goes, and its rejects wait in quarantine again as they came.

    A fix that was saved into the mapping stays there.
    """
    rejects, removed = fixing.take_back(desk, body.run)
    runs.tell(
        desk.store, body.run, f"{who.user} took the repair back: {removed:,} versions removed.", desk.now()
    )
    journal.note(
        desk, who, ActionKind.RUN, "rejects.taken-back", str(body.run),
        after={"rejects": rejects, "versions removed": removed},
    )  # fmt: skip
    return TakenBack(run=body.run, rejects=rejects, removed=removed)


def _repaired(
    desk: Desk, shape: Shape, reject: Reject, text: str | None, changes: dict[str, str | None] | None
) -> bytes:
    """A reject's bytes with another text, or with some fields changed. Errors: NotARow, NotFound."""
    if text is not None:
        return text.encode(encoding_of(reject, shape), "replace")
    values = repairing.values_of(desk, shape, [reject]).get(reject.id)
    if values is None:
        raise repairing.NotARow(f"reject {reject.id}.")
    wanted = changes or {}
    unknown = [name for name in wanted if name not in values]
    if unknown:
        raise NotFound(f"source field {unknown[0]}.")
    return repairing.written(shape, reject, {**values, **wanted}, wanted)


def _replayed(desk: Desk, who: Caller, result: RepairResult, ids: list[int]) -> RepairResult:
    number = replay_rejects(desk, ids, by=who.user)
    journal.note(desk, who, ActionKind.RUN, "rejects.replayed", str(number), after={"rows": len(ids)})
    ended = loading.wait(desk, number, REPLAY_WAIT)
    ledger = LedgerView.of(ended.ledger).model_dump() | {"state": ended.state}
    return result.model_copy(update={"run": number, "ledger": ledger, "again": _again(desk, number)})


def _again(desk: Desk, number: int) -> list[CauseCount]:
    """Why rows of a replay are in quarantine again."""
    found = quarantine.causes(desk.store.cursor(), run=number)
    return [CauseCount(reason=each.reason, field=each.field, rows=each.rows) for each in found]


def _dismiss(desk: Desk, who: Caller, rejects: Sequence[Reject], reason: str) -> None:
    ids = [reject.id for reject in rejects]
    with desk.store.transaction() as cursor:
        quarantine.dismiss(cursor, ids, reason.strip(), who.user, desk.now())
        journal.note(
            desk, who, ActionKind.RUN, "rejects.dismissed", str(ids[0]), cursor=cursor,
            after={"rows": len(ids), "reason": reason.strip()},
        )  # fmt: skip


def _one(desk: Desk, id: int) -> Reject:
    found = quarantine.select(desk.store.cursor(), ids=[id], state=None, limit=1)
    if not found:
        raise NotFound(f"reject {id}.")
    return found[0]
