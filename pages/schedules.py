"""Schedules: what runs when, what happens on overlap and on a missed time, and what became of the past ones."""

from __future__ import annotations

from html import escape
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.cron import in_words
from app.widgets.listing import Column, Row, cell, listing

Schedule = dict[str, Any]
PRESETS = {
    "Every day at 06:00": "0 6 * * *",
    "Every hour": "0 * * * *",
    "Every 15 minutes": "*/15 * * * *",
    "Monday to Friday at 07:00": "0 7 * * 1-5",
    "Every Sunday at 02:00": "0 2 * * 0",
}
TRIGGERS = {"cron": "At set times", "interval": "At an interval", "arrival": "When a file arrives"}
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
OVERLAP = {"skip": "leave it out", "queue": "wait, then run"}
MISSED = {"run_once": "run once, at once", "skip": "leave it out"}


def call(method: str, path: str = "", body: Any = None) -> Any:
    return access.control(method, f"/schedules{path}", body, tenant=access.tenant())


def overview(client: Client) -> None:
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    found: list[Schedule] = call("GET")
    actions = frame.head("Schedules", "They run with no browser open, and survive a restart.")
    off = access.why_not(Permission.BUILD) or (None if names else "There is no pipeline to schedule yet.")
    with actions:
        if st.button("New schedule", type="primary", disabled=off is not None, help=off):
            frame.go("schedules", schedule="new")
    rows = []
    for schedule in found:
        due = words.moment(schedule["next"][0]["utc"]) if schedule["next"] else None
        rows.append(
            Row(
                schedule["id"],
                [
                    cell(names.get(schedule["pipeline"], schedule["pipeline"])),
                    cell(
                        in_words(schedule["trigger"], schedule["spec"]),
                        sub=schedule["time_zone"] if schedule["trigger"] == "cron" else "",
                    ),
                    cell("on", chip="ok") if schedule["enabled"] else cell("off", chip="neutral"),
                    cell(
                        words.ago(due) if due else "no set time",
                        hint=words.exact(due) if due else "",
                        tone="" if due else "muted",
                    ),
                    cell(
                        words.ago(last) if (last := words.moment(schedule["last_run"])) else "never",
                        tone="muted",
                    ),
                ],
                href=access.address("schedules", schedule=schedule["id"]),
            )
        )
    heads = [Column("Pipeline"), Column("When"), Column("State"), Column("Next"), Column("Last")]
    with frame.panel(key="schedules", flush=True):
        chosen = listing("Schedules", heads, rows, key="schedule-list", none="None yet.")
    if chosen.opened:
        frame.go("schedules", schedule=chosen.opened)


