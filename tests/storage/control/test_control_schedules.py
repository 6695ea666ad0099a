"""Schedules and settings in the control database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.control import schedules
from storage.control.database import Database
from tests.storage.control.making import AT, DAY, HOUR, make_tenant


def make_schedule(database: Database, tenant: str = "acme") -> schedules.Schedule:
    with database.write() as session:
        return schedules.create(
            session, tenant, "feeds", "cron", {"cron": "0 6 * * 1-5"}, AT,
            created_by="ada", time_zone="Europe/Zurich", next_run=AT + HOUR,
        )  # fmt: skip


def test_a_schedule_comes_back_as_it_was_made_and_changes_where_asked(database: Database) -> None:
    make_tenant(database)
    made = make_schedule(database)
    with database.write() as session:
        assert schedules.schedule(session, "acme", made.id) == made
        policy = schedules.Policy("queue", "skip", 5, 10)
        changed = schedules.change(session, "acme", made.id, policy=policy, enabled=False)
    with database.read() as session:
        assert schedules.schedules(session, "acme") == [changed]
        assert (changed.policy, changed.enabled, changed.spec) == (policy, False, made.spec)


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"trigger": "moon"},
        {"spec": {}},
        {"trigger": "interval", "spec": {"seconds": 0}},
        {"policy": schedules.Policy(overlap="maybe")},  # type: ignore[arg-type]
        {"policy": schedules.Policy(retries=999)},
        {"created_by": "eve"},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(database: Database, changes: dict[str, object]) -> None:
    make_tenant(database)
    made = make_schedule(database)
    with pytest.raises(schedules.BadSchedule), database.write() as session:
        schedules.change(session, "acme", made.id, **changes)


def test_another_tenants_schedule_is_as_if_it_were_not_there(database: Database) -> None:
    make_tenant(database)
    make_tenant(database, "globex")
    made = make_schedule(database)
    for action in (schedules.schedule, schedules.remove, schedules.change, schedules.history):
        with pytest.raises(schedules.NoSuchSchedule), database.write() as session:
            action(session, "globex", made.id)
    with database.read() as session:
        assert schedules.schedules(session, "globex") == []


def test_a_due_time_is_taken_by_exactly_one_of_many(database: Database) -> None:
    make_tenant(database)
    made = make_schedule(database)
    with database.read() as session:
        assert schedules.due(session, AT) == []
        assert [schedule.id for schedule in schedules.due(session, AT + HOUR)] == [made.id]
    start = threading.Barrier(6)

    def take(number: int) -> bool:
        start.wait()
        with database.write() as session:
            return schedules.claim(session, made.id, AT + HOUR, AT + HOUR) is not None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1
    with database.write() as session:
        retry = schedules.claim(session, made.id, AT + HOUR, AT + 2 * HOUR, attempt=2)
        assert retry is not None
        schedules.finish(session, retry.id, "succeeded", AT + 3 * HOUR, run="r1")
        schedules.set_next(session, made.id, AT + DAY)
    with database.write() as session:
        assert [run.attempt for run in schedules.interrupted(session, AT + 4 * HOUR)] == [1]
        outcomes = [
            (run.attempt, run.outcome, run.run) for run in schedules.history(session, "acme", made.id)
        ]
        assert outcomes == [(2, "succeeded", "r1"), (1, "interrupted", None)]
        assert schedules.schedule(session, "acme", made.id).last_run == AT + 2 * HOUR
        assert schedules.due(session, AT + HOUR) == []
        schedules.remove(session, "acme", made.id)
    with database.read() as session:
        assert schedules.schedules(session) == []
