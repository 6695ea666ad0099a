"""Trying mappings: on a sample of rows, and against what is stored. The plan is the run's own; nothing is kept."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.tenant.desk import Desk, pipeline, source, targets
from app.tenant.exports.objects import embedded
from app.tenant.loading import fields_of, shape_of
from app.tenant.reading import AMONG, chosen, extent, held, named, wanting
from app.tenant.schemas.mappings import Difference, Impact, MappingPreview, PreviewRow
from app.tenant.values import plain
from connectors.formats import reader
from engine.compile import Plan, compile_plan
from engine.drift_guard import Guard
from engine.errors import Stop
from engine.model import FieldType, Mapping, Source, SourceField, TargetModel
from engine.ports import Segment
from engine.scan import RAW
from storage import impact, runs, staging, texts
from storage.impact import Comparison


class NoRunYet(Stop):
    """This pipeline has no finished run to compare with."""


def preview(
    desk: Desk,
    read: Source,
    mappings: Sequence[Mapping],
    rows: int,
    *,
    guard: Guard | None = None,
    segments: Sequence[Segment] | None = None,
    besides: Sequence[SourceField] = (),
) -> MappingPreview:
    """What the mappings make of a sample of a source's rows, under the guard of a pipeline's contract.

    The rows are of these payloads, or else of what the source is looked at by.
    """
    models = targets(desk)
    plan = compile_plan(mappings, models, guard)
    reads_raw = any(RAW in branch.fields for branch in plan.branches)
    gone = wanting(read, plan, besides)
    extra = [guard.extra] if guard is not None and guard.extra is not None else []
    also = (*besides, *gone, *extra)
    with held(desk, read, AMONG, raw=reads_raw, segments=segments, besides=also) as (cursor, table, shape):
        of = named(desk, read) if segments is None else " ".join(s.sha256 for s in segments)
        picked = chosen(cursor, table, rows, of)
        found = texts.preview(cursor, plan, table, picked, fields_of(shape))
    shown = [_row(row, models) for row in found]
    counted = Counter(row.outcome for row in shown)
    whole = table.complete and len(picked) == table.rows
    return MappingPreview(
        rows=shown,
        good=counted["good"],
        warned=counted["warned"],
        rejected=counted["rejected"],
        filtered=counted["filtered"],
        extent=extent(len(picked), whole, table.complete, table.rows),
        sql=[branch.sql for branch in plan.branches],
        lacking=[field.name for field in gone],
    )


def compare(desk: Desk, id: str, mappings: Sequence[Mapping], examples: int) -> Impact:
    """Which stored records would differ under other mappings of a pipeline, on the payloads of its last run."""
    finished = runs.recent(desk.store.cursor(), pipeline=id, state="finished", limit=50)
    last = next((run for run in finished if run.kind == "run"), None)
    if last is None:
        raise NoRunYet(id, action="Run it once; then the change can be compared with what it made.")
    models = targets(desk)
    plan = compile_plan(mappings, models)
    found = _compared(desk, source(desk, pipeline(desk, id).source), plan, last.run, examples)
    return Impact(
        run=last.run,
        read=found.read,
        same=found.same,
        different=found.different,
        new=found.new,
        gone=found.gone,
        rejected_before=last.ledger.rejected,
        rejected_after=found.rejected,
        by_field=dict(found.by_field.most_common()),
        examples=[
            Difference(
                target=e.target,
                key=plain(e.key),
                before=plain(e.before),
                after=plain(e.after),
                fields=e.fields,
            )
            for e in found.examples
        ],
        extent=f"all {found.read:,} rows of run {last.run}",
    )


def _compared(desk: Desk, read: Source, plan: Plan, run: int, examples: int) -> Comparison:
    shape, name, found = shape_of(read), f"impact_{secrets.token_hex(4)}", Comparison()
    fields = fields_of(shape)
    with desk.store.cursor() as cursor:
        sealed = [segment for segment, _ in runs.segments(cursor, run)]
        for number, segment in enumerate(sealed):
            with desk.landing.open(segment) as stream:
                for i, chunk in enumerate(reader(shape).read(stream, shape)):
                    staged = staging.stage(cursor, plan, fields, chunk, f"{name}_{number}_{i}")
                    try:
                        impact.compare(cursor, staged, found, name=name, examples=examples)
                    finally:
                        staging.discard(cursor, staged)
        impact.finish(cursor, run, found)
    return found


def _row(row: texts.PreviewRow, models: dict[str, TargetModel]) -> PreviewRow:
    if row.target is None:
        return PreviewRow(line=row.line, outcome="filtered", source=row.source)
    outcome = "rejected" if row.blocked else "warned" if row.failed else "good"
    types = {field.name: field.type for field in models[row.target].fields}
    values = {name: _value(types.get(name), found) for name, found in row.output.items()}
    return PreviewRow(
        line=row.line, outcome=outcome, target=row.target, source=row.source, values=values, failed=row.failed
    )


def _value(kind: FieldType | None, found: Any) -> Any:
    return embedded(found) if kind is FieldType.JSON and isinstance(found, str) else plain(found)
