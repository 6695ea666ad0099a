"""Quarantine: rows that could not be taken, by cause, each with its bytes and a way to repair it and its like."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, fixes, frame, repairs, words
from app.widgets.alike import alike, passing, verdict_of
from app.widgets.causes import kept_causes, plain_causes, proposed_causes
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.reject import inexact, marked, reject_page
from app.widgets.row_editor import Verdict, row_editor

TRIED = 100


# The causes


def causes_list(found: list[Any], selected: Any, key: str = "cause") -> None:
    most = max(cause.rows for cause in found)
    rows = [
        Row(
            str(cause.first),
            [
                cell(
                    cause.reason,
                    sub=f"Proposed: {cause.proposals[0].title}" if cause.proposals else "Needs you",
                    hint=cause.explanation,
                    wrap=True,
                ),
                figure(cause.rows),
                cell(bar=cause.rows / most),
            ],
        )
        for cause in found
    ]
    with frame.panel("Causes", "largest first", key=f"{key}s", flush=True):
        chosen = listing(
            "Causes",
            [Column(), Column(right=True), Column()],
            rows,
            key=f"{key}-list",
            selected=str(selected.first),
            height=640,
        )
    if chosen.opened:
        st.query_params["cause"] = chosen.opened
        st.query_params.pop("row", None)
        st.rerun()


def place_of(found: list[Any]) -> int:
    """Which cause is chosen: by its first row, or, where that is dealt with, the one it was the first of."""
    asked, before = frame.asked("cause"), st.session_state.get("cause-shown")
    at = next((i for i, cause in enumerate(found) if str(cause.first) == asked), None)
    if at is None:
        alike = (
            i for i, cause in enumerate(found) if asked and (cause.rule, cause.field, cause.reason) == before
        )
        at = next(alike, 0)
    st.session_state["cause-shown"] = (found[at].rule, found[at].field, found[at].reason)
    return at


def elsewhere(client: Client, given: dict[str, Any], total: int) -> None:
    """What waits beside what is shown, and the way to all of it."""
    if given:
        more = client.counts().open_rejects - total
        told = (
            f"{words.count(more, 'reject')} more {'waits' if more == 1 else 'wait'} in other runs. "
            if more > 0
            else ""
        )
        st.html(f'<div class="s m">{told}{frame.link("Show all", "quarantine")}</div>')


def step(found: list[Any], at: int) -> None:
    """Next and previous cause, by keyboard too."""

    def to(place: int) -> None:
        st.query_params["cause"] = str(found[place].first)
        st.query_params.pop("row", None)

    st.html(
        f'<div class="s m" style="line-height:32px">Cause {at + 1} of {len(found)}</div>', width="content"
    )
    st.button("Previous `K`", key="cause-before", on_click=to, args=(at - 1,), disabled=at == 0)
    last = at + 1 == len(found)
    st.button("Next `J`", key="cause-next", on_click=to, args=((at + 1) % len(found),), disabled=last)


# One cause


def detail(client: Client, cause: Any) -> None:
    rejects = (
        client.rejects(
            rule=cause.rule, field=cause.field, reason=cause.reason, limit=TRIED, **repairs.scope()
        ).rejects
        or cause.examples
    )
    wanted = frame.asked("row")
    reject = next((r for r in rejects if str(r.id) == wanted), rejects[0])
    with frame.panel(key="cause"):
        head = st.container(horizontal=True, vertical_alignment="center", gap="small")
        with head:
            chip = f'<span class="chip bad">{words.count(cause.rows, "reject")}</span>'
            st.html(
                f'<div class="sp-title" role="heading" aria-level="2">{escape(cause.reason)} {chip}</div>'
            )
            repairs.dismiss(client, cause, reject)
        work(client, cause, rejects, reject)


def original(client: Client, cause: Any, reject: Any) -> None:
    """The row as it came, what failed marked, and on demand what stands around it."""
    place = f"line {reject.line:,} of {reject.payload or 'its payload'}, run {reject.run}, mapping {reject.version}"
    top = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with top:
        st.html(frame.heading("Original row", place))
        around = st.toggle("5 lines around it", key="around")
    lines = []
    found = client.around_reject(reject.id) if around else None
    for each in found.lines if found else []:
        if each.mark:
            lines.append(marked(reject))
        else:
            lines.append(f'<div class="out"><i>{each.line}</i>{escape(each.text)}</div>')
    body = "".join(lines) or marked(reject)
    st.html(f'<div class="sp-raw" tabindex="0" role="region" aria-label="Original row">{body}</div>')
    if found and found.why:
        st.caption(found.why)
    if reject.fixed is not None:
        st.html(f'<div class="sp-raw"><div><i>now</i>{escape(reject.fixed.rstrip())}</div></div>')
    st.caption(f"{cause.explanation}{inexact(reject)}")
    if cause.rule.startswith("drift:") and st.button("See how the source has changed"):
        frame.go("runs", run=reject.run)


@st.fragment
def work(client: Client, cause: Any, rejects: list[Any], reject: Any) -> None:
    """Edit the row or choose a fix, see what it does to all alike, then apply it. Only this part reruns."""
    original(client, cause, reject)
    off = access.why_not(Permission.WORK)
    left, right = st.columns([5, 8], gap="medium")
    with right:
        changes, verdict = edited(client, cause, reject, rejects)
    with left:
        fix = fixes.choose(client, cause, reject, changes)
    trial = (
        access.attempt(client.try_fix, repairs.key_of(cause), fix, limit=TRIED) if fix is not None else None
    )
    if fix is not None and trial is None:
        frame.notice(st.session_state.pop("problem"))
    fixes.actions(client, cause, reject, changes, verdict, fix, trial, off)
    st.html(frame.heading(f"The {cause.rows:,} alike", passing(trial) if trial else first_of(rejects, cause)))
    opened = alike(rejects, cause, trial, selected=reject.id, key="alike-list")
    if opened:
        st.query_params["row"] = opened
        st.rerun(scope="app")


def first_of(rejects: list[Any], cause: Any) -> str:
    return f"first {len(rejects):,} by line" if cause.rows > len(rejects) else "by line"


def edited(client: Client, cause: Any, reject: Any, rejects: list[Any]) -> tuple[dict[str, Any], Any]:
    """The row's editor, judged as one types; gives the change as the API takes it, and what it was judged."""
    key = f"row-{reject.id}"

    def typed() -> None:
        told = st.session_state["row-editor"].typed
        if told and str(told["id"]).startswith(f"{reject.id}-"):
            st.session_state[key] = told["values"]
            st.session_state[f"fix-{cause.first}"] = "edit"

    def stepped() -> None:
        by = st.session_state["row-editor"].stepped
        ids = [r.id for r in rejects]
        place = min(max(ids.index(reject.id) + int(by or 0), 0), len(ids) - 1)
        st.session_state["step-to"] = ids[place]

    values = st.session_state.get(key) or {}
    changes: dict[str, Any] = {}
    if reject.fields:
        changed = {n: v for n, v in values.items() if n in reject.fields and v != (reject.fields[n] or "")}
        changes = {"fields": changed} if changed else {}
    elif values and values.get("The line") != (reject.fixed or reject.raw).rstrip("\r\n"):
        changes = {"text": values["The line"]}
    row, verdict = judged(client, cause, reject, changes)
    row_editor(
        reject, cause.source_field, verdict, values, key="row-editor", off=access.why_not(Permission.WORK), typed=typed,
        stepped=stepped,
    )  # fmt: skip
    to = st.session_state.pop("step-to", None)
    if to is not None and to != reject.id:
        st.query_params["row"] = str(to)
        st.rerun(scope="app")
    return changes, row


