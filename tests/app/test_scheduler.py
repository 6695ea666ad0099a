"""Schedules fire unattended, by their policy, once per due time, and after a restart know what they missed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.control import Control, open_control
from app.forward import Forwarder
from app.scheduler import Scheduler
from app.settings import Settings
from app.supervisor import Supervisor
from app.triggers import KINDS, next_time
from storage.control import schedules, tenants
from storage.control.schedules import Policy, Schedule, ScheduleRun

MORNING = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)


@dataclass
class Bench:
    """A control plane with one tenant, a real worker behind a stub API, and a clock that is set by hand."""

    folder: Path
    time: datetime = MORNING
    control: Control = field(init=False)
    supervisor: Supervisor = field(init=False)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(
            data_dir=self.folder / "d", key_file=self.folder / "root.key", folders=(str(self.folder),)
        )
        self.control = open_control(settings, lambda: self.time)
        with self.control.database.write() as session:
            tenants.create(session, self.control.kek, "acme", "Acme", self.time)
        self.supervisor = Supervisor(settings, self.control, app="tests.app.tenant_stub:create_app")
        settings.tenant_dir("acme").mkdir(parents=True)

    @property
    def store(self) -> Path:
        return self.control.settings.tenant_dir("acme")

    def scheduler(self) -> Scheduler:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            await asyncio.sleep(min(seconds, 0.05))

        return Scheduler(self.control, Forwarder(self.supervisor), sleep=sleep, chance=lambda: 0.5)

    def keep(self, trigger: str, spec: dict[str, object], **policy: Any) -> Schedule:
        read = KINDS[trigger].model_validate(spec)
        with self.control.database.write() as session:
            return schedules.create(
                session, "acme", "feed", trigger, spec, self.time, created_by="ada",  # type: ignore[arg-type]
                policy=replace(Policy(), **policy), next_run=next_time(read, "UTC", self.time, self.time),
            )  # fmt: skip

    def history(self, schedule: Schedule) -> list[ScheduleRun]:
        with self.control.database.read() as session:
            found = schedules.history(session, "acme", schedule.id)
        return sorted(found, key=lambda one: (one.due, one.attempt))

    def answers(self, *words: str) -> None:
        (self.store / "answers").write_text(" ".join(words))

    def fired(self) -> list[str]:
        log = self.store / "fired"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def bench() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="sp"))
    made = Bench(folder)
    yield made
    made.supervisor.stop_all(10)
    made.control.close()
    shutil.rmtree(folder)


def test_a_due_schedule_fires_once_as_itself_and_is_listed(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600})

    async def day() -> None:
        scheduler = bench.scheduler()
        await scheduler.tick()
        assert bench.fired() == []  # not yet
        bench.time += timedelta(seconds=601)
        await scheduler.tick()
        await scheduler.tick()
        await scheduler.settle()

    asyncio.run(day())
    assert bench.fired() == [f"feed schedule:{schedule.id}"]
    (once,) = bench.history(schedule)
    assert once.outcome == "succeeded"
    assert once.due == MORNING + timedelta(seconds=600)
    assert once.run == "r1"


def test_a_publication_is_delivered_on_time_and_what_was_refused_is_listed(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600})
    with bench.control.database.write() as session:
        schedules.change(session, "acme", schedule.id, pipeline="publication:partner")

    async def day() -> None:
        scheduler = bench.scheduler()
        bench.time += timedelta(seconds=601)
        await scheduler.tick()
        await scheduler.settle()

    asyncio.run(day())
    assert bench.fired() == [f"publication partner schedule:{schedule.id}"]
    (once,) = bench.history(schedule)
    assert (once.outcome, once.run, once.rejected) == ("succeeded", "4", 2)


@pytest.mark.parametrize(
    ("missed", "outcome", "fired"), [("run_once", "succeeded", 1), ("skip", "missed", 0)]
)
def test_what_a_stopped_gateway_missed_is_run_once_or_skipped(
    bench: Bench, missed: str, outcome: str, fired: int
) -> None:
    schedule = bench.keep("cron", {"cron": "0 * * * *"}, missed=missed)
    bench.time += timedelta(hours=7, minutes=20)  # seven due times went by

    async def day() -> None:
        scheduler = bench.scheduler()
        await scheduler.tick()
        await scheduler.settle()

    asyncio.run(day())
    assert [one.outcome for one in bench.history(schedule)] == [outcome]
    assert len(bench.fired()) == fired
    with bench.control.database.read() as session:
        assert schedules.schedule(session, "acme", schedule.id).next_run == MORNING + timedelta(hours=8)


def test_a_failure_that_may_pass_is_tried_again_later_and_later(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600}, retries=2, retry_delay=60)
    bench.answers("retry", "retry", "0")

    async def day() -> None:
        scheduler = bench.scheduler()
        await scheduler.fire_now(schedule)
        await scheduler.settle()

    asyncio.run(day())
    assert [(one.attempt, one.outcome) for one in bench.history(schedule)] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    assert "did not answer" in bench.history(schedule)[0].detail
    assert bench.slept == [60, 120]


def test_the_pause_doubles_up_to_an_hour_and_varies_by_chance(bench: Bench) -> None:
    scheduler = bench.scheduler()
    assert [scheduler.pause(60, n) for n in (1, 2, 3, 20)] == [60, 120, 240, 3600]
    lucky = Scheduler(bench.control, Forwarder(bench.supervisor), chance=lambda: 0.0)
    assert lucky.pause(60, 1) == 30


@pytest.mark.parametrize(
    ("overlap", "outcomes"), [("skip", ["skipped", "skipped", "succeeded"]), ("queue", ["skipped", "succeeded", "succeeded"])]
)  # fmt: skip
def test_a_run_still_going_makes_the_next_skip_or_wait(
    bench: Bench, overlap: str, outcomes: list[str]
) -> None:
    schedule = bench.keep("interval", {"seconds": 600}, overlap=overlap)
    bench.answers("1.5")

    async def day() -> None:
        scheduler = bench.scheduler()
        for _ in range(3):
            await scheduler.fire_now(schedule)
            bench.time += timedelta(seconds=1)
            await asyncio.sleep(0.3)
        await scheduler.settle()

    bench.supervisor.socket("acme")
    asyncio.run(day())
    assert sorted(one.outcome for one in bench.history(schedule)) == outcomes


def test_a_run_the_gateway_left_behind_is_followed_to_its_end(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600})
    bench.answers("1.0")

    async def first() -> None:
        scheduler = bench.scheduler()
        await scheduler.fire_now(schedule)
        while not (bench.history(schedule) and bench.history(schedule)[0].run):
            await asyncio.sleep(0.05)
        await scheduler.stop()

    async def second() -> None:
        scheduler = bench.scheduler()
        await scheduler.resume()
        await scheduler.settle()

    asyncio.run(first())
    assert bench.history(schedule)[0].outcome == "running"
    asyncio.run(second())
    (only,) = bench.history(schedule)
    assert only.outcome == "succeeded"
    assert len(bench.fired()) == 1


def test_a_firing_that_never_began_is_begun_after_the_restart(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600})
    with bench.control.database.write() as session:
        schedules.claim(session, schedule.id, MORNING, MORNING)  # and then the power went

    async def day() -> None:
        scheduler = bench.scheduler()
        await scheduler.resume()
        await scheduler.settle()

    asyncio.run(day())
    assert [one.outcome for one in bench.history(schedule)] == ["interrupted", "succeeded"]


def test_a_restart_while_waiting_to_try_again_still_tries_again(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600}, retries=1, retry_delay=3600)
    bench.answers("retry", "0")

    async def first() -> None:
        scheduler = Scheduler(bench.control, Forwarder(bench.supervisor))
        await scheduler.fire_now(schedule)
        while len(bench.history(schedule)) < 2:
            await asyncio.sleep(0.05)
        await scheduler.stop()

    async def second() -> None:
        scheduler = bench.scheduler()
        await scheduler.resume()
        await scheduler.settle()

    asyncio.run(first())
    asyncio.run(second())
    assert [one.outcome for one in bench.history(schedule)] == ["failed", "interrupted", "succeeded"]


def test_a_file_that_arrives_fires_its_pipeline_once(bench: Bench) -> None:
    drop = bench.folder / "drop"
    drop.mkdir()
    bench.time = datetime.now(UTC) - timedelta(seconds=5)
    schedule = bench.keep("arrival", {"folder": str(drop), "pattern": "*.csv", "every": 1})

    async def day() -> None:
        scheduler = bench.scheduler()
        for beat in range(6):
            if beat == 1:
                (drop / "feed.csv").write_text("a,b\n")
            bench.time += timedelta(seconds=1.1)
            await scheduler.tick()
        await scheduler.settle()

    asyncio.run(day())
    assert bench.fired() == [f"feed schedule:{schedule.id}"]


def test_a_disabled_schedule_stays_quiet(bench: Bench) -> None:
    schedule = bench.keep("interval", {"seconds": 600})
    with bench.control.database.write() as session:
        schedules.change(session, "acme", schedule.id, enabled=False)
    bench.time += timedelta(hours=1)
    asyncio.run(bench.scheduler().tick())
    assert bench.history(schedule) == []
