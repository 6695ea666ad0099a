"""How a schedule stands, told from what became of its last due times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from storage.control.schedules import Schedule, ScheduleRun

State = Literal[
    "new", "well", "rejects", "running", "waiting", "failing", "missed", "late", "closed", "paused"
]
# The scheduler looks every second; what it has not taken up after this long is late.
LATE = timedelta(seconds=90)
BAD = frozenset({"failed", "interrupted"})


@dataclass(frozen=True)
class Standing:
    """The state, since when, and how many due times in a row for those that failed."""

    state: State
    since: datetime | None = None
    times: int = 0


def per_due_time(attempts: Sequence[ScheduleRun]) -> list[ScheduleRun]:
    """The last attempt at each due time, newest due time first."""
    last: dict[datetime, ScheduleRun] = {}
    for one in attempts:
        if one.due not in last or last[one.due].attempt < one.attempt:
            last[one.due] = one
    return sorted(last.values(), key=lambda one: one.due, reverse=True)


def standing(schedule: Schedule, attempts: Sequence[ScheduleRun], now: datetime, *, closed: bool) -> Standing:
    """How it stands. `closed`: the folder it watches is not open to schedules."""
    due = per_due_time(attempts)
    if not schedule.enabled:
        return Standing("paused")
    if closed:
        return Standing("closed")
    if schedule.next_run is not None and now - schedule.next_run > LATE:
        return Standing("late", schedule.next_run)
    if not due:
        return Standing("new")
    last = due[0]
    if last.outcome == "running":
        # Without a run it waits: for the one before it, or for its next try.
        return Standing("running" if last.run else "waiting", last.started)
    if last.outcome in BAD:
        row = list(takewhile(lambda one: one.outcome in BAD, due))
        return Standing("failing", row[-1].due, len(row))
    if last.outcome == "missed":
        return Standing("missed", last.due)
    if last.outcome == "succeeded" and last.rejected:
        return Standing("rejects", last.due)
    return Standing("well", last.due)