def judged(client: Client, cause: Any, reject: Any, changes: dict[str, Any]) -> tuple[Any, Verdict | None]:
    if not changes or not access.may(Permission.WORK):
        return None, None
    row = access.attempt(client.check_reject, reject.id, **changes)
    if row is None:
        refused = st.session_state.pop("problem")
        return None, Verdict(f"{refused.title} {refused.action}".strip(), "bad", {})
    told, tone = verdict_of(row)
    failed = {}
    if row.outcome == "rejected" and cause.source_field:
        why = next((f["message"] for f in row.failed if f.get("field") == cause.field), "")
        failed = {cause.source_field: why} if why else {}
    if row.outcome == "rejected":
        told = f"Passes {row.passes:,} of {words.count(row.of, 'rule')}: {told}"
    return row, Verdict(told, tone, failed)


def nothing(pipelines: bool) -> None:
    """What comes here, and what to do where nothing can have come yet."""
    with frame.panel("Nothing waits", key="nothing"):
        st.caption(
            "A row that breaks a rule comes here with its original bytes, its line and the reason, and is repaired and "
            "replayed from here. The others are taken without it."
        )
        if not pipelines and st.button("Add a source", type="primary"):
            frame.go("sources")


def dismissed(client: Client) -> None:
    """What was given up, why and by whom, and the way back."""
    found = client.rejects(state="dismissed", limit=TRIED, **repairs.scope())
    if not found.rejects:
        return
    with st.expander("Dismissed rows"):
        rows = [
            Row(
                str(r.id),
                [
                    figure(r.line, tone="muted", sub=f"run {r.run}"),
                    cell(r.reason, sub=r.dismissed or ""),
                    cell(r.raw.rstrip(), tone="mono", hint=r.raw),
                    cell("Open again", act="open") if access.may(Permission.WORK) else cell(),
                ],
                go=False,
            )
            for r in found.rejects
        ]
        heads = [
            Column("Line", right=True),
            Column("Why rejected, and dismissed"),
            Column("As it came"),
            Column(),
        ]
        chosen = listing(
            "Dismissed rows", heads, rows, key="dismissed-list", none="None.", height=320, widest=420
        )
        if found.more:
            st.caption(f"The first {TRIED}.")
    if chosen.row:
        access.attempt(client.change_reject, int(chosen.row), undo=True)
        st.rerun()


