"""Commands that watch over things: schedules and audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from app.cli import access, chosen
from app.cli.access import changing
from app.cli.options import Json, Tenant
from app.cli.words import leave, say, show, table
from app.triggers import KINDS, next_time, next_times, opened
from engine.errors import Stop
from storage.control import control_audit, schedules
from storage.control.schedules import Policy, Schedule

schedule_commands = typer.Typer(help="Schedules: what runs unattended, and when.", no_args_is_help=True)
audit_commands = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)


class BadTiming(Stop):
    """This is no time we can keep."""


class FolderClosed(Stop):
    """This folder is not open to schedules."""


@schedule_commands.command("list")
def list_schedules(tenant: Tenant = "default", as_json: Json = False) -> None:
    """List a tenant's schedules with their next times."""
    with access.control() as control, control.database.read() as session:
        found = schedules.schedules(session, tenant)
        now = control.now()
    rows = [_plain(each) | {"next": _next(each, now)} for each in found]
    if as_json:
        show(rows)
        return
    table(
        ("id", "pipeline", "when", "zone", "on", "next (UTC)"),
        [
            (r["id"], r["pipeline"], r["spec"], r["time_zone"], r["enabled"], (r["next"] or [None])[0])
            for r in rows
        ],
    )


@schedule_commands.command("add")
def add_schedule(
    pipeline: Annotated[str, typer.Argument()],
    cron: Annotated[str | None, typer.Option(help='Five fields, as "0 6 * * 1-5".')] = None,
    every: Annotated[int | None, typer.Option(help="Seconds between runs.")] = None,
    folder: Annotated[str | None, typer.Option(help="Run when a file arrives here.")] = None,
    pattern: Annotated[str, typer.Option(help="Which files, with --folder.")] = "*",
    time_zone: Annotated[str, typer.Option(help="In which the cron line is read.")] = "UTC",
    overlap: Annotated[str, typer.Option(help="While the last run is still going: skip or queue.")] = "skip",
    missed: Annotated[str, typer.Option(help="After a time was missed: run_once or skip.")] = "run_once",
    retries: Annotated[int, typer.Option(min=0, max=20)] = 2,
    retry_delay: Annotated[int, typer.Option(min=1, help="Seconds; doubled at each retry.")] = 60,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Run a pipeline at set times, while the server runs."""
    trigger, spec = _timing(cron, every, folder, pattern)
    if folder is not None and not opened(Path(folder), chosen.settings().folders):
        raise FolderClosed(f"{folder}.", action="Add it to SPIRE_FOLDERS.")
    policy = Policy(overlap, missed, retries, retry_delay)  # type: ignore[arg-type]
    with access.tenant(tenant) as client:
        client.pipeline(pipeline)
    with (
        access.control() as control,
        changing(control, "create-schedule", pipeline, tenant) as (session, note),
    ):
        at = control.now()
        read = KINDS[trigger].model_validate(spec)
        made = schedules.create(
            session, tenant, pipeline, trigger, spec, at, created_by=access.me(), time_zone=time_zone,
            policy=policy, next_run=next_time(read, time_zone, at, at),
        )  # fmt: skip
        note["after"] = _plain(made)
    show(_plain(made)) if as_json else say(f"Schedule {made.id} runs {pipeline} by {trigger}.")


@schedule_commands.command("remove")
def remove_schedule(
    id: Annotated[str, typer.Argument()], tenant: Tenant = "default", as_json: Json = False
) -> None:
    """Remove a schedule."""
    with access.control() as control, changing(control, "delete-schedule", id, tenant) as (session, note):
        note["before"] = _plain(schedules.schedule(session, tenant, id))
        schedules.remove(session, tenant, id)
    show({"id": id, "removed": True}) if as_json else say("It is removed.")


@schedule_commands.command("history")
def history(id: Annotated[str, typer.Argument()], tenant: Tenant = "default", as_json: Json = False) -> None:
    """Show what became of a schedule's past times."""
    with access.control() as control, control.database.read() as session:
        found = schedules.history(session, tenant, id)
    rows = [
        {"due": f.due, "attempt": f.attempt, "outcome": f.outcome, "run": f.run, "detail": f.detail}
        for f in found
    ]
    show(rows) if as_json else table(
        ("due", "attempt", "outcome", "run", "detail"), [tuple(r.values()) for r in rows]
    )


@audit_commands.command("list")
def list_events(
    tenant: Tenant = "default",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    installation: Annotated[bool, typer.Option(help="The installation's own events.")] = False,
    as_json: Json = False,
) -> None:
    """List audit events, newest first."""
    if installation:
        with access.control() as control, control.database.read() as session:
            events: list[Any] = list(control_audit.events(session, limit=limit))
    else:
        with access.tenant(tenant) as client:
            events = list(client.audit(limit=limit).events)
    rows = [
        {n: getattr(e, n) for n in ("seq", "at", "who", "action", "object", "outcome", "before", "after")}
        for e in events
    ]
    show(rows) if as_json else table(
        ("event", "at", "who", "action", "object", "outcome"), [tuple(r.values())[:6] for r in rows]
    )


@audit_commands.command("verify")
def verify(tenant: Tenant = "default", as_json: Json = False) -> None:
    """Check that no event was changed, dropped or slipped in: the tenant's and the installation's."""
    with access.control() as control, control.database.read() as session:
        own = control_audit.verify_control(session, control.keys)
        head = control_audit.head(session, control.keys, control_audit.tenant_chain(tenant))
    with access.tenant(tenant) as client:
        found = client.verify_audit({"count": head.count, "hash": head.hash})
    told = {
        "tenant": {"ok": found.ok, "events": found.count, "broken": found.broken, "reason": found.reason},
        "installation": {"ok": own.ok, "events": own.head.count, "broken": own.broken, "reason": own.reason},
    }
    if as_json:
        show({"ok": found.ok and own.ok, **told})
    else:
        for name, verdict in told.items():
            say(
                f"{name}: "
                + (
                    f"{verdict['events']:,} events, all sound"
                    if verdict["ok"]
                    else f"BROKEN: {verdict['reason']}"
                )
            )
    leave(0 if found.ok and own.ok else 1)


def _timing(
    cron: str | None, every: int | None, folder: str | None, pattern: str
) -> tuple[Literal["cron", "interval", "arrival"], dict[str, Any]]:
    given = [x for x in (cron, every, folder) if x is not None]
    if len(given) != 1:
        raise BadTiming(action="Give one of --cron, --every and --folder.")
    trigger: Literal["cron", "interval", "arrival"]
    if cron is not None:
        trigger = "cron"
        spec: dict[str, Any] = {"cron": cron}
    elif every is not None:
        trigger, spec = "interval", {"seconds": every}
    else:
        trigger, spec = "arrival", {"folder": folder, "pattern": pattern}
    try:
        return trigger, KINDS[trigger].model_validate(spec).model_dump(mode="json")
    except ValidationError as error:
        raise BadTiming(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None


def _next(each: Schedule, now: Any) -> list[Any]:
    if not each.enabled:
        return []
    spec = KINDS[each.trigger].model_validate(dict(each.spec))
    return list(next_times(spec, each.time_zone, each.created, now, 5))


def _plain(each: Schedule) -> dict[str, Any]:
    policy = each.policy
    return {
        "id": each.id, "pipeline": each.pipeline, "trigger": each.trigger, "spec": dict(each.spec),
        "time_zone": each.time_zone, "enabled": each.enabled, "overlap": policy.overlap, "missed": policy.missed,
        "retries": policy.retries, "retry_delay": policy.retry_delay,
    }  # fmt: skip
