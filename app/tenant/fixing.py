"""Fixing: a fix is tried on the rejects of a cause, applied to those it repairs and no others, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.tenant import loading, proposing, repairing
from app.tenant.desk import Desk, pipeline
from app.tenant.reading import extent
from app.tenant.repairing import Tried
from app.tenant.schemas.rejects import (
    CauseKey,
    DismissFix,
    Fix,
    FixTrial,
    MappingFix,
    ReplayFix,
    TriedRow,
)
from engine.compile import Plan
from engine.errors import Stop
from engine.model import Mapping, Pipeline, Shape
from storage import quarantine, runs
from storage.quarantine import Reject


class SeveralPipelines(Stop):
    """These rejects belong to several pipelines, and a fix is for one."""


class NotAReplay(Stop):
    """This run replayed no rejects, or was undone, so there is nothing to take back."""


@dataclass(frozen=True)
class Applied:
    """What a fix does to rejects: their new bytes by id, those it repairs, and the pipeline it leaves.

    `repaired` no longer have their cause; those in `changed` that still do are not among them.
    """

    changed: dict[int, bytes]
    repaired: list[int]
    pipeline: Pipeline
    plan: Plan


def alike(desk: Desk, cause: CauseKey, limit: int | None = None) -> list[Reject]:
    """The open rejects of a cause, in order of id."""
    found = quarantine.select(
        desk.store.cursor(), run=cause.run, pipeline=cause.pipeline, rule=cause.rule, field=cause.field,
        reason=cause.reason, limit=limit,
    )  # fmt: skip
    return [reject for reject in found if reject.field == cause.field]


def of_one(rejects: Sequence[Reject]) -> str:
    """The pipeline that all of these rejects belong to; SeveralPipelines where that is not one."""
    ids = sorted({reject.pipeline for reject in rejects})
    if len(ids) > 1:
        raise SeveralPipelines(", ".join(ids), action="Choose one of them, then fix these rejects there.")
    return ids[0]


def applied(
    desk: Desk, made: Pipeline, shape: Shape, rejects: Sequence[Reject], fix: Fix, *, save: bool
) -> Applied:
    """A fix applied to rejects of one cause; nothing is stored. Errors: CanNotBeSaved."""
    if isinstance(fix, ReplayFix | DismissFix):
        return Applied({}, [reject.id for reject in rejects], made, loading.plan_of(desk, made))
    mapping = proposing.mapping_for(made, rejects[0])
    if save or isinstance(fix, MappingFix):
        if mapping is None:
            raise repairing.CanNotBeSaved("The mapping that made these rejects has changed meanwhile.")
        after = repairing.in_mapping(made, mapping, fix)
        plan = loading.plan_of(desk, after)
        judge = _judge(desk, after.mappings[made.mappings.index(mapping)], plan, rejects[0])
        good = repairing.passing(desk, judge, shape, rejects)
        return Applied({}, sorted(good), after, plan)
    plan = loading.plan_of(desk, made)
    changed = repairing.mended(desk, plan, shape, rejects, fix)
    fixed = [replace(r, fixed=changed[r.id]) for r in rejects if r.id in changed]
    judge = _judge(desk, mapping, plan, rejects[0])
    good = repairing.passing(desk, judge, shape, fixed) if fixed else set()
    return Applied(changed, sorted(good), made, plan)


def trial(desk: Desk, cause: CauseKey, fix: Fix, shape: Shape, rejects: Sequence[Reject]) -> FixTrial:
    """What a fix would do to these rejects of a cause, row by row."""
    made = pipeline(desk, of_one(rejects))
    done = applied(desk, made, shape, rejects, fix, save=False)
    after = [replace(r, fixed=done.changed.get(r.id, r.fixed)) for r in rejects]
    before = repairing.values_of(desk, shape, rejects)
    seen = repairing.tried(desk, done.plan, shape, after)
    total = quarantine.count(
        desk.store.cursor(), run=cause.run, pipeline=cause.pipeline, rule=cause.rule, field=cause.field,
        reason=cause.reason,
    )  # fmt: skip
    rows = [tried_row(r, before.get(r.id, {}), seen[r.id]) for r in rejects]
    return FixTrial(
        repairs=len(done.repaired),
        passes=sum(row.outcome == "good" for row in rows),
        tried=len(rows),
        total=total,
        extent=extent(len(rows), len(rows) == total, True, total),
        rows=rows,
    )


def tried_row(reject: Reject, before: repairing.Values, seen: Tried) -> TriedRow:
    """A tried reject as it is shown."""
    return TriedRow(
        id=reject.id,
        line=reject.line,
        outcome=seen.outcome,
        before=before,
        after=seen.source,
        values=seen.output,
        failed=seen.failed,
        passes=seen.checks - len(seen.failed),
        of=seen.checks,
    )


def take_back(desk: Desk, number: int) -> tuple[int, int]:
    """Undo a replay and drop the repairs it was made with. Returns rejects open again, and versions removed."""
    found = runs.get(desk.store.cursor(), number)
    if found.kind != "replay" or found.state in ("running", "undone"):
        raise NotAReplay(f"run {number}.")
    ids = [r.id for r in quarantine.select(desk.store.cursor(), replay=number, state="replayed", limit=None)]
    removed = runs.undo(desk.store, number, desk.now())
    with desk.store.transaction() as cursor:
        quarantine.as_it_came(cursor, ids)
    return len(ids), removed


def _judge(desk: Desk, mapping: Mapping | None, whole: Plan, reject: Reject) -> Plan:
    """The plan that says whether a cause is gone: of its field alone where that has its check, else the whole."""
    if mapping is None or reject.field is None or proposing.field_mapping(mapping, reject.field) is None:
        return whole
    narrow = repairing.one_field(desk, mapping, reject.field)
    return narrow if any(c.rule == reject.rule for b in narrow.branches for c in b.checks) else whole
