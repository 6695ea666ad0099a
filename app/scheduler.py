"""The scheduler: fires due pipelines with no browser open, and knows after a restart what it missed.

What is due stands in the control database, so a beat (every second) only asks it. APScheduler keeps the
beat; its triggers tell the times. Each due time is claimed once, whoever else may be running.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app.control import Control
from app.forward import Caller, Forwarder
from app.roles import Role
from app.triggers import KINDS, Arrival, Watch, next_time, opened
from engine.errors import Retry, SpireError, Stop
from storage.control import schedules
from storage.control.schedules import Schedule, ScheduleRun

log = logging.getLogger(__name__)

# Later than this, a due time was missed and not merely late.
GRACE = timedelta(seconds=60)
POLL = 2.0
LONGEST_WAIT = 3600.0
GOING = "running"
GOOD = "finished"
# Runs that wait behind one still going: one is enough, since it takes all that has come meanwhile.
QUEUE = 1


PUBLICATION = "publication:"


def published(scheduled: str) -> str | None:
    """The publication a schedule delivers; None where it runs a pipeline."""
    return scheduled.removeprefix(PUBLICATION) if scheduled.startswith(PUBLICATION) else None


class RunFailed(Stop):
    """The run failed."""


class RunUnreachable(Retry):
    """The run could not be started, or its end not be seen."""


@dataclass
class _Line:
    """A schedule's place: one run at a time, and how many wait behind it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Scheduler:
    """Fires what is due. `tick` is one beat; `start` beats every second until `stop`.

    `control.now` is the clock; `sleep` and `chance` (0 to 1, for jitter) may be replaced in tests.
    """

    def __init__(
        self,
        control: Control,
        forwarder: Forwarder,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        beat: float = 1.0,
    ) -> None:
        self._control = control
        self._forwarder = forwarder
        self._sleep = sleep
        self._chance = chance
        self._beat = beat
        self._clock = AsyncIOScheduler(timezone="UTC")
        self._lines: dict[str, _Line] = {}
        self._watches: dict[str, tuple[Watch, datetime]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.fired = 0

    async def start(self) -> None:
        """Take up what a stopped gateway left, then beat."""
        await self.resume()
        self._clock.add_job(
            self._beat_once,
            "interval",
            seconds=self._beat,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._clock.add_job(self._forget, "interval", hours=6, coalesce=True)
        self._clock.start()

    def every(self, seconds: float, job: Callable[[], object]) -> None:
        """Have something else done regularly."""
        self._clock.add_job(job, "interval", seconds=seconds, coalesce=True, max_instances=1)

    async def stop(self) -> None:
        """Stop beating and let go of the runs: workers finish them, the next start sees how they ended."""
        if self._clock.running:
            self._clock.shutdown(wait=False)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def resume(self) -> None:
        """Follow the runs that were going when the gateway stopped; tell apart what never began."""
        with self._control.database.write() as session:
            left = schedules.interrupted(session, self._control.now())
            by_id = {schedule.id: schedule for schedule in schedules.schedules(session)}
        for attempt in left:
            if attempt.schedule in by_id:
                self._spawn(self._resume(by_id[attempt.schedule], attempt))

    async def tick(self) -> None:
        """Fire what is due now, once each, by its policy."""
        now = self._control.now()
        for schedule, claimed, missed in await asyncio.to_thread(self._due, now):
            if missed and schedule.policy.missed == "skip":
                why = "Missed while Phantom Spire was not running."
                await asyncio.to_thread(self._finish, claimed, "missed", None, why)
            else:
                self._spawn(self._run(schedule, claimed))

    async def fire_now(self, schedule: Schedule) -> datetime:
        """Fire out of turn, for a person; gives the due time it is listed under."""
        due = self._control.now()
        claimed = await asyncio.to_thread(self._claim, schedule, due, 1)
        if claimed is not None:
            self._spawn(self._run(schedule, claimed))
        return due

    async def settle(self) -> None:
        """Wait until every run under way has ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _beat_once(self) -> None:
        try:
            await self.tick()
        except SpireError as error:
            log.warning("scheduler: %s", error)

    def _due(self, now: datetime) -> list[tuple[Schedule, ScheduleRun, bool]]:
        """What is due and now ours, and whether it was missed.

        A due time is claimed in the transaction that moves its schedule on: a crash loses neither.
        """
        found = []
        with self._control.database.read() as session:
            timed = [s for s in schedules.due(session, now) if s.trigger != "arrival"]
            watched = [s for s in schedules.schedules(session) if s.enabled and s.trigger == "arrival"]
        for schedule in timed:
            due = schedule.next_run or now
            spec = KINDS[schedule.trigger].model_validate(schedule.spec)
            following = next_time(spec, schedule.time_zone, schedule.created, now)
            with self._control.database.write() as session:
                claimed = schedules.claim(session, schedule.id, due, now)
                schedules.set_next(session, schedule.id, following)
            if claimed is not None:
                found.append((schedule, claimed, now - due > GRACE))
        for schedule in watched:
            if self._arrived(schedule, now) and (claimed := self._claim(schedule, now, 1)) is not None:
                found.append((schedule, claimed, False))
        live = {schedule.id for schedule in watched}
        self._watches = {id: watch for id, watch in self._watches.items() if id in live}
        return found

    def _arrived(self, schedule: Schedule, now: datetime) -> bool:
        spec = Arrival.model_validate(schedule.spec)
        watch, looked = self._watches.get(schedule.id, (None, None))
        if watch is None or watch.spec != spec:
            since = schedule.last_run or schedule.created
            watch, looked = Watch(spec, since.timestamp()), None
        if looked is not None and now - looked < timedelta(seconds=spec.every):
            return False
        self._watches[schedule.id] = (watch, now)
        if not opened(spec.folder, self._control.settings.folders):
            return False
        return bool(watch.look())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, schedule: Schedule, claimed: ScheduleRun) -> None:
        line = self._lines.setdefault(schedule.id, _Line())
        if line.lock.locked() and (schedule.policy.overlap == "skip" or line.waiting >= QUEUE):
            why = "The run before it was still going." if line.waiting < QUEUE else "One is waiting already."
            await asyncio.to_thread(self._finish, claimed, "skipped", None, why)
            return
        line.waiting += 1
        try:
            await line.lock.acquire()
        finally:
            line.waiting -= 1
        try:
            await self._attempts(schedule, claimed)
        finally:
            line.lock.release()

    async def _attempts(self, schedule: Schedule, claimed: ScheduleRun | None) -> None:
        while claimed is not None:
            try:
                run = await self._start_run(schedule)
                await asyncio.to_thread(self._note, claimed, run)
                await self._follow(schedule, claimed, run)
                return
            except RunUnreachable as error:
                await asyncio.to_thread(self._finish, claimed, "failed", None, str(error))
            except SpireError as error:
                # A person must act: trying again would only fail again.
                await asyncio.to_thread(self._finish, claimed, "failed", None, str(error))
                return
            if claimed.attempt > schedule.policy.retries:
                return
            # Claimed before the wait, so that a restart within it still tries again.
            pause = self.pause(schedule.policy.retry_delay, claimed.attempt)
            claimed = await asyncio.to_thread(self._claim, schedule, claimed.due, claimed.attempt + 1)
            await self._sleep(pause)

    def pause(self, delay: float, attempt: int) -> float:
        """How long to wait after this attempt: doubled each time, at most an hour, ± half by chance."""
        return float(min(delay * 2 ** (attempt - 1), LONGEST_WAIT) * (0.5 + self._chance()))

    async def _resume(self, schedule: Schedule, attempt: ScheduleRun) -> None:
        line = self._lines.setdefault(schedule.id, _Line())
        async with line.lock:
            if attempt.run is None:
                # It may or may not have begun. Loads are idempotent, so once more is safe and complete.
                if schedule.policy.missed == "run_once":
                    again = await asyncio.to_thread(self._claim, schedule, attempt.due, attempt.attempt + 1)
                    await self._attempts(schedule, again)
                return
            with suppress(RunUnreachable, Stop):
                await self._follow(schedule, attempt, attempt.run)

    async def _start_run(self, schedule: Schedule) -> str:
        self.fired += 1
        publication = published(schedule.pipeline)
        if publication is None:
            answer = await self._ask(schedule, "POST", f"/pipelines/{schedule.pipeline}/runs", {})
            return str(answer.json()["run"])
        answer = await self._ask(schedule, "POST", f"/publications/{publication}/deliveries", {})
        return str(answer.json()["delivery"])

    async def _follow(self, schedule: Schedule, claimed: ScheduleRun, run: str) -> None:
        """Wait for the run's end and note it. Errors: RunUnreachable, where it may be tried again."""
        publication = published(schedule.pipeline)
        path = f"/runs/{run}" if publication is None else f"/publications/{publication}/deliveries/{run}"
        while True:
            body = (await self._ask(schedule, "GET", path)).json()
            if body["state"] != GOING:
                break
            await self._sleep(POLL)
        error = body.get("error") or {}
        cause = " ".join(str(error[key]) for key in ("title", "where", "action") if error.get(key))
        if body["state"] == "failed" and error.get("retry"):
            raise RunUnreachable(cause)
        outcome = "succeeded" if body["state"] == GOOD else "failed"
        rejected = body.get("refused", (body.get("ledger") or {}).get("rejected"))
        told = cause or ("" if outcome == "succeeded" else f"The run was {body['state']}.")
        await asyncio.to_thread(self._finish, claimed, outcome, run, told, rejected)

    async def _ask(self, schedule: Schedule, method: str, path: str, body: Any = None) -> httpx.Response:
        caller = Caller(f"schedule:{schedule.id}", Role.ENGINEER.value)
        try:
            answer = await self._forwarder.call(schedule.tenant, method, path, caller, body)
        except (Retry, httpx.TransportError) as error:
            raise RunUnreachable(str(error)) from error
        if answer.status_code in {429, 502, 503, 504}:
            raise RunUnreachable(_title(answer))
        if answer.is_error:
            raise RunFailed(_title(answer))
        return answer

    def _claim(self, schedule: Schedule, due: datetime, attempt: int) -> ScheduleRun | None:
        with self._control.database.write() as session:
            return schedules.claim(session, schedule.id, due, self._control.now(), attempt)

    def _note(self, claimed: ScheduleRun, run: str) -> None:
        # Not its end yet: but a gateway that starts after us must know which run to follow.
        self._finish(claimed, "running", run, "")

    def _finish(
        self, claimed: ScheduleRun, outcome: str, run: str | None, detail: str, rejected: int | None = None
    ) -> None:
        with self._control.database.write() as session:
            schedules.finish(
                session, claimed.id, outcome, self._control.now(), run=run, detail=detail, rejected=rejected,  # type: ignore[arg-type]
            )  # fmt: skip

    def _forget(self) -> None:
        with self._control.database.write() as session:
            schedules.forget_history(session, self._control.now())


def _title(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"The worker answered {answer.status_code}."
    return " ".join(str(body[key]) for key in ("title", "where", "action") if body.get(key))
