"""Following drift: the patched mapping, what it makes of the run's own payload, and taking it as a new version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.tenant import defining, drift, journal, loading, repairing
from app.tenant.caller import Caller
from app.tenant.comparing import differences
from app.tenant.desk import Desk, pipeline, received, source, targets
from app.tenant.reading import AMONG, held, payload_of
from app.tenant.replaying import replay
from app.tenant.schemas.drift import DriftAccept, DriftAccepted, DriftPatch, PatchOutcome
from app.tenant.schemas.mappings import MappingPreview
from app.tenant.suggesting import accepted
from app.tenant.trying import preview
from engine import drift_patch
from engine.compile import compile_plan
from engine.drift import Finding, settled
from engine.drift_guard import Guard
from engine.drift_look import Look
from engine.errors import Stop
from engine.model import FieldMapping, Mapping, Pipeline, Shape, Source, SourceField, TargetModel
from engine.ports import Segment
from engine.profile import Profile, profile
from engine.scan import RAW
from engine.suggest import suggest
from engine.suggest.chain import chain, day_first
from storage import definitions, quarantine, runs
from storage import drift as kept
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.drift import Drift, Known

ROWS = 200


class Settled(Stop):
    """This drift was answered already, or a later run has found something else."""


@dataclass(frozen=True)
class Patch:
    """A pipeline and its source's shape as they would be, and what a person must know of it."""

    pipeline: Pipeline
    shape: Shape
    notes: tuple[str, ...]


def drift_of(desk: Desk, id: str, run: int) -> Drift:
    """What a run of this pipeline found; NotFound where it found nothing."""
    found = kept.of_run(desk.store.cursor(), run) if run != drift.NO_RUN else drift.waiting(desk, id)
    if found is None or found.pipeline != id:
        raise NotFound(f"a drift of {id} in run {run}.")
    return found


def payloads_of(desk: Desk, found: Drift, read: Source) -> list[Segment]:
    """The payloads a drift was found in: those of its run, or those the next run will read."""
    if found.run == drift.NO_RUN:
        return received(desk, read)
    return [segment for segment, _ in runs.segments(desk.store.cursor(), found.run)]


def patch(desk: Desk, found: Drift) -> Patch:
    """The pipeline as it stands, made to follow what was found."""
    now = pipeline(desk, found.pipeline)
    read = source(desk, now.source)
    models = targets(desk)
    shape = shape_after(loading.shape_of(read), found.look, found.findings)
    names = drift_patch.names_of(found.findings)
    notes: list[str] = []
    segments = payloads_of(desk, found, read)
    looked = _profile(desk, read, shape, segments, found)
    mappings = []
    for mapping in now.mappings:
        model = models[mapping.target]
        mapping = drift_patch.followed(mapping, names)
        for gone in (f.field for f in found.findings if f.kind == "vanished"):
            mapping, said = drift_patch.without(mapping, gone, model)
            notes += said
        mapping = _with_new(desk, mapping, model, found.findings, looked)
        mappings.append(_retyped(desk, mapping, model, found.findings, looked))
    left = drift.fields_read(now.model_copy(update={"mappings": tuple(mappings)}))
    for finding in found.findings:
        if finding.kind == "vanished" and finding.field in left:
            notes.append(f"{finding.field} is still read where it can't be taken out; it is empty there.")
    return Patch(now.model_copy(update={"mappings": tuple(mappings)}), shape, tuple(dict.fromkeys(notes)))


def tried(desk: Desk, id: str, run: int) -> DriftPatch:
    """The patch of a run's drift with its replay preview: the plan's own result on that run's payload."""
    found = drift_of(desk, id, run)
    made = patch(desk, found)
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    now = Pipeline.model_validate(definition.body)
    read = source(desk, now.source)
    segments = payloads_of(desk, found, read)
    before = preview(desk, read, now.mappings, ROWS, segments=segments, besides=_besides(found))
    after = preview(
        desk, read.model_copy(update={"shape": made.shape}), made.pipeline.mappings, ROWS, segments=segments,
        besides=_besides(found),
    )  # fmt: skip
    rejects = quarantine.select(desk.store.cursor(), run=run, pipeline=id, limit=2_000) if run else []
    plan = compile_plan(made.pipeline.mappings, targets(desk))
    passing = repairing.passing(desk, plan, made.shape, rejects) if rejects else set()
    return DriftPatch(
        run=run,
        based_on=definition.version,
        mappings=list(made.pipeline.mappings),
        changes=differences(list(now.mappings), list(made.pipeline.mappings)),
        notes=list(made.notes),
        before=_outcome(before),
        after=after,
        quarantined=len(rejects),
        would_pass=len(passing),
    )


