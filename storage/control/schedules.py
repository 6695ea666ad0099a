"""Schedules: what runs unattended and when, and what became of each due time."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine.errors import Stop
from storage.control.tables import ScheduleRow, ScheduleRunRow, TenantRow

Outcome = Literal["running", "succeeded", "failed", "skipped", "missed", "interrupted"]


class NoSuchSchedule(Stop):
    """There is no such schedule."""


class BadSchedule(Stop):
    """This schedule can't be kept as it is."""


@dataclass(frozen=True)
class Policy:
    """What to do when a run is still going (`skip`, `queue`), was missed (`run_once`, `skip`), or failed.

    After a failure it is tried `retries` times more, `retry_delay` seconds later and twice as late each time.
    """

    overlap: Literal["skip", "queue"] = "skip"
    missed: Literal["run_once", "skip"] = "run_once"
    retries: int = 2
    retry_delay: int = 60


@dataclass(frozen=True)
class Schedule:
    """A pipeline's schedule.

    `spec` belongs to the trigger: cron {"cron": "0 6 * * 1-5"}, interval {"seconds": 900}, arrival
    {"folder": "…", "pattern": "*.csv"}. Nothing secret stands in it.
    """

    id: str
    tenant: str
    pipeline: str
    trigger: Literal["cron", "interval", "arrival"]
    spec: Mapping[str, Any]
    time_zone: str
    policy: Policy
    enabled: bool
    created_by: str
    created: datetime
    last_run: datetime | None = None
    next_run: datetime | None = None


@dataclass(frozen=True)
class ScheduleRun:
    """One attempt at one due time."""

    id: str
    schedule: str
    due: datetime
    attempt: int
    started: datetime
    finished: datetime | None
    outcome: Outcome
    run: str | None
    detail: str
    rejected: int | None = None


def _schedule(row: ScheduleRow) -> Schedule:
    policy = Policy(row.overlap, row.missed, row.retries, row.retry_delay)  # type: ignore[arg-type]
    return Schedule(
        row.id, row.tenant_id, row.pipeline, row.trigger, row.spec, row.time_zone, policy, row.enabled,  # type: ignore[arg-type]
        row.created_by, row.created, row.last_run, row.next_run,
    )  # fmt: skip


def _run(row: ScheduleRunRow) -> ScheduleRun:
    return ScheduleRun(
        row.id, row.schedule_id, row.due, row.attempt, row.started, row.finished, row.outcome,  # type: ignore[arg-type]
        row.run, row.detail, row.rejected,
    )  # fmt: skip


