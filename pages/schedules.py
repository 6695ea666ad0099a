"""Schedules: what runs when, how each stands, and what became of its past times."""

from __future__ import annotations

from datetime import UTC, datetime, time
from html import escape
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, publishing, words
from app.widgets.bars import Bar, bars
from app.widgets.clock import next_change
from app.widgets.cron import (
    DAYS,
    EVERY_HOURS,
    EVERY_MINUTES,
    LAST_SURE_DAY,
    Choice,
    Repeat,
    choice_of,
    in_words,
    line_of,
    ordinal,
)  # fmt: skip
from app.widgets.listing import Cell, Column, Row, cell, listing

Schedule = dict[str, Any]
TRIGGERS = {"cron": "At set times", "interval": "At an interval", "arrival": "When a file arrives"}
REPEATS: dict[Repeat, str] = {
    "daily": "every day", "weekdays": "every weekday", "weekly": "on some weekdays",
    "monthly": "on a day of the month", "hours": "every so many hours", "minutes": "every so many minutes",
    "own": "as a cron expression",
}  # fmt: skip
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
OVERLAP = {"skip": "Leave the new one out", "queue": "Wait, then run"}
MISSED = {"run_once": "Run once as soon as possible", "skip": "Leave it out"}
SHOWN = 30
# Outcome, in words and as a bar.
OUTCOMES = {
    "succeeded": ("finished", "ok"), "rejects": ("finished, with rejects", "wait"), "failed": ("failed", "bad"),
    "interrupted": ("interrupted", "bad"), "missed": ("missed", "none"), "skipped": ("left out", "none"),
    "running": ("under way", "now"),
}  # fmt: skip
ORDER = ("failing", "late", "closed", "missed", "rejects")


def call(method: str, path: str = "", body: Any = None) -> Any:
    return access.control(method, f"/schedules{path}", body, tenant=access.tenant())


def outcome(firing: dict[str, Any]) -> tuple[str, str]:
    """What became of a due time, in words and as a tone."""
    told = "rejects" if firing["outcome"] == "succeeded" and firing["rejected"] else firing["outcome"]
    text, tone = OUTCOMES[told]
    return (f"finished, {words.count(firing['rejected'], 'reject')}" if told == "rejects" else text), tone


def told(firing: dict[str, Any]) -> str:
    """A due time and what became of it, for hovering."""
    due = words.moment(firing["due"])
    tries = f", try {firing['attempt']}" if firing["attempt"] > 1 else ""
    run = f" Run {firing['run']}." if firing["run"] else ""
    return f"{words.exact(due) if due else ''}: {outcome(firing)[0]}{tries}.{run} {firing['detail']}".strip()


def stands(schedule: Schedule) -> Cell:
    """How a schedule stands, in words; what needs a person stands out."""
    found = schedule["standing"]
    since = words.moment(found["since"])
    ago = words.ago(since) if since else ""
    hint = words.exact(since) if since else ""
    match found["state"]:
        case "failing":
            times = f"{found['times']} times, first {ago}" if found["times"] > 1 else ago
            return cell("failing", sub=times, tone="bad", hint=hint)
        case "late":
            return cell("late", sub=f"was due {ago}", tone="bad", hint=hint)
        case "closed":
            return cell("folder not open", sub="add it to SPIRE_FOLDERS", tone="bad")
        case "missed":
            return cell("missed", sub=ago, tone="wait", hint=hint)
        case "rejects":
            return cell(outcome(schedule["recent"][0])[0], sub=ago, tone="wait", hint=hint)
        case "running":
            return cell("running", sub=f"since {ago}" if ago != "just now" else ago, hint=hint)
        case "waiting":
            return cell("waiting for its turn", sub=ago, hint=hint)
        case "well":
            return cell("well", sub=f"last {ago}", tone="muted", hint=hint)
        case "paused":
            return cell("paused", tone="muted")
        case _:
            return cell("not due yet", tone="muted")


def leads(schedule: Schedule, run: str | None) -> tuple[str, dict[str, Any]]:
    """Where one of its times leads: a run of its own, or the publication with all its deliveries."""
    scheduled = schedule["pipeline"]
    if scheduled.startswith(publishing.PREFIX):
        return "schedules", {"publication": scheduled.removeprefix(publishing.PREFIX)}
    return "runs", {"run": run}


def to(schedule: Schedule, run: str | None) -> str:
    """The address of that."""
    page, params = leads(schedule, run)
    return access.address(page, **params) if run else ""


