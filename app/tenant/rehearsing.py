"""Rehearsing: a dry run goes through every row as a run would, is watched and cancelled like one, and keeps nothing."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.behind import go_behind
from app.tenant import drift
from app.tenant.desk import Desk, Live, received, source
from app.tenant.fetching import Intake
from app.tenant.loading import guarded, limits_of, plan_of, read_by, shape_of, stages_of, told
from engine.errors import SpireError
from engine.ledger import Ledger
from engine.model import Pipeline
from engine.ports import Cursor, Segment
from engine.run import Cancelled, Progress, run
from storage import runs
from storage.books import RunBooks
from storage.runs import Resume

log = logging.getLogger(__name__)

# No run in the books has such a number, so what a rehearsal would write can't be taken for a run's.
FIRST = 1 << 26
REMEMBERED = 20
_numbers = itertools.count(FIRST)


@dataclass
class Rehearsal:
    """A dry run: under way, or what it found. Kept in memory only, and of a tenant's last ones."""

    number: int
    pipeline: str
    version: int
    by: str
    started: datetime
    progress: Progress = field(default_factory=Progress)
    state: str = "running"
    finished: datetime | None = None
    error: dict[str, Any] | None = None
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return self.progress.ledger

    @property
    def stages(self) -> dict[str, dict[str, float]]:
        return stages_of(self.progress)


def start(desk: Desk, loading: Pipeline, *, version: int, by: str) -> Rehearsal:
    """Start a dry run in the background. `loading` need not be saved."""
    intake = _intake(desk, loading, version, next(_numbers))
    found = Rehearsal(intake.run, loading.id, version, by, desk.now(), intake.progress)
    while len(desk.rehearsals) >= REMEMBERED:
        desk.rehearsals.pop(next(iter(desk.rehearsals)))
    desk.rehearsals[found.number] = found
    live = desk.live[found.number] = Live(found.progress)
    live.thread = threading.Thread(
        target=_watched, args=(desk, found, live, loading, intake), name=f"dry-{found.number}"
    )
    live.thread.start()
    return found


def wait(desk: Desk, found: Rehearsal, timeout: float | None = None) -> Rehearsal:
    """The dry run once it has ended, or as it stands after `timeout` seconds."""
    live = desk.live.get(found.number)
    if live:
        live.done.wait(timeout)
    return found


class DryIntake(Intake):
    """The segments of a dry run: sealed like any other, forgotten after."""

    def _segments(self) -> Generator[tuple[Segment, Cursor | None]]:
        if self.source.connector == "upload":
            for segment in received(self.desk, self.source):
                yield segment, None
            return
        since = runs.cursor_of(self.desk.store.cursor(), self.pipeline)
        for segment, _ in self._arriving(since, 0):
            yield segment, None

    def _keep(self, number: int, segment: Segment, after: Cursor | None) -> None:
        """Nothing of a dry run is in the books."""

    @property
    def _place(self) -> str:
        return f"dry-{self.run}"

    @property
    def _by(self) -> str:
        return "a dry run"

    def forget(self) -> None:
        if self.source.connector != "upload":
            self.desk.landing.delete(self._place)


def _intake(desk: Desk, loading: Pipeline, version: int, number: int) -> DryIntake:
    read = source(desk, loading.source)
    drifting = drift.begin(desk, loading, version, read)
    # What cannot be compiled is told at once, and not by a dry run that fails.
    plan_of(desk, loading)
    return DryIntake(desk, number, read, loading.id, shape_of(read), Progress(), drifting)


def _books(desk: Desk, loading: Pipeline, intake: DryIntake) -> RunBooks:
    guard = guarded(intake)
    plan, shape = plan_of(desk, loading, guard), intake.shape
    return RunBooks(
        desk.store, intake.run, loading.id, plan, read_by(plan, shape, intake.drifting, guard), now=desk.now,
        dry=True, columns=[f.name for f in shape.fields],
    )  # fmt: skip


def _watched(desk: Desk, found: Rehearsal, live: Live, loading: Pipeline, intake: DryIntake) -> None:
    go_behind()
    state, books = "finished", None
    try:
        with desk.working():
            try:
                books = _books(desk, loading, intake)
                with closing(intake.placed(Resume())) as placed:
                    run(placed, books, progress=found.progress, limits=limits_of(desk, loading))
            finally:
                if books is not None:
                    books.close()
                intake.forget()
    except Cancelled:
        state = "cancelled"
    except SpireError as stopped:
        state, found.error = "failed", told(stopped)
    except Exception as unexpected:
        # As in a run: whatever it meets, it says that it failed and stops alone.
        log.error("dry run met %s", type(unexpected).__name__, exc_info=unexpected)
        state = "failed"
        found.error = {"title": "Phantom Spire made a mistake here.", "where": type(unexpected).__name__}
    finally:
        found.examples = dict(books.examples) if books is not None else {}
        caught = books.found if books is not None else {}
        found.findings = [
            {"mapping": mapping, "rule": c.rule, "field": c.field, "severity": str(c.severity),
             "message": c.message, "rows": rows}
            for (mapping, c), rows in sorted(caught.items(), key=lambda each: -each[1])
        ]  # fmt: skip
        found.finished, found.state = desk.now(), state
        desk.live.pop(found.number, None)
        live.done.set()
