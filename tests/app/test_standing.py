"""A list of schedules tells at a glance which are late, failing or left something behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.standing import per_due_time, standing
from storage.control.schedules import Policy, Schedule, ScheduleRun

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
KEPT: dict[str, Any] = {
    "id": "s", "tenant": "acme", "pipeline": "feed", "trigger": "cron", "spec": {"cron": "0 * * * *"},
    "time_zone": "UTC", "policy": Policy(), "enabled": True, "created_by": "ada",
    "created": NOON - timedelta(days=9), "next_run": NOON + timedelta(hours=1),
}  # fmt: skip


def fired(hours_ago: int, outcome: str, attempt: int = 1, **more: Any) -> ScheduleRun:
    at = NOON - timedelta(hours=hours_ago)
    return ScheduleRun(
        f"{hours_ago}-{attempt}", "s", at, attempt, at, at, outcome, more.pop("run", "1"), "", **more  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "attempts", "state", "times"),
    [
        ({}, [], "new", 0),
        ({}, [fired(1, "succeeded", rejected=0)], "well", 0),
        ({}, [fired(1, "succeeded", rejected=3)], "rejects", 0),
        ({}, [fired(0, "running")], "running", 0),
        ({}, [fired(0, "running", run=None)], "waiting", 0),
        ({}, [fired(1, "failed"), fired(2, "interrupted"), fired(3, "succeeded")], "failing", 2),
        ({}, [fired(1, "failed"), fired(1, "succeeded", attempt=2)], "well", 0),
        ({}, [fired(1, "missed")], "missed", 0),
        ({}, [fired(1, "skipped")], "well", 0),
        ({"next_run": NOON - timedelta(minutes=5)}, [], "late", 0),
        ({"enabled": False}, [fired(1, "failed")], "paused", 0),
    ],
)
def test_a_schedule_stands_as_its_last_due_times_went(
    change: dict[str, Any], attempts: list[ScheduleRun], state: str, times: int
) -> None:
    found = standing(Schedule(**KEPT | change), attempts, NOON, closed=False)
    assert (found.state, found.times) == (state, times)


def test_failing_counts_since_the_first_of_the_row() -> None:
    found = standing(Schedule(**KEPT), [fired(1, "failed"), fired(2, "failed")], NOON, closed=False)
    assert found.since == NOON - timedelta(hours=2)


def test_a_due_time_counts_once_however_often_it_was_tried() -> None:
    attempts = [fired(1, "failed"), fired(1, "succeeded", attempt=2), fired(2, "succeeded")]
    assert [(one.attempt, one.outcome) for one in per_due_time(attempts)] == [
        (2, "succeeded"),
        (1, "succeeded"),
    ]