def accept(desk: Desk, who: Caller, id: str, wish: DriftAccept) -> DriftAccepted:
    """Save the patch as a new version, take what was found as what is known, and replay what waits."""
    found = drift_of(desk, id, wish.run)
    if found.state != "open":
        raise Settled(f"run {wish.run}.", action="Look at the newest run.")
    made = patch(desk, found)
    compile_plan(made.pipeline.mappings, targets(desk))
    read = source(desk, made.pipeline.source)
    by = f"run {wish.run} found" if wish.run else "the newest file brought"
    comment = f"Followed what {by}: " + "; ".join(_short(f) for f in found.findings)
    saved = defining.save(
        desk, who, "pipeline", id, made.pipeline, comment=comment[:500], based_on=wish.based_on
    )
    reshaped = defining.save(
        desk, who, "source", read.id, read.model_copy(update={"shape": made.shape}), comment=comment[:500]
    )
    _know(desk, who, found, made.pipeline, saved.version, "accepted")
    rejects = (
        quarantine.select(desk.store.cursor(), run=wish.run, pipeline=id, limit=None) if wish.replay else []
    )
    number = replay(desk, [reject.id for reject in rejects], by=who.user) if rejects else None
    done = loading.wait(desk, number, wish.wait) if number is not None else None
    return DriftAccepted(
        version=saved.version,
        source_version=reshaped.version,
        run=number,
        replayed=len(rejects),
        ledger=done.ledger.as_dict() if done else None,
    )


def dismiss(desk: Desk, who: Caller, id: str, run: int) -> None:
    """Take what was found as what is to be expected, without changing the mapping."""
    found = drift_of(desk, id, run)
    if found.state != "open":
        raise Settled(f"run {run}.", action="Look at the newest run.")
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    _know(desk, who, found, Pipeline.model_validate(definition.body), definition.version, "dismissed")


def shape_after(shape: Shape, look: Look, findings: Sequence[Finding]) -> Shape:
    """The source's shape as it was found: its columns by their header, its keys with what came and went."""
    if look.certain:
        names = [f.name for f in look.fields]
        fields = tuple(SourceField(name=name) for name in names)
        dialect = shape.dialect.model_copy(update={"columns": tuple(names)}) if shape.dialect else None
        options = {**shape.options, "columns": names} if "columns" in shape.options else shape.options
        return shape.model_copy(update={"fields": fields, "dialect": dialect, "options": options})
    paths = {f.name: f.path for f in look.fields}
    gone = {f.field for f in findings if f.kind in ("vanished", "rename")}
    came = [f.to or f.field for f in findings if f.kind in ("new", "rename")]
    fields = tuple(f for f in shape.fields if f.name not in gone or f.name in came)
    there = {f.name for f in fields}
    new = tuple(SourceField(name=n, path=paths.get(n, (n,))) for n in came if n not in there)
    return shape.model_copy(update={"fields": (*fields, *new)})


def _know(desk: Desk, who: Caller, found: Drift, now: Pipeline, version: int, how: str) -> None:
    """From here on what was found is what is known; the event says what it was."""
    digests = tuple(segment.sha256 for segment in payloads_of(desk, found, source(desk, now.source)))
    before = drift.known_of(desk, now, found.version)
    look = settled(before.look if before else Look(), found.look, found.findings)
    with desk.store.transaction() as cursor:
        known = Known(now.id, version, look, digests, runs=max(1, before.runs if before else 1))
        kept.keep_known(cursor, known, desk.now())
        kept.settle(cursor, now.id, how, who.user, desk.now())
        journal.note(
            desk, who, ActionKind.CHANGE, f"drift.{how}", now.id, cursor=cursor,
            before={"run": found.run, "findings": [f.says for f in found.findings]}, after={"version": version},
        )  # fmt: skip