def strip(schedule: Schedule) -> Cell:
    """The last thirty due times, the newest at the right."""
    shown = [
        {"tone": outcome(one)[1], "hint": told(one),
         "href": to(schedule, one["run"])}
        for one in reversed(schedule["recent"])
    ]  # fmt: skip
    return cell(strip=[{"tone": "gap", "hint": "", "href": ""}] * (SHOWN - len(shown)) + shown)


def named(client: Client, publications: list[Any]) -> dict[str, str]:
    """All that can be scheduled: pipelines to run and publications to deliver."""
    return {p.pipeline.id: p.pipeline.name for p in client.pipelines()} | publishing.scheduled(publications)


def overview(client: Client) -> None:
    published = client.publications()
    names = named(client, published)
    found: list[Schedule] = call("GET")
    found.sort(key=lambda s: (ORDER.index(s["standing"]["state"]) if s["standing"]["state"] in ORDER else 9,
                              not s["enabled"], s["next"][0]["utc"] if s["next"] else "~"))  # fmt: skip
    wrong = [s for s in found if s["standing"]["state"] in ORDER[:3]]
    actions = frame.head(
        "Schedules", "They run with no browser open, and survive a restart.", chips=summary(found)
    )
    off = access.why_not(Permission.BUILD) or (None if names else "There is no pipeline to schedule yet.")
    with actions:
        if st.button("New schedule", type="primary", disabled=off is not None, help=off):
            frame.go("schedules", schedule="new")
    if not found:
        empty(bool(names))
        publishing.overview(client, published)
        return
    rows = []
    for schedule in found:
        due = words.moment(schedule["next"][0]["utc"]) if schedule["next"] else None
        cells = [
            cell(names.get(schedule["pipeline"], schedule["pipeline"]),
                 hint=names.get(schedule["pipeline"], schedule["pipeline"])),
            cell(in_words(schedule["trigger"], schedule["spec"]),
                 sub=schedule["time_zone"] if schedule["trigger"] == "cron" else "",
                 hint=in_words(schedule["trigger"], schedule["spec"])),
            stands(schedule),
            strip(schedule),
            cell(words.ago(due) if due else "–" if not schedule["enabled"] else "at an arrival",
                 hint=words.exact(due) if due else "", tone="" if due else "muted"),
        ]  # fmt: skip
        rows.append(Row(schedule["id"], cells, href=access.address("schedules", schedule=schedule["id"])))
    heads = [
        Column("Pipeline or publication"),
        Column("When"),
        Column("Stands"),
        Column(f"Last {SHOWN} times", width="206px", hint="The newest at the right; a bar opens its run."),
        Column("Next", right=True),
    ]
    note = (
        f"{words.count(len(wrong), 'schedule')} first that {'needs' if len(wrong) == 1 else 'need'} you"
        if wrong
        else ""
    )
    with frame.panel("All", note, key="schedules", flush=True):
        chosen = listing("Schedules", heads, rows, key="schedule-list", widest=260)
    legend()
    publishing.overview(client, published)
    if chosen.opened:
        frame.go("schedules", schedule=chosen.opened)


def summary(found: list[Schedule]) -> list[tuple[str, str]]:
    """The page's state in chips."""
    states = [schedule["standing"]["state"] for schedule in found]
    chips = [(f"{n} {text}", tone) for state, text, tone in (
        ("failing", "failing", "bad"), ("late", "late", "bad"), ("closed", "can't look", "bad"),
        ("missed", "missed", "wait"), ("rejects", "with rejects", "wait"), ("paused", "paused", ""),
    ) if (n := states.count(state))]  # fmt: skip
    return chips or ([("all well", "ok")] if found else [])


def legend() -> None:
    marks = "".join(
        f'<span style="display: inline-flex; align-items: center; gap: 6px; margin-right: 16px">{mark}{text}</span>'
        for mark, text in (
            ('<i style="width: 4px; height: 12px; background: var(--l-inserted)"></i>', "finished"),
            ('<i style="width: 4px; height: 12px; background: var(--wait)"></i>', "with rejects"),
            ('<i style="width: 4px; height: 12px; background: var(--bad)"></i>', "failed"),
            (
                '<i style="width: 4px; height: 8px; border: 1px solid var(--border-2)"></i>',
                "missed or left out",
            ),
        )
    )
    st.html(f'<div class="m s">{marks}</div>')