def page() -> None:
    client = access.client()
    if frame.asked("reject").isdigit():
        reject_page(client, int(frame.asked("reject")))
        return
    given = repairs.scope()
    found = plain_causes(client, given)
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    whose = (
        f"Run {given['run']}"
        if "run" in given
        else names.get(given["pipeline"], given["pipeline"])
        if given
        else "All pipelines"
    )
    total = sum(cause.rows for cause in found)
    if not found:
        actions = frame.head("Quarantine", f"{escape(whose)}: nothing waits here.")
        with actions:
            if given and st.button("Show all"):
                frame.go("quarantine")
            if names and st.button("See the records", type="primary"):
                frame.go("explorer")
        repairs.repaired(client)
        nothing(bool(names))
        dismissed(client)
        return
    sub = f"{escape(whose)}: {words.count(total, 'reject')} in {words.count(len(found), 'cause')}. Every row keeps its original bytes."
    actions = frame.head("Quarantine", sub)
    at = place_of(found)
    with actions:
        step(found, at)
        off = access.why_not(Permission.WORK)
        if st.button(
            "Replay all `R`",
            key="replay-all",
            disabled=off is not None,
            help=off
            or "Runs all of these again through the mapping as it is now. Good after a change of the mapping.",
        ):
            access.attempt(repairs.replay_all, client, given)
            st.rerun()
        repairs.exporting(total, given)
    repairs.repaired(client)
    left, right = st.columns([3, 7], gap="small")
    with left:
        # What is emptied is drawn anew, and a focus in it is lost: the list itself stands in a place of its own.
        soon = st.empty()
        place = st.container()
        elsewhere(client, given, total)
    if kept_causes(given, found) is None:
        # At once without the fixes: trying those out takes a moment.
        with soon.container():
            causes_list(found, found[at], key="cause-at-once")
    with right, st.spinner("Trying out fixes"):
        found = proposed_causes(client, given, found)
    at = place_of(found)
    soon.empty()
    with place:
        causes_list(found, found[at])
    with right:
        detail(client, found[at])
    dismissed(client)


frame.draw(page)