def _profile(
    desk: Desk, read: Source, shape: Shape, segments: Sequence[Segment], found: Drift
) -> Profile | None:
    """What the fields that are new or changed hold in the run's payload; None where there are none."""
    names = {f.to or f.field for f in found.findings if f.kind in ("new", "type")}
    if not names:
        return None
    with held(desk, read.model_copy(update={"shape": shape}), 4 * AMONG, segments=segments) as (
        cursor,
        table,
        _,
    ):
        return profile(cursor, table.table, [f.name for f in table.fields if f.name != RAW], ordinal="rowid")


def _with_new(
    desk: Desk, mapping: Mapping, model: TargetModel, findings: Sequence[Finding], looked: Profile | None
) -> Mapping:
    """The mapping with what new fields can feed, where nothing else does."""
    new = {f.field for f in findings if f.kind == "new"}
    if looked is None or not new:
        return mapping
    mapped = {item.field for item in mapping.fields}
    more = [
        item
        for item, offered in zip(*_offers(desk, looked, model), strict=True)
        if item.field not in mapped and offered in new and item.source in new
    ]
    return mapping.model_copy(update={"fields": (*mapping.fields, *more)})


def _offers(desk: Desk, looked: Profile, model: TargetModel) -> tuple[list[FieldMapping], list[str]]:
    offered = suggest(looked, model, accepted(desk))
    best = {f.field: f.best.source for f in offered.fields if f.best and f.accepted and not f.derived}
    items = [item for item in offered.mapping.fields if item.field in best]
    return items, [best[item.field] for item in items]


def _retyped(
    desk: Desk, mapping: Mapping, model: TargetModel, findings: Sequence[Finding], looked: Profile | None
) -> Mapping:
    """The mapping with steps that read the values as they are now, where it had none that could."""
    changed = {f.field for f in findings if f.kind == "type"}
    if looked is None or not changed:
        return mapping
    days = day_first(looked.columns)
    there = {column.name for column in looked.columns}
    fields = []
    for item in mapping.fields:
        if item.source in changed & there:
            road = chain(looked.column(str(item.source)), model.field(item.field), days)
            if road.steps and not road.choices and road.steps != item.steps:
                item = item.model_copy(update={"steps": road.steps})
        fields.append(item)
    return mapping.model_copy(update={"fields": tuple(fields)})


def _besides(found: Drift) -> tuple[SourceField, ...]:
    """Fields that may be read and are no longer there, or are there and not known."""
    nowhere: tuple[str, ...] = ()
    names = {name: nowhere for f in found.findings for name in (f.field, f.to) if name}
    names |= {f.name: f.path for f in found.look.fields if f.name in names}
    return tuple(SourceField(name=name, path=path) for name, path in names.items())


def _outcome(shown: MappingPreview) -> PatchOutcome:
    return PatchOutcome(
        good=shown.good, warned=shown.warned, rejected=shown.rejected, filtered=shown.filtered
    )


def _short(finding: Finding) -> str:
    told = {"rename": f"{finding.field} is now {finding.to}", "vanished": f"{finding.field} is gone"}
    return told.get(
        finding.kind, f"{finding.field} is {'new' if finding.kind == 'new' else 'of another type'}"
    )


def guard_of_preview(desk: Desk, id: str, read: Source) -> Guard | None:
    """What a run of the pipeline would watch, judged by the payload the source is looked at by.

    Froze where a run would stop.
    """
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    now = Pipeline.model_validate(definition.body)
    if read.id != now.source or read.shape is None:
        return None
    drifting = drift.begin(desk, now, definition.version, read)
    if drifting.ahead:
        for segment in received(desk, read) if read.connector == "upload" else [payload_of(desk, read)]:
            drifting.took(segment)
            drift.watch_beginning(desk, read, segment, drifting.watch)
    return drifting.guard()