def timing(schedule: Schedule) -> dict[str, Any]:
    """When: the trigger, what it needs, and the time zone."""
    triggers = list(TRIGGERS)
    trigger = (
        st.segmented_control(
            "When", triggers, default=schedule["trigger"], format_func=lambda t: TRIGGERS[t], key="s-trigger"
        )
        or schedule["trigger"]
    )
    spec = schedule["spec"] if trigger == schedule["trigger"] else {}
    if trigger == "cron":
        one, two, three = st.columns(3, gap="small")
        line = spec.get("cron", "0 6 * * *")
        by_line = {cron: words for words, cron in PRESETS.items()}
        preset = one.selectbox(
            "Usual times",
            ["", *PRESETS],
            index=[*by_line].index(line) + 1 if line in by_line else 0,
            format_func=lambda p: p or "Own",
            key="s-preset",
        )
        typed = two.text_input(
            "Minute, hour, day, month, weekday", value=line, key="s-cron", disabled=bool(preset)
        )
        zones = sorted(available_timezones())
        here = str(words.zone())
        zone = schedule["time_zone"] if schedule["id"] else here
        zone = three.selectbox(
            "Time zone", zones, index=zones.index(zone) if zone in zones else zones.index("UTC"), key="s-zone"
        )
        return {"trigger": trigger, "spec": {"cron": PRESETS.get(preset, typed)}, "time_zone": zone}
    if trigger == "interval":
        one, two = st.columns(2, gap="small")
        seconds = int(spec.get("seconds", 3600))
        unit = next(name for name, size in reversed(UNITS.items()) if seconds % size == 0)
        number = one.number_input(
            "Every", value=max(seconds // UNITS[unit], 1), min_value=1, step=1, key="s-every"
        )
        unit = two.selectbox("Unit", list(UNITS), index=list(UNITS).index(unit), key="s-unit")
        return {"trigger": trigger, "spec": {"seconds": int(number) * UNITS[unit]}, "time_zone": "UTC"}
    one, two = st.columns(2, gap="small")
    folder = one.text_input("Folder", value=spec.get("folder", ""), placeholder="/srv/feeds", key="s-folder")
    pattern = two.text_input("Files like", value=spec.get("pattern", "*"), key="s-pattern")
    return {"trigger": trigger, "spec": {"folder": folder, "pattern": pattern}, "time_zone": "UTC"}


def policy(kept: dict[str, Any]) -> dict[str, Any]:
    one, two, three, four = st.columns(4, gap="small", vertical_alignment="bottom")
    return {
        "overlap": one.selectbox(
            "If one still runs",
            list(OVERLAP),
            index=list(OVERLAP).index(kept["overlap"]),
            format_func=lambda o: OVERLAP[o],
            key="s-overlap",
        ),
        "missed": two.selectbox(
            "If a time was missed",
            list(MISSED),
            index=list(MISSED).index(kept["missed"]),
            format_func=lambda o: MISSED[o],
            key="s-missed",
        ),
        "retries": int(
            three.number_input(
                "Tries after a failure",
                value=kept["retries"],
                min_value=0,
                max_value=20,
                step=1,
                help="Only where it may pass, such as a source that does not answer.",
                key="s-retries",
            )
        ),
        "retry_delay": int(
            four.number_input(
                "Seconds to wait first",
                value=kept["retry_delay"],
                min_value=1,
                step=10,
                help="Doubled before each further try.",
                key="s-delay",
            )
        ),
    }


def due_list(times: list[dict[str, Any]], none: str) -> None:
    rows = []
    seconds = any(utc.second for time in times if (utc := words.moment(time["utc"])))
    clock = "%H:%M:%S" if seconds else "%H:%M"
    for place, time in enumerate(times):
        utc = words.moment(time["utc"])
        if utc is not None:
            here = utc.astimezone(words.zone())
            rows.append(
                Row(
                    str(place),
                    [
                        cell(f"{here:%a %-d %b} {here:{clock}}", tone="b", hint=here.tzname() or ""),
                        cell(f"{utc:%a %-d %b} {utc:{clock}} UTC", tone="muted"),
                        cell(words.ago(utc), tone="muted"),
                    ],
                    go=False,
                )
            )
    listing("Next five", [Column("Here"), Column("UTC"), Column(right=True)], rows, key="due-list", none=none)


def detail(client: Client, id: str) -> None:
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    fresh = id == "new"
    blank: Schedule = {
        "id": "",
        "pipeline": frame.asked("pipeline") or next(iter(names), ""),
        "trigger": "cron",
        "spec": {},
        "time_zone": "UTC",
        "enabled": True,
        "policy": {"overlap": "skip", "missed": "run_once", "retries": 2, "retry_delay": 60},
        "next": [],
    }
    schedule = blank if fresh else call("GET", f"/{id}")
    title = "New schedule" if fresh else str(names.get(schedule["pipeline"], schedule["pipeline"]))
    sub = "" if fresh else escape(in_words(schedule["trigger"], schedule["spec"]))
    crumb = frame.link("Schedules", "schedules")
    chips = [] if fresh else [("on", "ok") if schedule["enabled"] else ("off", "")]
    actions = frame.head(title, sub, crumb=crumb, chips=chips)
    left, right = st.columns([7, 5], gap="small")
    with left, frame.panel("What and when", key="what"):
        pipelines = list(names)
        at = pipelines.index(schedule["pipeline"]) if schedule["pipeline"] in pipelines else 0
        pipeline = st.selectbox(
            "Pipeline", pipelines, index=at, format_func=lambda p: names[p], key="s-pipeline"
        )
        when = timing(schedule)
        rules = policy(schedule["policy"])
        # Later there is a button for it: two places for one state would contradict each other.
        enabled = st.checkbox("On", value=True, key="s-enabled") if fresh else schedule["enabled"]
    body = {"pipeline": pipeline, **when, "policy": rules, "enabled": enabled}
    with (
        right,
        frame.panel("Next five times", in_words(when["trigger"], when["spec"]), key="due", flush=True),
    ):
        times = access.attempt(call, "POST", "/next", when)
        if times is None:
            frame.notice(st.session_state.pop("problem"))
        else:
            due_list(times, "Due when a file has arrived and stopped growing.")
    with actions:
        buttons(schedule, body, fresh)
    if not fresh:
        # On its own, so that what is being typed above is left alone.
        st.fragment(history, run_every=5)(id)


def buttons(schedule: Schedule, body: dict[str, Any], fresh: bool) -> None:
    off = access.why_not(Permission.BUILD)
    if not fresh:
        with st.popover("Delete", disabled=off is not None, help=off):
            st.write("Its history goes with it; runs and records stay.")
            if st.button("Delete the schedule"):
                call("DELETE", f"/{schedule['id']}")
                frame.tell("The schedule was deleted.")
                frame.go("schedules")
        work = access.why_not(Permission.WORK)
        if st.button("Run now", disabled=work is not None, help=work):
            call("POST", f"/{schedule['id']}/fire")
            frame.tell("Asked for a run, out of turn.")
            st.rerun()
        if st.button(
            "Switch off" if schedule["enabled"] else "Switch on", disabled=off is not None, help=off
        ):
            kept = {name: schedule[name] for name in ("pipeline", "trigger", "spec", "time_zone", "policy")}
            call("PUT", f"/{schedule['id']}", {**kept, "enabled": not schedule["enabled"]})
            st.rerun()
    if st.button("Save", type="primary", disabled=off is not None, help=off):
        saved = call("POST", "", body) if fresh else call("PUT", f"/{schedule['id']}", body)
        frame.tell("Saved.")
        frame.go("schedules", schedule=saved["id"])


def history(id: str) -> None:
    rows = []
    for place, firing in enumerate(call("GET", f"/{id}/firings")):
        due = words.moment(firing["due"])
        tone = {"succeeded": "ok", "failed": "bad"}.get(firing["outcome"], "muted")
        rows.append(
            Row(
                str(firing["run"] or f"none-{place}"),
                [
                    cell(words.ago(due) if due else "", hint=words.exact(due) if due else ""),
                    cell(firing["attempt"], tone="muted"),
                    cell(firing["outcome"], tone=tone),
                    cell(firing["detail"], tone="muted", hint=firing["detail"]),
                    cell(f"Run {firing['run']}" if firing["run"] else ""),
                ],
                href=access.address("runs", run=firing["run"]) if firing["run"] else "",
                go=bool(firing["run"]),
            )
        )
    heads = [Column("Due"), Column("Try", right=True), Column("Outcome"), Column("Why"), Column("Run")]
    with frame.panel("History", key="history", flush=True):
        chosen = listing(
            "History", heads, rows, key="history-list", none="It has not been due yet.", height=360
        )
    if chosen.opened:
        frame.go("runs", run=chosen.opened)


def page() -> None:
    client = access.client()
    wanted = frame.asked("schedule")
    if wanted:
        detail(client, wanted)
    else:
        overview(client)


frame.draw(page)
