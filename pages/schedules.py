"""Schedules: what runs when, how each stands, and what became of its past times."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, publishing, schedule_form, words
from app.widgets.bars import Bar, bars
from app.widgets.cron import (
    in_words,
)  # fmt: skip
from app.widgets.listing import Cell, Column, Row, cell, listing

Schedule = dict[str, Any]
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


def done(method: str, path: str, body: Any = None) -> Any:
    """A change; what stands in its way is told at the head, with what was filled in as it was."""
    answer = access.attempt(call, method, path, body)
    if "problem" in st.session_state:
        st.rerun()
    return answer


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
                 sub=schedule["time_zone"] if schedule["trigger"] == "cron" else "", wrap=True),
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
    with frame.panel("All schedules", note, key="schedules", flush=True):
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
        f'<span style="display: inline-flex; align-items: center; gap: 6px; margin-right: 16px; vertical-align: top; line-height: 18px">{mark}{text}</span>'
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
            when = schedule_form.timing(schedule)
        with frame.panel("Otherwise", "overlap, missed times, failures", key="otherwise"):
            rules = schedule_form.policy(schedule["policy"])
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
                arrival = "Due when a file has arrived and stopped growing."
                none = arrival if when["trigger"] == "arrival" else "It is never due: there is no such day."
                schedule_form.due_list(when, times, none)
        if not fresh:
            # On its own, so that what is being typed beside it is left alone.
            st.fragment(history, run_every=5)(id)
    with actions:
        doubt = "" if times or when["trigger"] == "arrival" else "Say first when it is due."
        buttons(schedule, body, fresh, doubt if when["spec"].get("folder", "-") else "Name the folder first.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def chip(schedule: Schedule) -> list[tuple[str, str]]:
    found = stands(schedule)
    tone = {"bad": "bad", "wait": "wait"}.get(found.get("tone", ""), "ok" if found["text"] == "well" else "")
    return [(found["text"], tone)]


def buttons(schedule: Schedule, body: dict[str, Any], fresh: bool, doubt: str) -> None:
    off = access.why_not(Permission.BUILD)
    if not fresh:
        with st.popover("Delete", disabled=off is not None, help=off):
            st.write("Its history goes with it; runs and records stay.")
            if st.button("Delete the schedule"):
                done("DELETE", f"/{schedule['id']}")
                frame.tell("The schedule was deleted.")
                frame.go("schedules")
        if st.button(
            "Pause" if schedule["enabled"] else "Resume", disabled=off is not None,
            help=off or ("It keeps its place and is not due until it is resumed." if schedule["enabled"] else None),
        ):  # fmt: skip
            kept = {name: schedule[name] for name in ("pipeline", "trigger", "spec", "time_zone", "policy")}
            done("PUT", f"/{schedule['id']}", {**kept, "enabled": not schedule["enabled"]})
            frame.tell("It is paused." if schedule["enabled"] else "It is due again.")
            st.rerun()
        work = access.why_not(Permission.WORK)
        if st.button("Run now", disabled=work is not None, help=work):
            done("POST", f"/{schedule['id']}/fire")
            frame.tell("Asked for a run, out of turn.")
            st.rerun()
    unsaved = off or doubt or None
    if st.button("Save", type="primary", disabled=unsaved is not None, help=unsaved):
        saved = done("POST", "", body) if fresh else done("PUT", f"/{schedule['id']}", body)
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
