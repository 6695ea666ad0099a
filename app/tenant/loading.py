"""Loading: a pipeline's payloads are sealed, read, mapped and committed; interrupted runs go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext, suppress
from functools import partial
from typing import Any

from app.behind import STAGING, go_behind
from app.tenant import drift
from app.tenant.desk import Desk, Live, pipeline, source, targets
from app.tenant.drift import Drifting, Froze, planned_fields
from app.tenant.fetching import Intake
from app.tenant.judging import RunRuleBroken, judged
from engine.compile import Plan, compile_plan
from engine.drift import Finding
from engine.drift_guard import Guard
from engine.errors import Retry, SpireError, Stop
from engine.model import Pipeline, Shape, Source, SourceField
from engine.ports import Cursor
from engine.run import Cancelled, Limits, Progress, TooManyRejects, run
from engine.scan import EXTRA, RAW
from storage import definitions, presence, quarantine, runs
from storage.books import RuleFailedTheRun, RunBooks
from storage.disk import DiskFull
from storage.runs import Run

log = logging.getLogger(__name__)


class ShapeUnknown(Stop):
    """This source has not been looked at yet, so we don't know how to read it."""


def plan_of(desk: Desk, loading: Pipeline, guard: Guard | None = None) -> Plan:
    """The plan of a pipeline's mappings onto the tenant's target models, under the guard of its contract."""
    return compile_plan(loading.mappings, targets(desk), guard)


def read_by(
    plan: Plan, shape: Shape, drifting: Drifting | None, guard: Guard | None
) -> dict[str, SourceField]:
    """The fields a plan reads of a source, also those the source does not have any more."""
    reads = [name for branch in plan.branches for name in branch.fields if name not in (RAW, EXTRA)]
    known = drifting.known.look if drifting is not None and drifting.known is not None else None
    return planned_fields(fields_of(shape), reads, known, guard)


def fields_of(shape: Shape) -> dict[str, SourceField]:
    return {f.name: f for f in shape.fields}


def shape_of(read: Source) -> Shape:
    """A source's shape; ShapeUnknown where nobody has looked yet."""
    if read.shape is None:
        raise ShapeUnknown(read.name, action="Open the source, so that its form can be found out.")
    return read.shape


def start_run(desk: Desk, pipeline_id: str, *, by: str, version: int | None = None) -> int:
    """Start a run in the background and return its number."""
    cursor = desk.store.cursor()
    definition = definitions.get(cursor, "pipeline", pipeline_id, version)
    read = definitions.get(cursor, "source", Pipeline.model_validate(definition.body).source)
    body = {"source_version": read.version}
    # Marked as working before it is in the books: a run that a crash leaves there must be gone on with.
    with desk.working():
        number = runs.begin(desk.store, pipeline_id, definition.version, "run", body, by, desk.now())
        go(desk, number, _loader(desk, number))
    return number


def resume_interrupted(desk: Desk) -> list[int]:
    """Go on with every run that was under way when the process died. Returns their numbers."""
    interrupted = runs.recent(desk.store.cursor(), state="running", limit=1000)
    for each in interrupted:
        if each.kind == "replay":
            # A replay is done or not done: its rows are in quarantine again, each once.
            runs.undo(desk.store, each.run, desk.now())
            error = {"title": "The replay was interrupted and can be started again."}
            runs.end(desk.store, each.run, "failed", desk.now(), error=error)
            continue
        runs.tell(
            desk.store, each.run, "Went on after an interruption, from the last batch committed.", desk.now()
        )
        go(desk, each.run, _loader(desk, each.run))
    return [each.run for each in interrupted if each.kind != "replay"]


def _loader(desk: Desk, number: int) -> Callable[[Progress], list[str]]:
    return lambda progress: _load(desk, number, progress)


def _load(desk: Desk, number: int, progress: Progress) -> list[str]:
    """Run a pipeline from where it stands; returns notes for whoever reads the run's page.

    Pipeline and source are of the versions the run was started with, also when it is resumed.
    """
    entered = runs.get(desk.store.cursor(), number)
    loading = pipeline(desk, entered.pipeline, entered.version)
    read = source(desk, loading.source, entered.body["source_version"])
    shape = shape_of(read)
    drifting = drift.begin(desk, loading, entered.version, read)
    intake = Intake(desk, number, read, loading.id, shape, progress, drifting)
    resume = runs.resume(desk.store.cursor(), number)
    progress.ledger = entered.ledger
    try:
        guard = guarded(intake)
    except Froze:
        drifting.conclude(number)
        raise
    plan = plan_of(desk, loading, guard)
    books = RunBooks(
        desk.store, number, loading.id, plan, read_by(plan, shape, drifting, guard), now=desk.now,
        whole=is_whole(read, runs.cursor_before(desk.store.cursor(), loading.id, number)), cursors=intake.cursor, columns=[f.name for f in shape.fields],
    )  # fmt: skip
    reached_its_end = False
    try:
        with closing(intake.placed(resume)) as placed:
            run(
                placed,
                books,
                progress=progress,
                limits=limits_of(desk, loading),
                first_batch=resume.batches,
                position=resume.position,
            )
        reached_its_end = True
    finally:
        # Why a run failed is told, and not what failed after it.
        with nullcontext() if reached_its_end else suppress(SpireError):
            differing = _put_away(desk, loading, number, books, drifting)
    unsure = ""
    if books.whole:
        with desk.store.transaction(batch=True) as cursor:
            unsure = presence.conclude(cursor, number, loading.id, filtered=progress.ledger.filtered)
    notes = [
        *shape.notes,
        *(f.says for f in differing),
        *filter(None, [unsure]),
        *judged(desk, plan, books, progress.ledger),
    ]
    if books.conflicting:
        many = "1 record" if books.conflicting == 1 else f"{books.conflicting:,} records"
        notes.append(f"{many} came with a version already stored but other content; both are kept.")
    return notes


