"""Home: is everything all right, what needs me, what runs next, what ran, and how fresh the data is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.attention import Due, Need, due, freshness, needs
from app.widgets.intake import bring_more, intake
from app.widgets.ledger import figures
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.running import outcome

SHOWN = 6


def headline(waiting: list[Need], standing: Any, fresh: list[Any], running: int) -> None:
    """One sentence: whether everything is all right; below it the time, how fresh, and whether the books balance."""
    title = "Everything is all right"
    if waiting:
        title = f"{words.count(len(waiting), 'thing')} {'needs' if len(waiting) == 1 else 'need'} you"
    now = datetime.now(words.zone())
    place = getattr(words.zone(), "key", "UTC").rsplit("/", 1)[-1].replace("_", " ")
    late = sum(each.late for each in fresh)
    aimed = sum(each.target is not None and each.newest is not None for each in fresh)
    ages = ((aimed - late, "fresh"), (late, "late"), (len(fresh) - aimed, "without a target"))
    told = [f"{now:%A %-d %B %Y, %H:%M} {escape(place)}"]
    told.append(
        words.count(len(fresh), "pipeline")
        + (": " + ", ".join(f"{n:,} {said}" for n, said in ages if n) if aimed else "")
    )
    if running:
        told.append(f"{words.count(running, 'run')} under way")
    if standing.unbalanced:
        told.append(f'<span class="bt">{words.count(len(standing.unbalanced), "run")} without balance</span>')
    elif standing.finished:
        told.append("Every finished run balances")
    actions = frame.head(title, ". ".join(told) + ".")
    with actions:
        off = access.why_not(Permission.WORK)
        if st.button(
            "New pipeline", type="primary", icon=":material/add:", disabled=off is not None, help=off
        ):
            frame.go("sources")


def attention(waiting: list[Need]) -> None:
    rows = [
        Row(str(at), [cell("●", tone=need.tone, hint="Wrong" if need.tone == "bad" else "Waits", cls="dot"), cell(need.title, sub=need.detail, tone="b", hint=need.detail), cell(need.action, act="go")], go=False)
        for at, need in enumerate(waiting)
    ]  # fmt: skip
    note = f"the first {SHOWN} of {len(waiting)}" if len(waiting) > SHOWN and not _all() else ""
    with frame.panel("Needs you", note, key="needs", flush=True):
        chosen = listing(
            "Needs you", [Column(), Column(fills=True), Column(right=True)], rows if _all() else rows[:SHOWN], key="needs-list",
            none="Nothing. Every finished run balances, and nothing waits.", widest=420,
        )  # fmt: skip
        if note:
            st.button(
                "Show all", type="tertiary", on_click=lambda: st.session_state.update({"home-all": True})
            )
    if chosen.row:
        need = waiting[int(chosen.row)]
        frame.go(need.page, **need.params)


def _all() -> bool:
    return bool(st.session_state.get("home-all"))


def ran(client: Client, names: dict[str, str]) -> None:
    today = datetime.now(UTC) - timedelta(days=1)
    recent = client.runs(limit=SHOWN).runs
    inside = [run for run in recent if (words.moment(run.started) or today) >= today]
    title, runs = ("Ran today", inside) if inside else ("Ran last", recent)
    rows = []
    for run in runs:
        told, tone = outcome(run)
        begun = words.moment(run.started)
        here = f"{begun.astimezone(words.zone()):%H:%M}" if begun and inside else words.ago(run.started)
        cells = [
            cell(names.get(run.pipeline, run.pipeline), hint=names.get(run.pipeline, run.pipeline)),
            cell(here, tone="muted", hint=words.exact(run.started)),
            figure(run.ledger.read),
            cell(ledger=figures(run.ledger)),
            cell(told, tone=tone, hint=told),
        ]
        rows.append(Row(str(run.run), cells, href=access.address("runs", run=run.run)))
    heads = [
        Column("Pipeline", fills=True), Column("Here" if inside else "When"), Column("Read", right=True), Column("Ledger"), Column("Result"),
    ]  # fmt: skip
    with frame.panel(title, key="ran", flush=True, more=frame.link("All runs", "runs")):
        chosen = listing(title, heads, rows, key="ran-list", none="No run yet.", widest=210)
    if chosen.opened:
        frame.go("runs", run=chosen.opened)


def next_runs(coming: list[Due], names: dict[str, str]) -> None:
    rows = [
        Row(
            str(at),
            [
                cell(f"{one.at.astimezone(words.zone()):%H:%M}", hint=words.exact(one.at)),
                cell(f"{one.at.astimezone(UTC):%H:%M}", tone="muted"),
                cell(
                    names.get(one.pipeline, one.pipeline),
                    tone="b",
                    hint=names.get(one.pipeline, one.pipeline),
                ),
                cell(words.ago(one.at), tone="muted", hint=words.exact(one.at)),
            ],
            go=False,
        )
        for at, one in enumerate(coming[:SHOWN])
    ]
    heads = [
        Column("Here", width="56px"),
        Column("UTC", width="56px"),
        Column("Pipeline", fills=True),
        Column("When", right=True),
    ]
    with frame.panel("Runs next", key="next", flush=True, more=frame.link("Schedules", "schedules")):
        listing("Runs next", heads, rows, key="next-list", none="Nothing is scheduled.", widest=210)


def ages(fresh: list[Any], names: dict[str, str]) -> None:
    """Age of each pipeline's newest data against its target, the latest ones first."""
    order = sorted(fresh, key=lambda each: -each.share)
    rows = []
    for each in order[:SHOWN]:
        age = words.spell(each.age) if each.age is not None else "never read"
        cells = [
            cell(each.name, hint=each.name),
            cell(age, tone="bad" if each.late else "" if each.age is not None else "muted", hint=words.exact(each.newest) if each.newest else ""),
            cell(span=[0, max(0.03, min(1, each.share))], tone="late" if each.late else "") if each.target and each.age is not None else cell(""),
            cell(words.spell(each.target) if each.target else "none", tone="muted", hint=each.why),
            figure(each.kept),
        ]  # fmt: skip
        rows.append(Row(each.pipeline, cells, href=access.address("mapping", pipeline=each.pipeline)))
    heads = [
        Column("Pipeline", fills=True), Column("Age"), Column("", width="64px"), Column("Target"), Column("In store", right=True),
    ]  # fmt: skip
    note = "age of the newest data against its target"
    with frame.panel("Freshness", note, key="fresh", flush=True):
        chosen = listing("Freshness", heads, rows, key="fresh-list", none="No pipeline yet.", widest=140)
    if chosen.opened:
        frame.go("mapping", pipeline=chosen.opened)


def page() -> None:
    client = access.client()
    state = client.state()
    if not state.sources and state.last_run is None:
        frame.head(
            "Bring in your first feed",
            "It takes about two minutes. What you bring is sealed the moment it arrives; nothing is written to the store until you run.",
        )
        intake(client, key="home")
        return
    standing = client.standing()
    schedules = access.control("GET", "/schedules", tenant=access.tenant())
    names = {each.pipeline: each.name for each in standing.freshness}
    fresh = freshness(standing, schedules)
    waiting = needs(standing, schedules, names)
    headline(waiting, standing, fresh, len(state.running))
    left, right = st.columns([6, 5], gap="small")
    with left:
        attention(waiting)
        ran(client, names)
    with right:
        next_runs(due(schedules), names)
        ages(fresh, names)
    bring_more(client, key="home")


frame.draw(page)
