"""Intake: the whole job in one go, from a sealed payload to a ledger, with nothing to decide by hand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from app.tenant import defining, journal, loading, reading, suggesting
from app.tenant.caller import Caller
from app.tenant.desk import Desk, pipeline, source, targets
from app.tenant.schemas.runs import IngestResult, LedgerView
from engine.compile import compile_plan
from engine.errors import Stop
from engine.model import Contract, Mapping, Pipeline, Shape, Source
from engine.ports import Segment
from engine.suggest import Suggestion
from storage import runs
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.runs import Run

# Below this a target model is a guess, and records of the wrong kind are worse than a question.
SURE = 35


class NoMapping(Stop):
    """We can't tell how this should be mapped."""


@dataclass(frozen=True)
class Wish:
    """What is asked of a job besides the payload; what is None is found out."""

    target: str | None = None
    mappings: tuple[Mapping, ...] = ()
    source: str | None = None
    format: str | None = None
    wait: float | None = None


_locks: dict[tuple[str, str], threading.Lock] = {}
_guard = threading.Lock()


def ingest(desk: Desk, who: Caller, segment: Segment, wish: Wish) -> IngestResult:
    """Make or renew the payload's source and pipeline, run it, and give the ledger.

    Payloads of the same name are one source, so the same file again changes nothing. Jobs of one
    source take turns.
    """
    id = wish.source or defining.slug(segment.name, "source")
    with _turn(desk, id):
        read = _renewed(desk, who, id, segment, wish)
        made, notes = _pipeline(desk, who, read, wish)
        number = loading.start_run(desk, made.id, by=who.user)
        journal.note(desk, who, ActionKind.RUN, "run.started", str(number), after={"pipeline": made.id})
        # The run must have taken its payload before the next job of this source names another.
        while number in desk.live and not runs.segments(desk.store.cursor(), number):
            time.sleep(0.005)
    run = loading.wait(desk, number, wish.wait)
    return result(run, read.id, notes)


def result(run: Run, source: str, notes: list[str]) -> IngestResult:
    """A run as the ledger of a job."""
    return IngestResult(
        run=run.run,
        **{**LedgerView.of(run.ledger).model_dump(), "balanced": _is_balanced(run)},
        state=run.state,
        source=source,
        pipeline=run.pipeline,
        error=run.error,
        notes=[*notes, *run.notes],
    )


def _is_balanced(run: Run) -> bool:
    """A run under way has no books yet that could balance."""
    return run.state != "running" and run.ledger.balanced


def _turn(desk: Desk, id: str) -> threading.Lock:
    with _guard:
        return _locks.setdefault((desk.tenant, id), threading.Lock())


def _renewed(desk: Desk, who: Caller, id: str, segment: Segment, wish: Wish) -> Source:
    """The source of that id, now reading this payload."""
    shape = reading.find_shape(desk, segment, wish.format)
    try:
        before = source(desk, id)
    except NotFound:
        before = None
    if before is not None and before.shape is not None and _alike(before.shape, shape):
        # How a person said to read it stays, as long as the payload has the same form.
        shape = before.shape
    config = {"upload": segment.run, "number": segment.number}
    renewed = Source(
        id=id, name=before.name if before else segment.name, connector="upload", config=config, shape=shape
    )
    defining.save(desk, who, "source", id, renewed)
    return renewed


def _alike(before: Shape, now: Shape) -> bool:
    """Whether a payload is written the way the one before was, as far as its look tells."""
    if (before.format, before.compression) != (now.format, now.compression):
        return False
    if before.dialect is not None and now.dialect is not None:
        return before.dialect.first_lines[:1] == now.dialect.first_lines[:1]
    return before.fields == now.fields


def _pipeline(desk: Desk, who: Caller, read: Source, wish: Wish) -> tuple[Pipeline, list[str]]:
    """The source's pipeline: as given, as it stands if it still fits, or as suggested."""
    id, notes = read.id, list[str]()
    try:
        before = pipeline(desk, id)
    except NotFound:
        before = None
    mappings = wish.mappings
    # Who made a contract has said what is to happen where the source has changed: no new mapping is guessed then.
    kept = before is not None and before.source == read.id and before.contract != Contract()
    if not mappings and before is not None and (kept or _fits(before, read, wish.target)):
        return before, notes
    if not mappings:
        mappings, notes = _found_out(desk, read, wish.target)
    made = Pipeline(
        id=id,
        name=before.name if before else read.name,
        source=read.id,
        mappings=mappings,
        error_threshold=before.error_threshold if before else None,
        contract=before.contract if before else Contract(),
    )
    compile_plan(made.mappings, targets(desk))
    defining.save(desk, who, "pipeline", id, made, comment="Made by an ingest.")
    return made, notes


def _fits(before: Pipeline, read: Source, target: str | None) -> bool:
    """Whether a pipeline can take the source as it is now."""
    if before.source != read.id or read.shape is None:
        return False
    if read.shape.mappings:
        return before.mappings == read.shape.mappings or target is None
    names = {f.name for f in read.shape.fields}
    wanted = {
        f.source for m in before.mappings for f in m.fields if f.source and not f.source.startswith("_")
    }
    return wanted <= names and (target is None or all(m.target == target for m in before.mappings))


def _found_out(desk: Desk, read: Source, target: str | None) -> tuple[tuple[Mapping, ...], list[str]]:
    if read.shape is not None and read.shape.mappings:
        return read.shape.mappings, []
    offered = suggesting.suggestions(desk, read, target).suggestions
    best: Suggestion | None = offered[0] if offered else None
    if target is None and (best is None or not best.mapping.fields or best.fit < SURE or best.missing):
        raise NoMapping(read.name, action="Name a target model, or give a mapping.")
    if best is None:
        return (Mapping(target=str(target), fields=()),), []
    # Who names a target wants the job done: rows that lack what it requires are in quarantine, not lost.
    lacking = [f"nothing was found for {name}" for name in best.missing]
    unused = [f"not mapped: {', '.join(best.unused)}"] if best.unused else []
    return (best.mapping,), [*best.notes, *lacking, *unused]