def _put_away(
    desk: Desk, loading: Pipeline, number: int, books: RunBooks, drifting: Drifting
) -> tuple[Finding, ...]:
    """What a run leaves however it ended; returns where its source differs."""
    books.close()
    # That its source has changed may be why a run failed.
    differing = drifting.conclude(number)
    # Its rejects stay: of a schedule that fails at every time they would grow without end.
    with desk.store.transaction(batch=True) as cursor:
        quarantine.fold(cursor, loading.id, number)
    return differing


def guarded(intake: Intake) -> Guard | None:
    """What the run's plan has to watch, after everything has been looked at where the contract asks for that."""
    assert intake.drifting is not None  # noqa: S101  a run has one
    if intake.drifting.ahead:
        intake.look_ahead()
    return intake.drifting.guard()


# Of these each payload is a whole document; a page of an interface is none.
_DOCUMENTS = ("upload", "paste", "url", "folder", "sample", "s3", "sftp", "web_folder")
_TABLES = ("postgres", "mysql", "mongo")


def is_whole(read: Source, since: Cursor | None) -> bool:
    """Whether a run that begins there reads all there is, so that what it does not meet is gone from the source.

    A table is read whole where nothing is followed, and where no run before left off in the middle of it.
    """
    if read.connector in _TABLES:
        followed = read.config.get("cursor") or read.config.get("changes")
        return not followed and (since is None or "key" not in since or "complete" in since)
    return read.connector in _DOCUMENTS and bool(shape_of(read).options.get("complete"))


# These say that the load as a whole is wrong; after any other error what was committed stays.
_TAKES_BACK = (RunRuleBroken, RuleFailedTheRun, TooManyRejects)


def limits_of(desk: Desk, loading: Pipeline) -> Limits:
    threads = desk.settings.worker_threads
    return Limits(workers=threads, error_threshold=loading.error_threshold, begin=partial(go_behind, STAGING))


def go(desk: Desk, number: int, work: Callable[[Progress], list[str]]) -> None:
    """Do the work of a run in the background."""
    live = desk.live[number] = Live(Progress())
    working = ExitStack()
    working.enter_context(desk.working())
    live.thread = threading.Thread(
        target=_watched, args=(desk, number, live, work, working), name=f"run-{number}"
    )
    live.thread.start()


def _watched(
    desk: Desk, number: int, live: Live, work: Callable[[Progress], list[str]], working: ExitStack
) -> None:
    """Do the work, and enter in the books how it ended, whatever it was that ended it.

    `working` marks us as working until then.
    """
    go_behind()
    state, error, notes, takes_back = "finished", None, list[str](), False
    try:
        with working:
            notes = work(live.progress)
    except Cancelled:
        # A worker that closes leaves its runs under way: the next one resumes them.
        state = "running" if desk.closing.is_set() else "cancelled"
    except SpireError as stopped:
        state, error, takes_back = "failed", told(stopped), isinstance(stopped, _TAKES_BACK)
    except Exception as unexpected:
        # The one broad except: whatever a run meets, its books say that it failed and it stops alone.
        log.error("run %s met %s", number, type(unexpected).__name__, exc_info=unexpected)
        state = "failed"
        error = {"title": "Phantom Spire made a mistake here.", "where": type(unexpected).__name__}
    try:
        if takes_back:
            runs.take_back(desk.store, number, desk.now())
        if state != "running":
            stages = stages_of(live.progress)
            runs.end(desk.store, number, state, desk.now(), error=error, stages=stages, notes=notes)
    except DiskFull:
        # Then it can't be written down either; the run stays under way and is resumed at the next start.
        log.error("run %s could not be closed: the disk is full", number)
    finally:
        live.done.set()
        desk.live.pop(number, None)
    if state == "finished":
        desk.store.checkpoint()


def stages_of(progress: Progress) -> dict[str, dict[str, float]]:
    """The stages of a run: seconds of work in each, and from when to when it lasted."""
    spans = dict(progress.spans)
    return {
        name: {"seconds": round(spent, 3), "from": round(spans[name][0], 3), "to": round(spans[name][1], 3)}
        for name, spent in dict(progress.seconds).items()
        if name in spans
    }


def told(stopped: SpireError) -> dict[str, Any]:
    return {
        "title": stopped.title,
        "where": stopped.where,
        "action": stopped.action,
        "retry": isinstance(stopped, Retry),
    }


def progress(desk: Desk, number: int) -> Progress | None:
    """How far a run under way is; None where it isn't under way here."""
    live = desk.live.get(number)
    return live.progress if live else None


def cancel(desk: Desk, number: int) -> bool:
    """Ask a run to stop after the batch it is at. False where it isn't under way."""
    live = desk.live.get(number)
    if live:
        live.progress.cancelled.set()
    return live is not None


def pause(desk: Desk) -> None:
    """Stop every run after the batch it is at, to be resumed when the tenant is opened again."""
    desk.closing.set()
    desk.pausing()
    under_way = [*desk.live.values(), *desk.delivering.values()]
    for live in under_way:
        live.progress.cancelled.set()
    for live in under_way:
        live.done.wait()


def wait(desk: Desk, number: int, timeout: float | None = None) -> Run:
    """The run once it has ended, or as it stands after `timeout` seconds."""
    live = desk.live.get(number)
    if live:
        live.done.wait(timeout)
    return runs.get(desk.store.cursor(), number)
