"""How things stand: what waits for a person, most urgent first, and how fresh each pipeline's data is."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.tenant import credential_keeping, loading, proposing
from app.tenant.credential_keeping import Use
from app.tenant.desk import Desk, source, targets
from app.tenant.schemas.standing import Counts, FreshnessView, Need, Standing
from engine.errors import Stop
from engine.model import Pipeline, Source, TargetModel
from storage import credentials, definitions, drafts, glance, quarantine, runs
from storage import drift as kept_drift
from storage.credentials import Credential
from storage.drift import Drift
from storage.quarantine import Cause
from storage.runs import Run

# Below both, a disk is low: runs need room for their payload, its records and a spill.
LOW_SHARE, LOW_BYTES = 0.1, 5 << 30
# Fixes are looked for only for so many causes of a pipeline, the largest.
TRIED = 5
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_ORDER = ("disk", "unbalanced", "failed", "credential", "drift", "rejects", "draft", "unmapped", "unrun")


def standing(desk: Desk) -> Standing:
    """Everything at once, as a home page asks for it."""
    with desk.store.cursor() as cursor:
        pipelines = [Pipeline.model_validate(d.body) for d in definitions.all_latest(cursor, "pipeline")]
        sources = [Source.model_validate(d.body) for d in definitions.all_latest(cursor, "source")]
        written = {d.subject: d.content for d in drafts.all_of(cursor)}
        causes = {each.id: quarantine.causes(cursor, pipeline=each.id) for each in pipelines}
        figures = runs.figures(cursor)
        last = {run.pipeline: run for run in runs.last_of_each(cursor)}
        changed = [need for each in pipelines for need in _drifted(each, kept_drift.latest(cursor, each.id))]
        ending = list(_credentials(desk, credentials.every(cursor), credential_keeping.uses(cursor)))
    unbalanced = sorted(run for each in figures.values() for run in each.unbalanced)
    models = targets(desk)
    found = [
        *_disk(desk),
        *ending,
        *(Need(kind="unbalanced", title=f"Run {run} does not balance", wrong=True, run=run,
               detail="Undo it and run again; nothing of it can be trusted.") for run in unbalanced),
        *(need for each in pipelines for need in _of_pipeline(each, last.get(each.id), _fixable(desk, each, causes[each.id]))),
        *changed,
        *_drafts(pipelines, sources, written, models),
        *_unmapped(pipelines, sources, written),
    ]  # fmt: skip
    found.sort(key=lambda need: (_ORDER.index(need.kind), -need.rows))
    return Standing(
        needs=found,
        freshness=[
            FreshnessView(
                pipeline=each.id,
                name=each.name,
                newest=figures[each.id].newest if each.id in figures else None,
                within=_within(each),
                kept=figures[each.id].kept if each.id in figures else 0,
            )
            for each in pipelines
        ],
        finished=sum(each.finished for each in figures.values()),
        unbalanced=unbalanced,
    )


def counts(desk: Desk) -> Counts:
    """Rows in quarantine, and pipelines whose last run failed."""
    with desk.store.cursor() as cursor:
        there = {d.id for d in definitions.all_latest(cursor, "pipeline")}
        failed = [run for run in runs.last_of_each(cursor) if run.state == "failed" and run.pipeline in there]
        return Counts(open_rejects=glance.open_rejects(cursor), failed=len(failed))


def _disk(desk: Desk) -> Iterator[Need]:
    room = shutil.disk_usage(desk.store.folder)
    if room.free < LOW_BYTES and room.free < room.total * LOW_SHARE:
        detail = (
            f"{room.free / 1e9:.1f} GB of {room.total / 1e9:.0f} GB are free. Make room before the next run."
        )
        yield Need(kind="disk", title="The disk is nearly full", detail=detail, wrong=True)


def _credentials(desk: Desk, found: list[Credential], used: dict[str, list[Use]]) -> Iterator[Need]:
    """Credentials that have ended or will soon, the soonest first."""
    for each in sorted(found, key=lambda one: one.expires or datetime.max):
        stands = credential_keeping.state(each, desk.now())
        if stands == "open" or each.expires is None:
            continue
        names = ", ".join(use.read.name for use in used.get(each.id, [])) or "nothing"
        word = "ended" if stands == "ended" else "ends"
        yield Need(
            kind="credential", title=f"{each.name} {word} on {each.expires:%d %B %Y}".replace(" 0", " "),
            detail=f"Used by {names}. Rotate it, or remove it.", wrong=stands == "ended", credential=each.id,
        )  # fmt: skip


def _drifted(each: Pipeline, found: Drift | None) -> Iterator[Need]:
    """A source that has changed, as long as nobody has said what follows."""
    if found is not None:
        more = f" And {len(found.findings) - 1} more." if len(found.findings) > 1 else ""
        yield Need(
            kind="drift", title=f"The source of {each.name} has changed", run=found.run, pipeline=each.id,
            detail=f"{found.findings[0].says}{more}",
        )  # fmt: skip


def _fixable(desk: Desk, each: Pipeline, causes: list[Cause]) -> tuple[int, int, int]:
    """Causes of a pipeline's open rejects, their rows, and how many of the rows have a proposed fix."""
    fixed = sum(cause.rows for cause in causes[:TRIED] if _has_fix(desk, each, cause))
    return len(causes), sum(cause.rows for cause in causes), fixed


