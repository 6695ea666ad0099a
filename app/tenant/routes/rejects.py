"""Rejects: listed, grouped by cause with proposed fixes, repaired, and replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from app.problems import Problem
from app.tenant import defining, journal, loading, proposing, repairing
from app.tenant.caller import Caller, Here, Who
from app.tenant.desk import Desk, pipeline, source, targets
from app.tenant.replaying import form_of
from app.tenant.replaying import replay as replay_rejects
from app.tenant.schemas.rejects import (
    CauseView,
    DismissFix,
    MappingFix,
    RejectChange,
    RejectPage,
    RejectView,
    RepairRequest,
    RepairResult,
    ReplayFix,
    ReplayRequest,
    ReplayResult,
)
from app.tenant.schemas.runs import LedgerView
from app.tenant.tracing import segment_of, shown
from engine.errors import Stop
from engine.model import Pipeline, Shape
from storage import definitions, quarantine
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.quarantine import Cause, Reject

router = APIRouter(tags=["rejects"])
EXAMPLES = 3
REPLAY_WAIT = 120.0


class NotOpen(Stop):
    """This reject is closed: it was replayed or dismissed."""


@router.get("/rejects")
def list_rejects(
    desk: Here,
    who: Who,
    run: int | None = None,
    pipeline: str | None = None,
    rule: str | None = None,
    reason: str | None = None,
    state: Annotated[str | None, Query(description="open, replayed, dismissed; `any` for all.")] = "open",
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RejectPage:
    """Rejects in order of their number, each with its bytes, line, rule and reason."""
    journal.note(desk, who, ActionKind.READ, "rejects.read")
    found = quarantine.select(
        desk.store.cursor(), run=run, pipeline=pipeline, rule=rule, reason=reason,
        state=None if state == "any" else state, after=after, limit=limit + 1,
    )  # fmt: skip
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
    found = quarantine.causes(desk.store.cursor(), run=run, pipeline=pipeline)
    return [
        _cause(desk, each, run, pipeline, propose=propose and place < 20) for place, each in enumerate(found)
    ]


@router.get("/rejects/{id}")
def get(id: int, desk: Here, who: Who) -> RejectView:
    """One reject."""
    journal.note(desk, who, ActionKind.READ, "reject.read", str(id))
    return views(desk, [_one(desk, id)])[0]


@router.patch("/rejects/{id}")
def change(id: int, body: RejectChange, desk: Here, who: Who) -> RejectView:
    """Repair one reject: its text, or some of its fields; or dismiss it. Its original bytes stay."""
    reject = _one(desk, id)
    if reject.state != "open":
        raise NotOpen(f"reject {id}.")
    if body.dismiss:
        _dismiss(desk, who, [reject])
        return views(desk, [_one(desk, id)])[0]
    shape = _shape(desk, reject.pipeline)
    if body.text is not None:
        encoding = shape.dialect.encoding if shape.dialect and form_of(shape, reject) == "csv" else "utf-8"
        fixed = body.text.encode(encoding)
    else:
        changes = body.fields or {}
        values = repairing.values_of(desk, shape, [reject]).get(id)
        if values is None:
            raise repairing.NotARow(f"reject {id}.")
        unknown = [name for name in changes if name not in values]
        if unknown:
            raise NotFound(f"source field {unknown[0]}.")
        fixed = repairing.written(shape, reject, {**values, **changes}, changes)
    with desk.store.transaction() as cursor:
        quarantine.fix(cursor, {id: fixed})
        journal.note(desk, who, ActionKind.RUN, "reject.repaired", str(id), cursor=cursor)
    return views(desk, [_one(desk, id)])[0]


@router.post("/rejects/repair")
def repair(body: RepairRequest, desk: Here, who: Who) -> RepairResult:
    """Apply a fix to every open reject of a cause, and replay just those. Repeating it changes nothing more."""
    cause = body.cause
    alike = quarantine.select(
        desk.store.cursor(),
        run=cause.run,
        pipeline=cause.pipeline,
        rule=cause.rule,
        reason=cause.reason,
        limit=None,
    )
    alike = [reject for reject in alike if reject.field == cause.field]
    if not alike:
        return RepairResult(repaired=0, left=0)
    if isinstance(body.fix, DismissFix):
        _dismiss(desk, who, alike)
        return RepairResult(repaired=len(alike), left=0)
    by_pipeline = _by_pipeline(alike)
    if len(by_pipeline) > 1:
        raise Problem(
            409, "These rejects belong to several pipelines.", action="Name one in the cause.",
            detail=", ".join(by_pipeline),
        )  # fmt: skip
    ((id, rejects),) = by_pipeline.items()
    if isinstance(body.fix, ReplayFix):
        return _replayed(desk, who, RepairResult(repaired=len(rejects), left=0), [r.id for r in rejects])
    if body.save or isinstance(body.fix, MappingFix):
        return _repair_mapping(desk, who, id, rejects, body)
    plan = loading.plan_of(desk, pipeline(desk, id))
    changed = repairing.mended(desk, plan, _shape(desk, id), rejects, body.fix)
    with desk.store.transaction() as cursor:
        quarantine.fix(cursor, changed)
        journal.note(
            desk, who, ActionKind.RUN, "rejects.repaired", id,
            after={"cause": cause.model_dump(), "fix": body.fix.model_dump(), "rows": len(changed)}, cursor=cursor,
        )  # fmt: skip
    result = RepairResult(repaired=len(changed), left=len(rejects) - len(changed))
    return _replayed(desk, who, result, sorted(changed)) if body.replay and changed else result


@router.post("/rejects/replay")
def replay(body: ReplayRequest, desk: Here, who: Who) -> ReplayResult:
    """Run just these rejects again. What is closed already is left alone, so repeating is harmless."""
    found = quarantine.select(
        desk.store.cursor(), ids=body.ids, run=body.run, pipeline=body.pipeline, limit=None
    )
    if body.ids is None and not body.all_open:
        found = [reject for reject in found if reject.fixed is not None]
    result = ReplayResult(replayed=len(found), runs=[])
    for _, rejects in sorted(_by_pipeline(found).items()):
        number = replay_rejects(desk, [reject.id for reject in rejects], by=who.user)
        journal.note(desk, who, ActionKind.RUN, "rejects.replayed", str(number), after={"rows": len(rejects)})
        result.runs.append(number)
        if body.wait:
            ended = loading.wait(desk, number, body.wait)
            result.ledgers.append(
                LedgerView.of(ended.ledger).model_dump() | {"run": number, "state": ended.state}
            )
    return result


def views(desk: Desk, rejects: Sequence[Reject]) -> list[RejectView]:
    """Rejects as they are shown, their fields read where they can be."""
    shapes: dict[str, Shape | None] = {}
    values: dict[int, repairing.Values] = {}
    for id, group in _by_pipeline(rejects).items():
        try:
            shapes[id] = _shape(desk, id)
            values |= repairing.values_of(desk, _shape(desk, id), group)
        except Stop:
            # A deleted pipeline's rejects are still to be seen.
            shapes[id] = None
    names: dict[tuple[int, int], str] = {}
    for reject in rejects:
        place = (reject.run, reject.segment)
        if place not in names:
            segment = segment_of(desk, *place)
            names[place] = segment.name if segment else ""
    return [_view(r, shapes[r.pipeline], values.get(r.id, {}), names[r.run, r.segment]) for r in rejects]


def _view(reject: Reject, shape: Shape | None, values: repairing.Values, payload: str) -> RejectView:
    encoding = "utf-8"
    if shape is not None and shape.dialect is not None and form_of(shape, reject) == "csv":
        encoding = shape.dialect.encoding
    raw, exact = _decoded(reject.raw, encoding)
    return RejectView(
        **{name: getattr(reject, name) for name in RejectView.model_fields if hasattr(reject, name)}
        | {
            "raw": raw,
            "exact": exact,
            "fixed": _decoded(reject.fixed, encoding)[0] if reject.fixed is not None else None,
            "fields": values,
            "payload": payload,
        }
    )


def _decoded(raw: bytes, encoding: str) -> tuple[str, bool]:
    try:
        return raw.decode(encoding).rstrip("\r\n"), True
    except UnicodeDecodeError:
        return shown(raw).rstrip("\r\n"), False


def _cause(desk: Desk, cause: Cause, run: int | None, pipeline_id: str | None, *, propose: bool) -> CauseView:
    alike = quarantine.select(
        desk.store.cursor(), run=run, pipeline=pipeline_id, rule=cause.rule, reason=cause.reason,
        limit=proposing.TRIED,
    )  # fmt: skip
    alike = [reject for reject in alike if reject.field == cause.field]
    view = CauseView(
        rule=cause.rule,
        field=cause.field,
        reason=cause.reason,
        explanation=proposing.explanation(cause.rule, cause.field, cause.reason),
        rows=cause.rows,
        first=cause.first,
        runs=list(cause.runs),
        examples=views(desk, alike[:EXAMPLES]),
    )
    try:
        owner = pipeline(desk, alike[0].pipeline)
        shape = _shape(desk, owner.id)
    except (NotFound, IndexError):
        return view
    mapping = proposing.mapping_for(owner, alike[0])
    how = proposing.field_mapping(mapping, cause.field)
    view.source_field = how.source if how else None
    if propose:
        model = targets(desk).get(mapping.target) if mapping else None
        same = [reject for reject in alike if reject.pipeline == owner.id]
        view.proposals = proposing.proposals(desk, owner, shape, model, same)
    return view


def _repair_mapping(
    desk: Desk, who: Caller, id: str, rejects: list[Reject], body: RepairRequest
) -> RepairResult:
    """Put the fix into the mapping, then replay the rows whose cause is gone; no row's bytes change."""
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    before = Pipeline.model_validate(definition.body)
    mapping = proposing.mapping_for(before, rejects[0])
    if mapping is None:
        raise repairing.CanNotBeSaved("The mapping that made these rejects has changed meanwhile.")
    after = repairing.in_mapping(before, mapping, body.fix)
    plan = loading.plan_of(desk, after)
    changed = after.mappings[before.mappings.index(mapping)]
    if body.cause.field is not None and proposing.field_mapping(changed, body.cause.field) is not None:
        plan = repairing.one_field(desk, changed, body.cause.field)
    saved = defining.save(
        desk, who, "pipeline", id, after, comment=f"Repairs: {body.cause.reason}", based_on=definition.version
    )
    good = sorted(repairing.passing(desk, plan, _shape(desk, id), rejects))
    result = RepairResult(repaired=len(good), left=len(rejects) - len(good), pipeline_version=saved.version)
    return _replayed(desk, who, result, good) if body.replay and good else result