def _checked(schedule: Schedule) -> None:
    policy, spec = schedule.policy, schedule.spec
    try:
        ZoneInfo(schedule.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSchedule(f"There is no time zone {schedule.time_zone[:80]!r}.") from None
    needs = {"cron": ("cron", str), "interval": ("seconds", int), "arrival": ("folder", str)}
    if schedule.trigger not in needs:
        raise BadSchedule(f"There is no trigger {schedule.trigger!r}.")
    name, kind = needs[schedule.trigger]
    if not isinstance(spec.get(name), kind) or not spec[name]:
        raise BadSchedule(f"A trigger of the kind {schedule.trigger} needs {name!r}.")
    if schedule.trigger == "interval" and spec["seconds"] < 1:
        raise BadSchedule("An interval is at least a second.")
    if policy.overlap not in ("skip", "queue") or policy.missed not in ("run_once", "skip"):
        raise BadSchedule("Overlap is skip or queue; missed is run_once or skip.")
    if not (0 <= policy.retries <= 20 and 1 <= policy.retry_delay <= 86_400):
        raise BadSchedule("Retries are 0 to 20, 1 second to a day apart.")


def create(
    session: Session,
    tenant: str,
    pipeline: str,
    trigger: Literal["cron", "interval", "arrival"],
    spec: Mapping[str, Any],
    at: datetime,
    *,
    created_by: str,
    time_zone: str = "UTC",
    policy: Policy | None = None,
    enabled: bool = True,
    next_run: datetime | None = None,
) -> Schedule:
    """Make a schedule. The cron line itself is the scheduler's to read. Errors: BadSchedule."""
    made = Schedule(
        uuid.uuid4().hex, tenant, pipeline, trigger, dict(spec), time_zone, policy or Policy(), enabled,
        created_by, at, None, next_run,
    )  # fmt: skip
    _checked(made)
    found = session.get(TenantRow, tenant)
    if found is None or found.erased is not None:
        raise Stop("There is no such tenant.")
    session.add(
        ScheduleRow(id=made.id, tenant_id=tenant, created_by=created_by[:200], created=at, **_values(made))
    )
    session.flush()
    return made


def _values(schedule: Schedule) -> dict[str, Any]:
    return {
        "pipeline": schedule.pipeline,
        "trigger": schedule.trigger,
        "spec": dict(schedule.spec),
        "time_zone": schedule.time_zone,
        "overlap": schedule.policy.overlap,
        "missed": schedule.policy.missed,
        "retries": schedule.policy.retries,
        "retry_delay": schedule.policy.retry_delay,
        "enabled": schedule.enabled,
        "next_run": schedule.next_run,
    }


def _row(session: Session, tenant: str, id: str) -> ScheduleRow:
    row = session.get(ScheduleRow, id)
    if row is None or row.tenant_id != tenant:
        raise NoSuchSchedule()
    return row


def schedule(session: Session, tenant: str, id: str) -> Schedule:
    """One schedule of this tenant. Errors: NoSuchSchedule, also for another tenant's."""
    return _schedule(_row(session, tenant, id))


def schedules(session: Session, tenant: str | None = None) -> list[Schedule]:
    """A tenant's schedules, or everybody's for the scheduler, oldest first."""
    query = select(ScheduleRow).order_by(ScheduleRow.created, ScheduleRow.id)
    if tenant is not None:
        query = query.where(ScheduleRow.tenant_id == tenant)
    return [_schedule(row) for row in session.scalars(query)]


def change(session: Session, tenant: str, id: str, **changes: Any) -> Schedule:
    """Change fields of a schedule: pipeline, trigger, spec, time_zone, policy, enabled, next_run."""
    allowed = {"pipeline", "trigger", "spec", "time_zone", "policy", "enabled", "next_run"}
    if not changes.keys() <= allowed:
        raise BadSchedule(f"These can't be changed: {', '.join(sorted(changes.keys() - allowed))}.")
    row = _row(session, tenant, id)
    changed = replace(_schedule(row), **changes)
    _checked(changed)
    for name, value in _values(changed).items():
        setattr(row, name, value)
    session.flush()
    return changed


def remove(session: Session, tenant: str, id: str) -> None:
    """Remove a schedule and its history. Errors: NoSuchSchedule."""
    _row(session, tenant, id)
    session.execute(delete(ScheduleRunRow).where(ScheduleRunRow.schedule_id == id))
    session.execute(delete(ScheduleRow).where(ScheduleRow.id == id))


def due(session: Session, at: datetime) -> list[Schedule]:
    """The enabled schedules whose next run has come, the longest-waiting first."""
    query = select(ScheduleRow).where(ScheduleRow.enabled, ScheduleRow.next_run <= at)
    return [_schedule(row) for row in session.scalars(query.order_by(ScheduleRow.next_run))]


def set_next(session: Session, id: str, next_run: datetime | None) -> None:
    """Note when the scheduler will run it next."""
    session.execute(update(ScheduleRow).where(ScheduleRow.id == id).values(next_run=next_run))


def claim(session: Session, id: str, due: datetime, at: datetime, attempt: int = 1) -> ScheduleRun | None:
    """Take on one due time, or None where somebody has it already. Exactly one caller gets it."""
    row = ScheduleRunRow(
        id=uuid.uuid4().hex,
        schedule_id=id,
        due=due,
        attempt=attempt,
        started=at,
        outcome="running",
        detail="",
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return None
    session.execute(update(ScheduleRow).where(ScheduleRow.id == id).values(last_run=at))
    return _run(row)


def finish(
    session: Session,
    schedule_run: str,
    outcome: Outcome,
    at: datetime,
    *,
    run: str | None = None,
    detail: str = "",
    rejected: int | None = None,
) -> None:
    """Note how an attempt ended. `detail` is for people and holds no record's content."""
    values = {
        "outcome": outcome, "finished": at, "run": run, "detail": detail[:2000], "rejected": rejected,
    }  # fmt: skip
    session.execute(update(ScheduleRunRow).where(ScheduleRunRow.id == schedule_run).values(**values))


def interrupted(session: Session, at: datetime) -> list[ScheduleRun]:
    """Mark what a stopped gateway left running; gives those attempts, so they can be taken up again."""
    rows = session.scalars(select(ScheduleRunRow).where(ScheduleRunRow.outcome == "running")).all()
    for row in rows:
        row.outcome, row.finished = "interrupted", at
    session.flush()
    return [_run(row) for row in rows]


def history(session: Session, tenant: str, id: str, limit: int = 100) -> list[ScheduleRun]:
    """The latest attempts of a schedule, newest first. Errors: NoSuchSchedule."""
    _row(session, tenant, id)
    query = select(ScheduleRunRow).where(ScheduleRunRow.schedule_id == id)
    return [_run(row) for row in session.scalars(query.order_by(ScheduleRunRow.started.desc()).limit(limit))]


def forget_history(session: Session, at: datetime, keep: timedelta = timedelta(days=90)) -> None:
    """Drop history older than `keep`."""
    session.execute(delete(ScheduleRunRow).where(ScheduleRunRow.started < at - keep))