def _has_fix(desk: Desk, each: Pipeline, cause: Cause) -> bool:
    """Whether a fix was found for a cause."""
    with desk.store.cursor() as cursor:
        alike = quarantine.select(
            cursor, pipeline=each.id, rule=cause.rule, field=cause.field, reason=cause.reason,
            limit=proposing.TRIED,
        )  # fmt: skip
    mapping = proposing.mapping_for(each, alike[0]) if alike else None
    model = targets(desk).get(mapping.target) if mapping else None
    try:
        shape = loading.shape_of(source(desk, each.source))
    except Stop:
        return False
    return bool(proposing.proposals(desk, each, shape, model, alike))


def _of_pipeline(each: Pipeline, last: Run | None, rejects: tuple[int, int, int]) -> Iterator[Need]:
    causes, rows, fixed = rejects
    if rows:
        told = f"{causes} cause{'s' if causes != 1 else ''}"
        told += f"; {fixed:,} {'has' if fixed == 1 else 'have'} a proposed fix" if fixed else ""
        title = f"{rows:,} reject{'s' if rows != 1 else ''} in {each.name}"
        yield Need(kind="rejects", title=title, detail=told, rows=rows, wrong=True, pipeline=each.id)
    if last is None:
        yield Need(
            kind="unrun", title=f"{each.name} has not run yet", detail="Saved; nothing of it is in the store.",
            pipeline=each.id,
        )  # fmt: skip
    elif last.state == "failed":
        error = last.error or {}
        told = " ".join(str(error[part]) for part in ("title", "action") if error.get(part))
        yield Need(
            kind="failed", title=f"{each.name}: run {last.run} failed", detail=told or "It did not finish.",
            wrong=True, pipeline=each.id, run=last.run,
        )  # fmt: skip


def _drafts(
    pipelines: list[Pipeline], sources: list[Source], written: dict[str, Any], models: dict[str, TargetModel]
) -> Iterator[Need]:
    """Drafts under way, with the required fields they still lack."""
    names = {f"pipeline:{p.id}": p.name for p in pipelines} | {f"source:{s.id}": s.name for s in sources}
    for subject, content in written.items():
        if subject not in names:
            continue
        kind, _, id = subject.partition(":")
        lacking = _lacking(content, models)
        place = {"pipeline": id} if kind == "pipeline" else {"source": id}
        if lacking:
            count = f"{len(lacking)} required field{'s' if len(lacking) != 1 else ''} unmapped"
            yield Need(
                kind="draft", title=f"{names[subject]}, draft: {count}", detail=", ".join(lacking), **place
            )
        else:
            yield Need(
                kind="draft",
                title=f"{names[subject]}: a draft is not saved",
                detail="Nothing is missing.",
                **place,
            )


def _lacking(content: dict[str, Any], models: dict[str, TargetModel]) -> list[str]:
    """Required fields that no part of a draft maps."""
    found: dict[str, None] = {}
    for mapping in content.get("mappings", ()):
        model = models.get(mapping.get("target", ""))
        mapped = {field.get("field") for field in mapping.get("fields", ())}
        if model is not None:
            found.update({f.name: None for f in model.fields if f.required and f.name not in mapped})
    return list(found)


def _unmapped(pipelines: list[Pipeline], sources: list[Source], written: dict[str, Any]) -> Iterator[Need]:
    used = Counter(p.source for p in pipelines)
    for each in sources:
        if each.id in used or f"source:{each.id}" in written:
            continue
        ready = bool(each.shape and each.shape.mappings)
        title = f"{each.name} is ready to run" if ready else f"{each.name} is not mapped yet"
        detail = "It describes itself." if ready else "Nothing of it is in the store."
        if each.shape is not None and not each.shape.fields:
            told = [note[:1].upper() + note[1:] for note in each.shape.notes] or ["No row was found"]
            title, detail = f"{each.name} holds nothing to map", f"{'. '.join(told)}."
        yield Need(kind="unmapped", title=title, detail=detail, source=each.id)


def _within(each: Pipeline) -> float | None:
    """The strictest freshness rule of a pipeline, in seconds."""
    found = []
    for rule in (rule for mapping in each.mappings for rule in mapping.rules if rule.operator == "freshness"):
        said = rule.value.get("within") if isinstance(rule.value, dict) else rule.value
        parts = re.fullmatch(r"(\d+) ?(minute|hour|day|week)s?", str(said))
        if parts:
            found.append(float(parts[1]) * _SECONDS[parts[2]])
    return min(found, default=None)