def empty(pipelines: bool) -> None:
    """What to do where there is no schedule."""
    with frame.panel("None yet", key="none"):
        st.write(
            "A schedule runs a pipeline at set times, at an interval, or when a file arrives in a folder of the server."
        )
        if not pipelines:
            st.html(f"First {frame.link('add a source', 'sources')} and save a mapping for it as a pipeline.")


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
        return {"trigger": trigger, "spec": {"cron": set_times(spec)}, "time_zone": zone(schedule)}
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
    folder = one.text_input(
        "Folder", value=spec.get("folder", ""), placeholder="/srv/feeds", key="s-folder",
        help="A folder of the server that the administrator opened with SPIRE_FOLDERS.",
    )  # fmt: skip
    pattern = two.text_input("Files like", value=spec.get("pattern", "*"), key="s-pattern")
    return {"trigger": trigger, "spec": {"folder": folder, "pattern": pattern}, "time_zone": "UTC"}


def set_times(spec: dict[str, Any]) -> str:
    """A crontab line, built in words or typed by who knows it."""
    kept = choice_of(spec.get("cron", "0 6 * * *"))
    repeats = list(REPEATS)
    one, two, three = st.columns(3, gap="small", vertical_alignment="bottom")
    repeat = one.selectbox(
        "Repeat", repeats, index=repeats.index(kept.repeat), format_func=lambda r: REPEATS[r], key="s-repeat"
    )
    if repeat == "own":
        line = two.text_input(
            "Minute, hour, day, month, weekday", value=kept.line or line_of(kept), key="s-cron",
            help="As in crontab(5): 0 6 * * 1-5 is every weekday at 06:00.",
        )  # fmt: skip
        three.html(
            f'<div class="m" style="min-height: 32px">{escape(in_words("cron", {"cron": line}))}</div>'
        )
        return " ".join(line.split())
    every, week, day = 1, kept.week, kept.day
    if repeat in ("minutes", "hours"):
        offered = EVERY_MINUTES if repeat == "minutes" else EVERY_HOURS
        every = two.selectbox(
            "How many", offered, index=offered.index(kept.every) if kept.every in offered else offered.index(1),
            key=f"s-{repeat}", format_func=lambda n: words.count(n, repeat.removesuffix("s")),
        )  # fmt: skip
        if repeat == "minutes":
            return line_of(Choice(repeat, every=every))
        minute = three.number_input("At minute", 0, 59, kept.at.minute, key="s-minute")
        return line_of(Choice(repeat, at=time(0, int(minute)), every=every))
    at = two.time_input("At", kept.at, key="s-at", step=300)
    if repeat == "weekly":
        order = [1, 2, 3, 4, 5, 6, 0]
        week = tuple(
            three.multiselect(
                "On",
                order,
                default=[d for d in order if d in kept.week],
                format_func=lambda d: DAYS[d],
                key="s-week",
            )
        ) or (1,)
    elif repeat == "monthly":
        days = list(range(1, 32))
        day = three.selectbox(
            "On the", days, index=days.index(kept.day), format_func=ordinal, key="s-day",
            help=f"Months that are shorter are left out after the {ordinal(LAST_SURE_DAY)}.",
        )  # fmt: skip
    return line_of(Choice(repeat, at=at or kept.at, week=week, day=day))


def zone(schedule: Schedule) -> str:
    zones = sorted(available_timezones())
    kept = schedule["time_zone"] if schedule["id"] else str(words.zone())
    at = zones.index(kept) if kept in zones else zones.index("UTC")
    return st.selectbox("Time zone", zones, index=at, key="s-zone")


def policy(kept: dict[str, Any]) -> dict[str, Any]:
    """What happens otherwise."""
    one, two = st.columns(2, gap="small", vertical_alignment="bottom")
    overlap = one.selectbox(
        "If the one before still runs", list(OVERLAP), index=list(OVERLAP).index(kept["overlap"]),
        format_func=lambda o: OVERLAP[o], key="s-overlap",
    )  # fmt: skip
    missed = two.selectbox(
        "If a time was missed", list(MISSED), index=list(MISSED).index(kept["missed"]),
        format_func=lambda o: MISSED[o], key="s-missed", help="As while the server was down, by more than a minute.",
    )  # fmt: skip
    retries = one.number_input(
        "Tries after a failure", value=kept["retries"], min_value=0, max_value=20, step=1,
        help="Only where it may pass, such as a source that does not answer.", key="s-retries",
    )  # fmt: skip
    delay = two.number_input(
        "Seconds before the first try", value=kept["retry_delay"], min_value=1, step=10, key="s-delay",
        help="Doubled before each further try, to one hour at most.", disabled=not retries,
    )  # fmt: skip
    return {"overlap": overlap, "missed": missed, "retries": int(retries), "retry_delay": int(delay)}