def _replayed(desk: Desk, who: Caller, result: RepairResult, ids: list[int]) -> RepairResult:
    number = replay_rejects(desk, ids, by=who.user)
    journal.note(desk, who, ActionKind.RUN, "rejects.replayed", str(number), after={"rows": len(ids)})
    ended = loading.wait(desk, number, REPLAY_WAIT)
    ledger = LedgerView.of(ended.ledger).model_dump() | {"state": ended.state}
    return result.model_copy(update={"run": number, "ledger": ledger})


def _dismiss(desk: Desk, who: Caller, rejects: Sequence[Reject]) -> None:
    ids = [reject.id for reject in rejects]
    with desk.store.transaction() as cursor:
        quarantine.close(cursor, ids, "dismissed")
        journal.note(
            desk,
            who,
            ActionKind.RUN,
            "rejects.dismissed",
            str(ids[0]),
            after={"rows": len(ids)},
            cursor=cursor,
        )


def _one(desk: Desk, id: int) -> Reject:
    found = quarantine.select(desk.store.cursor(), ids=[id], state=None, limit=1)
    if not found:
        raise NotFound(f"reject {id}.")
    return found[0]


def _shape(desk: Desk, pipeline_id: str) -> Shape:
    return loading.shape_of(source(desk, pipeline(desk, pipeline_id).source))


def _by_pipeline(rejects: Sequence[Reject]) -> dict[str, list[Reject]]:
    groups: dict[str, list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[reject.pipeline].append(reject)
    return dict(groups)
