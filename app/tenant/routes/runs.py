"""Runs: started, watched, cancelled, undone."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.problems import Problem
from app.tenant import journal, loading
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk, pipeline
from app.tenant.schemas.runs import (
    Finding,
    LedgerView,
    ProgressView,
    RunDetail,
    RunPage,
    RunStart,
    RunView,
    Undone,
)
from engine.errors import Stop
from storage import definitions, runs
from storage.audit import ActionKind
from storage.runs import Run

router = APIRouter(tags=["runs"])


class StillRunning(Stop):
    """This run is still under way."""


class AlreadyUndone(Stop):
    """This run is undone already."""


@router.post("/pipelines/{id}/runs", status_code=202)
def start(id: str, desk: Here, who: Who, response: Response, body: RunStart | None = None) -> RunDetail:
    """Start a run; 202 while it is under way, 200 where it ended within `wait` or was a dry run."""
    wish = body or RunStart()
    if wish.dry_run:
        response.status_code = 200
        return dry(desk, id)
    number = loading.start_run(desk, id, by=who.user)
    journal.note(desk, who, ActionKind.RUN, "run.started", str(number), after={"pipeline": id})
    run = loading.wait(desk, number, wish.wait) if wish.wait else runs.get(desk.store.cursor(), number)
    if run.state != "running":
        response.status_code = 200
    return detail(desk, run)


def dry(desk: Desk, id: str) -> RunDetail:
    """What a run would do, on all rows, with nothing kept. It has no number."""
    begun = desk.now()
    version = _version(desk, id)
    found = loading.dry_run(desk, pipeline(desk, id))
    return RunDetail(
        run=0,
        pipeline=id,
        version=version,
        kind="dry",
        state="finished",
        started=begun,
        finished=desk.now(),
        started_by="",
        ledger=LedgerView.of(found.ledger),
        examples=found.examples,
        notes=[f"Dry run on all {found.ledger.read:,} rows; nothing was kept."],
    )


@router.get("/runs")
def list_runs(
    desk: Here,
    pipeline: str | None = None,
    state: str | None = None,
    before: Annotated[int | None, Query(description="Runs with a smaller number.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> RunPage:
    """Runs, newest first."""
    found = runs.recent(desk.store.cursor(), pipeline=pipeline, state=state, before=before, limit=limit + 1)
    return RunPage(runs=[view(desk, run) for run in found[:limit]], more=len(found) > limit)


@router.get("/runs/{run}")
def get(run: int, desk: Here, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> RunDetail:
    """One run, with what it read and found. `wait` holds the answer until it ends, for so many seconds."""
    return detail(desk, loading.wait(desk, run, wait) if wait else runs.get(desk.store.cursor(), run))


@router.post("/runs/{run}/cancel")
def cancel(run: int, desk: Here, who: Who) -> RunView:
    """Stop a run after the batch it is at. What it committed stays, and its books balance up to there."""
    runs.get(desk.store.cursor(), run)
    if not loading.cancel(desk, run):
        raise Problem(409, "This run is not under way.", where=f"run {run}")
    journal.note(desk, who, ActionKind.RUN, "run.cancelled", str(run))
    return view(desk, loading.wait(desk, run, 5))


@router.post("/runs/{run}/undo")
def undo(run: int, desk: Here, who: Who) -> Undone:
    """Remove what a run wrote and bring back what it replaced."""
    found = runs.get(desk.store.cursor(), run)
    if found.state == "running":
        raise StillRunning(f"run {run}.", action="Cancel it first.")
    if found.state == "undone":
        raise AlreadyUndone(f"run {run}.")
    removed = runs.undo(desk.store, run, desk.now())
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
        seconds=run.stages,
        progress=_progress(desk, run),
    )


def detail(desk: Desk, run: Run) -> RunDetail:
    """A run with its payloads and findings."""
    cursor = desk.store.cursor()
    sealed = [segment for segment, _ in runs.segments(cursor, run.run)]
    return RunDetail(
        **view(desk, run).model_dump(),
        payloads=[{"name": s.name, "size": s.size, "sha256": s.sha256} for s in sealed],
        findings=[Finding.model_validate(found) for found in runs.findings(cursor, run.run)],
    )


def _progress(desk: Desk, run: Run) -> ProgressView | None:
    live = loading.progress(desk, run.run)
    if live is None:
        return None
    rows = live.ledger.read
    seconds = max((desk.now() - run.started).total_seconds(), 0.001)
    share = live.share
    return ProgressView(
        rows=rows,
        rate=rows / seconds,
        share=share,
        left=seconds * (1 - share) / share if share else None,
        seconds={name: round(spent, 3) for name, spent in live.seconds.items()},
        cancelling=live.cancelled.is_set(),
    )


def _version(desk: Desk, id: str) -> int:
    return definitions.get(desk.store.cursor(), "pipeline", id).version