def due_list(when: dict[str, Any], times: list[dict[str, Any]], none: str) -> None:
    """The next five times: here, in the schedule's own zone where that is another, and in UTC."""
    here, there = words.zone(), ZoneInfo(when["time_zone"])
    own = when["trigger"] == "cron" and str(there) not in (str(here), "UTC")
    found = [utc for time in times if (utc := words.moment(time["utc"])) is not None]
    clock = "%H:%M:%S" if any(utc.second for utc in found) else "%H:%M"

    def spoken(at: datetime) -> str:
        return f"{at:%a %-d %b} {at:{clock}}"

    rows = []
    for place, utc in enumerate(found):
        local, own_time = utc.astimezone(here), utc.astimezone(there)
        changed = place and own_time.utcoffset() != found[place - 1].astimezone(there).utcoffset()
        cells = [cell(spoken(local), tone="b", hint=local.tzname() or "")]
        if own:
            cells.append(cell(spoken(own_time), hint=own_time.tzname() or ""))
        day = "" if utc.date() == local.date() else f"{utc:%a} "
        cells += [
            cell(f"{day}{utc:{clock}}", tone="wait" if changed else "muted", hint=f"{spoken(utc)} UTC"),
            cell(words.ago(utc), tone="muted"),
        ]
        rows.append(Row(str(place), cells, go=False))
    city = str(there).rpartition("/")[2].replace("_", " ")
    heads = [Column("Here"), *([Column(city)] if own else []), Column("UTC"), Column(right=True)]
    listing("Next five times", heads, rows, key="due-list", none=none)
    change = next_change(there, datetime.now(UTC)) if when["trigger"] == "cron" else None
    if change:
        crossed = any(utc >= change.at for utc in found)
        way = "earlier" if change.forward.total_seconds() > 0 else "later"
        text = f"{change.told(there)} in {city}: the same time there, {change.span} {way} in UTC."
        st.html(f'<div class="s {"wt" if crossed else "m"}" style="padding: 8px 12px">{escape(text)}</div>')


def detail(client: Client, id: str) -> None:
    names = named(client, client.publications())
    fresh = id == "new"
    if fresh and not names:
        frame.head("New schedule", crumb=frame.link("Schedules", "schedules"))
        empty(False)
        return
    blank: Schedule = {
        "id": "",
        "pipeline": frame.asked("pipeline") or next(iter(names), ""),
        "trigger": "cron",
        "spec": {},
        "time_zone": "UTC",
        "enabled": True,
        "policy": {"overlap": "skip", "missed": "run_once", "retries": 2, "retry_delay": 60},
    }
    schedule = blank if fresh else call("GET", f"/{id}")
    title = "New schedule" if fresh else str(names.get(schedule["pipeline"], schedule["pipeline"]))
    sub = "" if fresh else escape(_capital(in_words(schedule["trigger"], schedule["spec"])))
    if sub and schedule["trigger"] == "cron":
        sub += f", {escape(schedule['time_zone'])}."
    actions = frame.head(
        title, sub, crumb=frame.link("Schedules", "schedules"), chips=[] if fresh else chip(schedule)
    )
    left, right = st.columns([7, 5], gap="small")
    with left:
        with frame.panel("What and when", key="what"):
            pipelines = list(names)
            at = pipelines.index(schedule["pipeline"]) if schedule["pipeline"] in pipelines else 0
            pipeline = st.selectbox(
                "Pipeline or publication",
                pipelines,
                index=at,
                format_func=lambda p: names[p],
                key="s-pipeline",
            )
            when = timing(schedule)
        with frame.panel("Otherwise", "overlap, missed times, failures", key="otherwise"):
            rules = policy(schedule["policy"])
    body = {"pipeline": pipeline, **when, "policy": rules, "enabled": schedule["enabled"]}
    with right:
        said = (
            in_words(when["trigger"], when["spec"]) if when["spec"].get("folder", "-") else "name the folder"
        )
        with frame.panel("Next five times", said, key="due", flush=True):
            if when["spec"].get("folder") == "":
                times: Any = []
            else:
                times = access.attempt(call, "POST", "/next", when)
            if times is None:
                frame.notice(st.session_state.pop("problem"))
            else:
                due_list(when, times, "Due when a file has arrived and stopped growing.")
        if not fresh:
            # On its own, so that what is being typed beside it is left alone.
            st.fragment(history, run_every=5)(id)
    with actions:
        buttons(schedule, body, fresh)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def chip(schedule: Schedule) -> list[tuple[str, str]]:
    found = stands(schedule)
    tone = {"bad": "bad", "wait": "wait"}.get(found.get("tone", ""), "ok" if found["text"] == "well" else "")
    return [(found["text"], tone)]


