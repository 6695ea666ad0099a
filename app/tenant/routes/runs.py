"""Runs: started, watched, cancelled, undone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.problems import Problem
from app.tenant import journal, loading, rehearsing
from app.tenant.caller import Here, Who
from app.tenant.chronicle import chronicle
from app.tenant.desk import Desk, pipeline, source
from app.tenant.rehearsing import Rehearsal
from app.tenant.routes import drift
from app.tenant.schemas.drift import DriftView
from app.tenant.schemas.runs import (
    AppliedView,
    Finding,
    LedgerView,
    LogLine,
    ProgressView,
    RunDetail,
    RunPage,
    RunStart,
    RunView,
    SealedView,
    StageView,
    Undone,
    UndoPlan,
    WrittenView,
)
from app.tenant.tracing import segment_of
from app.tenant.values import plain
from engine.errors import Stop
from engine.mapping import address
from engine.model import Pipeline, Source
from engine.run import Progress
from storage import definitions, runs
from storage import drift as kept_drift
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.runs import Run

PIECE = 1 << 20
router = APIRouter(tags=["runs"])


class StillRunning(Stop):
    """This run is still under way."""


class AlreadyUndone(Stop):
    """This run is undone already."""


@router.post("/pipelines/{id}/runs", status_code=202)
def start(id: str, desk: Here, who: Who, response: Response, body: RunStart | None = None) -> RunDetail:
    """Start a run; 202 while it is under way, 200 where it ended within `wait`."""
    wish = body or RunStart()
    if wish.dry_run:
        definition = definitions.get(desk.store.cursor(), "pipeline", id)
        tried = rehearsing.start(
            desk, Pipeline.model_validate(definition.body), version=definition.version, by=who.user
        )
        found = rehearsed(desk, rehearsing.wait(desk, tried, wish.wait))
    else:
        number = loading.start_run(desk, id, by=who.user)
        journal.note(desk, who, ActionKind.RUN, "run.started", str(number), after={"pipeline": id})
        run = loading.wait(desk, number, wish.wait) if wish.wait else runs.get(desk.store.cursor(), number)
        found = detail(desk, run)
    if found.state != "running":
        response.status_code = 200
    return found


@router.get("/runs")
def list_runs(
    desk: Here,
    pipeline: str | None = None,
    state: str | None = None,
    kind: Annotated[str | None, Query(description="run or replay.")] = None,
    since: Annotated[datetime | None, Query(description="Started then or later.")] = None,
    before: Annotated[int | None, Query(description="Runs with a smaller number.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> RunPage:
    """Runs, newest first."""
    found = runs.recent(
        desk.store.cursor(), pipeline=pipeline, state=state, kind=kind, since=_stored(since), before=before,
        limit=limit + 1,
    )  # fmt: skip
    return RunPage(runs=[view(desk, run) for run in found[:limit]], more=len(found) > limit)


@router.get("/runs/{run}")
def get(run: int, desk: Here, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> RunDetail:
    """One run, with what it read and found. `wait` holds the answer until it ends, for so many seconds."""
    if run >= rehearsing.FIRST:
        return rehearsed(desk, rehearsing.wait(desk, _rehearsal(desk, run), wait))
    return detail(desk, loading.wait(desk, run, wait) if wait else runs.get(desk.store.cursor(), run))


@router.post("/runs/{run}/cancel")
def cancel(run: int, desk: Here, who: Who) -> RunView:
    """Stop a run after the batch it is at. What it committed stays, and its books balance up to there."""
    if run >= rehearsing.FIRST:
        found = _rehearsal(desk, run)
        loading.cancel(desk, run)
        return rehearsed(desk, rehearsing.wait(desk, found, 5))
    runs.get(desk.store.cursor(), run)
    if not loading.cancel(desk, run):
        raise Problem(409, "This run is not under way.", where=f"run {run}")
    runs.tell(desk.store, run, f"{who.user} asked for it to be cancelled.", desk.now())
    journal.note(desk, who, ActionKind.RUN, "run.cancelled", str(run))
    return view(desk, loading.wait(desk, run, 5))


@router.get("/runs/{run}/undo")
def undoing(run: int, desk: Here) -> UndoPlan:
    """What undoing a run would do, in numbers."""
    cursor = desk.store.cursor()
    found = runs.get(cursor, run)
    closes, reopens = runs.reject_counts(cursor, run)
    moves = runs.moves_cursor(cursor, run)
    return UndoPlan(
        run=run,
        written=[WrittenView(**asdict(each)) for each in runs.written(cursor, run)],
        closes=closes,
        reopens=reopens,
        moves_cursor=moves,
        cursor=runs.cursor_before(cursor, found.pipeline, run) if moves else None,
    )


@router.get("/runs/{run}/payloads/{number}", response_class=StreamingResponse)
def payload(run: int, number: int, desk: Here, who: Who) -> StreamingResponse:
    """A payload a run read, byte for byte as it was received."""
    segment = segment_of(desk, run, number)
    if segment is None:
        raise NotFound(f"payload {number} of run {run}.")
    stream = desk.landing.open(segment)
    journal.note(
        desk, who, ActionKind.EXPORT, "payload.read", f"{run}/{number}", after={"name": segment.name}
    )
    safe = re.sub(r"[^A-Za-z0-9._ -]", "_", segment.name.rpartition("/")[2]) or "payload"
    headers = {"content-disposition": f'attachment; filename="{safe}"'}
    return StreamingResponse(_pieces(stream), media_type="application/octet-stream", headers=headers)


@router.post("/runs/{run}/undo")
def undo(run: int, desk: Here, who: Who) -> Undone:
    """Remove what a run wrote and bring back what it replaced."""
    found = runs.get(desk.store.cursor(), run)
    if found.state == "running":
        raise StillRunning(f"run {run}.", action="Cancel it first.")
    if found.state == "undone":
        raise AlreadyUndone(f"run {run}.")
    removed = runs.undo(desk.store, run, desk.now())
    runs.tell(desk.store, run, f"{who.user} undid it: {removed:,} versions removed.", desk.now())
    journal.note(
        desk, who, ActionKind.RUN, "run.undone", str(run),
        before=found.ledger.as_dict(), after={"versions removed": removed},
    )  # fmt: skip
    return Undone(run=run, removed=removed, state="undone")


def view(desk: Desk, run: Run) -> RunView:
    """A run as it is shown, with its progress where it is under way."""
    return RunView(
        run=run.run,
        pipeline=run.pipeline,
        version=run.version,
        kind=run.kind,
        state=run.state,
        started=run.started.replace(tzinfo=UTC),
        finished=run.finished.replace(tzinfo=UTC) if run.finished else None,
        started_by=run.started_by,
        ledger=LedgerView.of(run.ledger),
        error=run.error,
        notes=run.notes,
        stages=[_stage(name, told) for name, told in run.stages.items()],
        progress=_progress(desk, run),
    )


def detail(desk: Desk, run: Run) -> RunDetail:
    """A run with its payloads, mappings, findings, log, and what it wrote."""
    cursor = desk.store.cursor()
    sealed = [segment for segment, _ in runs.segments(cursor, run.run)]
    made, read = _made_by(desk, run.pipeline, run.version)
    batches = runs.batches(cursor, run.run)
    found = [Finding.model_validate(each) for each in runs.findings(cursor, run.run)]
    return RunDetail(
        **view(desk, run).model_dump(),
        source=made.source if made else "",
        source_name=read.name if read else "",
        payloads=[
            SealedView(number=i, name=s.name, size=s.size, sha256=s.sha256) for i, s in enumerate(sealed)
        ],
        mappings=_applied(desk, made),
        findings=found,
        written=[] if run.state == "running" else [
            WrittenView(**asdict(each)) for each in runs.written(cursor, run.run)
        ],
        batches=len(batches),
        replayed=_replayed(run),
        replayed_of=run.body.get("runs", []),
        drift=_drift(desk, run.run),
        log=[LogLine(at=at, text=text) for at, text in chronicle(run, batches, runs.told(cursor, run.run), found)],
    )  # fmt: skip


def rehearsed(desk: Desk, tried: Rehearsal) -> RunDetail:
    """A dry run as it is shown: as a run, with examples of each outcome once it is over."""
    made, read = _made_by(desk, tried.pipeline, tried.version)
    return RunDetail(
        run=tried.number,
        pipeline=tried.pipeline,
        version=tried.version,
        kind="dry",
        state=tried.state,
        started=tried.started.replace(tzinfo=UTC),
        finished=tried.finished.replace(tzinfo=UTC) if tried.finished else None,
        started_by=tried.by,
        ledger=LedgerView.of(tried.ledger),
        error=tried.error,
        notes=[f"Dry run on all {tried.ledger.read:,} rows; nothing was kept."]
        if tried.state == "finished"
        else [],
        stages=[_stage(name, told) for name, told in tried.stages.items()],
        progress=_live(desk, tried.progress, tried.started) if tried.state == "running" else None,
        source=made.source if made else "",
        source_name=read.name if read else "",
        mappings=_applied(desk, made),
        findings=[Finding.model_validate(each) for each in tried.findings],
        examples={name: [plain(each) for each in rows] for name, rows in tried.examples.items()},
    )


def _rehearsal(desk: Desk, number: int) -> Rehearsal:
    found: Rehearsal | None = desk.rehearsals.get(number)
    if found is None:
        raise NotFound("this dry run: its result is no longer remembered.")
    return found


def _made_by(desk: Desk, id: str, version: int) -> tuple[Pipeline | None, Source | None]:
    """The pipeline of a run as it was then, and its source as it is now; None for what is deleted."""
    try:
        made = pipeline(desk, id, version)
    except NotFound:
        return None, None
    try:
        return made, source(desk, made.source)
    except NotFound:
        return made, None


def _applied(desk: Desk, made: Pipeline | None) -> list[AppliedView]:
    if made is None:
        return []
    try:
        branches = loading.plan_of(desk, made).branches
    except Stop:
        # A target model that is gone or changed since: the mapping still has its name.
        return [AppliedView(target=m.target, address=address(m), checks=len(m.rules)) for m in made.mappings]
    return [
        AppliedView(
            target=b.target.name, address=b.version, checks=len(b.checks) + len(b.set_checks) + len(b.run_checks)
        )
        for b in branches
    ]  # fmt: skip


def _replayed(run: Run) -> int:
    taken = run.body.get("rejects", 0)
    return taken if isinstance(taken, int) else len(taken)


def _progress(desk: Desk, run: Run) -> ProgressView | None:
    live = loading.progress(desk, run.run)
    return _live(desk, live, run.started) if live is not None else None


def _live(desk: Desk, live: Progress, started: datetime) -> ProgressView:
    rows = max(live.ledger.read, live.staged)
    # Chunks are read ahead, so how much of the payload was read says too much.
    share = live.share * min(live.staged / live.read, 1.0) if live.share and live.read else None
    passed = max(time.perf_counter() - live.begun, 0.001)
    return ProgressView(
        rows=rows,
        rate=rows / max((desk.now() - started).total_seconds(), 0.001),
        share=share,
        left=passed * (1 - share) / share if share else None,
        passed=passed,
        stages=[_stage(name, told) for name, told in loading.stages_of(live).items()],
        cancelling=live.cancelled.is_set(),
    )


def _stage(name: str, told: Any) -> StageView:
    """A stage as the books have it; older books hold its seconds only."""
    if isinstance(told, dict):
        return StageView(stage=name, seconds=told["seconds"], start=told["from"], end=told["to"])
    return StageView(stage=name, seconds=float(told))


def _drift(desk: Desk, run: int) -> DriftView | None:
    found = kept_drift.of_run(desk.store.cursor(), run)
    return drift.view(desk, found) if found else None


def _stored(time: datetime | None) -> datetime | None:
    """A time as the store keeps it: UTC, without a zone."""
    return time.astimezone(UTC).replace(tzinfo=None) if time and time.tzinfo else time


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(PIECE):
            yield piece
