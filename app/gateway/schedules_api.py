"""Control routes: schedules, their next times, and what became of the past ones."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy.orm import Session

from app.auth import Principal
from app.gateway.services import Services, principal
from app.problems import Problem, unfit
from app.standing import per_due_time, standing
from app.triggers import KINDS, next_time, next_times, opened
from storage.audit import ActionKind
from storage.control import schedules
from storage.control.schedules import Policy, Schedule, ScheduleRun

# So many due times are shown at once; each may have had some attempts.
SHOWN = 30
ATTEMPTS = 120
Tenant = Query(description="The tenant the schedule belongs to.")


class Timing(BaseModel):
    """When something is due: a trigger, what it needs, and the time zone a cron line is read in."""

    model_config = ConfigDict(extra="forbid")

    trigger: Literal["cron", "interval", "arrival"]
    spec: dict[str, Any] = Field(examples=[{"cron": "0 6 * * 1-5"}, {"seconds": 900}])
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"there is no time zone {value!r}")
        return value

    @model_validator(mode="after")
    def _spec_fits(self) -> Timing:
        try:
            spec = KINDS[self.trigger].model_validate(self.spec)
        except ValidationError as error:
            # Our own errors say what they are about.
            told = "; ".join(
                said if one["type"] == "value_error" else f"{name}: {said}"
                for one, (name, said) in zip(error.errors(), unfit(error.errors()), strict=True)
            )
            raise ValueError(f"{told[:1].upper()}{told[1:]}.") from None
        object.__setattr__(self, "spec", spec.model_dump(mode="json"))
        return self


class PolicyIn(BaseModel):
    """What happens on overlap, on a missed time, and after a failure that may pass."""

    model_config = ConfigDict(extra="forbid")

    overlap: Literal["skip", "queue"] = "skip"
    missed: Literal["run_once", "skip"] = "run_once"
    retries: int = Field(default=2, ge=0, le=20)
    retry_delay: int = Field(
        default=60, ge=1, le=86_400, description="Seconds; doubled at each retry, ± half."
    )


class ScheduleIn(Timing):
    """A schedule to keep."""

    pipeline: str = Field(
        pattern=r"^([a-z][a-z0-9_-]{0,62}|publication:[a-z][a-z0-9_-]{0,50})$",
        description="A pipeline to run, or `publication:` and the one to deliver.",
    )
    policy: PolicyIn = PolicyIn()
    enabled: bool = True


class Due(BaseModel):
    """A due time, here and in UTC."""

    local: datetime
    utc: datetime


class Firing(BaseModel):
    """What became of one due time, per attempt. `rejected` is known of runs that have ended."""

    due: datetime
    attempt: int
    started: datetime
    finished: datetime | None
    outcome: str
    run: str | None
    detail: str
    rejected: int | None


class StandingOut(BaseModel):
    """How a schedule stands: new, well, rejects, running, waiting, failing, missed, late, closed or paused.

    `since` when, and how many due times in a row failed.
    """

    state: str
    since: datetime | None
    times: int


class ScheduleOut(BaseModel):
    """A schedule: when it is due next (five times), how it stands, and its last thirty due times, newest first."""

    id: str
    tenant: str
    pipeline: str
    trigger: str
    spec: dict[str, Any]
    time_zone: str
    policy: PolicyIn
    enabled: bool
    created_by: str
    created: datetime
    last_run: datetime | None
    next: list[Due]
    standing: StandingOut
    recent: list[Firing]


class Fired(BaseModel):
    """The due time a firing out of turn is listed under."""

    due: datetime


def router(services: Services) -> APIRouter:
    """The routes about schedules."""
    api = APIRouter(prefix="/api/v1/schedules", tags=["schedules"])
    control = services.control

    folders = services.settings.folders

    def out(session: Session, schedule: Schedule) -> ScheduleOut:
        after = control.now()
        attempts = schedules.history(session, schedule.tenant, schedule.id, ATTEMPTS)
        closed = schedule.trigger == "arrival" and not opened(Path(schedule.spec["folder"]), folders)
        stands = standing(schedule, attempts, after, closed=closed)
        times = _next(schedule, schedule.created, after) if schedule.enabled else []
        plain = {k: v for k, v in vars(schedule).items() if k not in {"policy", "next_run", "spec"}}
        return ScheduleOut(
            **plain, spec=dict(schedule.spec), policy=PolicyIn(**vars(schedule.policy)), next=times,
            standing=StandingOut(**vars(stands)),
            recent=[_firing(one) for one in per_due_time(attempts)[:SHOWN]],
        )  # fmt: skip

    def openly(timing: Timing) -> Timing:
        if timing.trigger == "arrival" and not opened(Path(timing.spec["folder"]), folders):
            there = f"Open are {', '.join(folders)}." if folders else "None is open yet."
            raise Problem(
                422, "This folder is not open to schedules.", where=timing.spec["folder"], detail=there,
                action="Name one of these, or have the administrator add it to SPIRE_FOLDERS.",
            )  # fmt: skip
        return timing

    @api.get("")
    def list_schedules(tenant: str = Tenant) -> list[ScheduleOut]:
        """A tenant's schedules with their next times."""
        with control.database.read() as session:
            return [out(session, schedule) for schedule in schedules.schedules(session, tenant)]

    @api.post("/next")
    def next_due(timing: Timing, tenant: str = Tenant) -> list[Due]:
        """The next five times a schedule like this would be due; nothing is kept."""
        now = control.now()
        return _next(openly(timing), now, now)

    @api.post("", status_code=201)
    def create(asked: ScheduleIn, request: Request, tenant: str = Tenant) -> ScheduleOut:
        """Keep a schedule."""
        who, now = principal(request), control.now()
        openly(asked)
        spec = KINDS[asked.trigger].model_validate(asked.spec)
        with services.change(who, "create-schedule", tenant=tenant) as (session, note):
            made = schedules.create(
                session, tenant, asked.pipeline, asked.trigger, asked.spec, now, created_by=who.user,
                time_zone=asked.time_zone, policy=Policy(**asked.policy.model_dump()), enabled=asked.enabled,
                next_run=next_time(spec, asked.time_zone, now, now),
            )  # fmt: skip
            note |= {"object": made.id, "after": asked.model_dump(mode="json")}
            return out(session, made)

    @api.get("/{schedule}")
    def get(schedule: str, tenant: str = Tenant) -> ScheduleOut:
        """One schedule."""
        with control.database.read() as session:
            return out(session, schedules.schedule(session, tenant, schedule))

    @api.put("/{schedule}")
    def change(schedule: str, asked: ScheduleIn, request: Request, tenant: str = Tenant) -> ScheduleOut:
        """Keep this in place of what the schedule was."""
        if asked.enabled:
            openly(asked)
        spec = KINDS[asked.trigger].model_validate(asked.spec)
        with services.change(principal(request), "change-schedule", tenant=tenant, object=schedule) as (
            session,
            note,
        ):
            before = schedules.schedule(session, tenant, schedule)
            changed = schedules.change(
                session, tenant, schedule,
                pipeline=asked.pipeline, trigger=asked.trigger, spec=asked.spec, time_zone=asked.time_zone,
                policy=Policy(**asked.policy.model_dump()), enabled=asked.enabled,
                next_run=next_time(spec, asked.time_zone, before.created, control.now()),
            )  # fmt: skip
            note |= {"before": _kept(before), "after": asked.model_dump(mode="json")}
            return out(session, changed)

    @api.delete("/{schedule}", status_code=204)
    def remove(schedule: str, request: Request, tenant: str = Tenant) -> None:
        """Drop a schedule and its history."""
        with services.change(principal(request), "remove-schedule", tenant=tenant, object=schedule) as (
            session,
            note,
        ):
            note["before"] = _kept(schedules.schedule(session, tenant, schedule))
            schedules.remove(session, tenant, schedule)

    @api.get("/{schedule}/firings")
    def firings(
        schedule: str, tenant: str = Tenant, limit: int = Query(default=100, ge=1, le=1000)
    ) -> list[Firing]:
        """What became of its due times, newest first."""
        with control.database.read() as session:
            return [_firing(one) for one in schedules.history(session, tenant, schedule, limit)]

    def asked_for(who: Principal, tenant: str, schedule: str) -> Schedule:
        kind = ActionKind.RUN
        with services.change(who, "fire-schedule", kind=kind, tenant=tenant, object=schedule) as (session, _):
            return schedules.schedule(session, tenant, schedule)

    @api.post("/{schedule}/fire", status_code=202)
    async def fire(schedule: str, request: Request, tenant: str = Tenant) -> Fired:
        """Run it now, out of turn; its policy for overlap holds."""
        found = await asyncio.to_thread(asked_for, principal(request), tenant, schedule)
        return Fired(due=await services.scheduler.fire_now(found))

    return api


def _kept(schedule: Schedule) -> dict[str, Any]:
    """What a person decided about a schedule, in the form it is sent in."""
    fields = ScheduleIn.model_fields.keys() - {"policy", "spec"}
    return {
        **{name: getattr(schedule, name) for name in fields},
        "spec": dict(schedule.spec), "policy": vars(schedule.policy),
    }  # fmt: skip


def _next(timing: Timing | Schedule, anchor: datetime, after: datetime) -> list[Due]:
    spec = KINDS[timing.trigger].model_validate(dict(timing.spec))
    zone = ZoneInfo(timing.time_zone)
    times = next_times(spec, timing.time_zone, anchor, after)
    return [Due(local=time.astimezone(zone), utc=time) for time in times]


def _firing(one: ScheduleRun) -> Firing:
    plain = {k: v for k, v in vars(one).items() if k not in {"id", "schedule", "finished"}}
    return Firing(**plain, finished=None if one.outcome == "running" else one.finished)