def buttons(schedule: Schedule, body: dict[str, Any], fresh: bool) -> None:
    off = access.why_not(Permission.BUILD)
    if not fresh:
        with st.popover("Delete", disabled=off is not None, help=off):
            st.write("Its history goes with it; runs and records stay.")
            if st.button("Delete the schedule"):
                call("DELETE", f"/{schedule['id']}")
                frame.tell("The schedule was deleted.")
                frame.go("schedules")
        if st.button(
            "Pause" if schedule["enabled"] else "Resume", disabled=off is not None,
            help=off or ("It keeps its place and is not due until it is resumed." if schedule["enabled"] else None),
        ):  # fmt: skip
            kept = {name: schedule[name] for name in ("pipeline", "trigger", "spec", "time_zone", "policy")}
            call("PUT", f"/{schedule['id']}", {**kept, "enabled": not schedule["enabled"]})
            frame.tell("It is paused." if schedule["enabled"] else "It is due again.")
            st.rerun()
        work = access.why_not(Permission.WORK)
        if st.button("Run now", disabled=work is not None, help=work):
            call("POST", f"/{schedule['id']}/fire")
            frame.tell("Asked for a run, out of turn.")
            st.rerun()
    if st.button("Save", type="primary", disabled=off is not None, help=off):
        saved = call("POST", "", body) if fresh else call("PUT", f"/{schedule['id']}", body)
        frame.tell("Saved.")
        frame.go("schedules", schedule=saved["id"])


def history(id: str) -> None:
    """What became of the past times: the last thirty as bars, every attempt below."""
    schedule, firings = call("GET", f"/{id}"), call("GET", f"/{id}/firings")
    recent = schedule["recent"][::-1]
    runs = {str(place): one["run"] for place, one in enumerate(recent)}
    with frame.panel(
        "History", words.count(len(recent), "time") if recent else "", key="history", flush=True
    ):
        if recent:
            drawn = [
                Bar(str(place), told(one), share=0.4 if outcome(one)[1] in ("none", "now") else 1,
                    tone=outcome(one)[1], opens=bool(one["run"]))
                for place, one in enumerate(recent)
            ]  # fmt: skip
            first, last = (words.moment(recent[end]["due"]) for end in (0, -1))
            run = runs.get(
                bars(
                    "Past times", drawn, key="history-bars", tall=28, wide=10, first=words.ago(first) if first else "",
                    last=words.ago(last) if last and len(recent) == SHOWN else "",
                )
            )  # fmt: skip
            if run:
                page, params = leads(schedule, run)
                frame.go(page, **params)
        rows = []
        ran = "Delivery" if schedule["pipeline"].startswith(publishing.PREFIX) else "Run"
        for place, firing in enumerate(firings):
            due = words.moment(firing["due"])
            text, tone = outcome(firing)
            rows.append(
                Row(
                    f"{firing['run'] or 'none'}-{place}",
                    [
                        cell(words.ago(due) if due else "", hint=words.exact(due) if due else "",
                             sub=f"try {firing['attempt']}" if firing["attempt"] > 1 else ""),
                        cell(text, tone={"bad": "bad", "wait": "wait"}.get(tone, ""), sub=firing["detail"], hint=firing["detail"]),
                        cell(f"{ran} {firing['run']}" if firing["run"] else "", tone="muted"),
                    ],
                    href=to(schedule, firing["run"]),
                    go=bool(firing["run"]),
                )
            )  # fmt: skip
        chosen = listing(
            "History", [Column("Due"), Column("Outcome"), Column(ran, right=True)], rows, key="history-list",
            none="It has not been due yet.", height=300, widest=240,
        )  # fmt: skip
    if chosen.opened:
        page, params = leads(schedule, chosen.opened.partition("-")[0])
        frame.go(page, **params)


def page() -> None:
    client = access.client()
    wanted, publication = frame.asked("schedule"), frame.asked("publication")
    if wanted:
        detail(client, wanted)
    elif publication:
        publishing.page(client, publication)
    else:
        overview(client)


frame.draw(page)
