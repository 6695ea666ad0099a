"""Quarantine: rows that could not be taken, by cause, each with its bytes and a way to repair it and its like."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.alike import alike, passing, verdict_of
from app.widgets.causes import plain_causes, proposed_causes
from app.widgets.form import form, missing
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.row_editor import Verdict, row_editor

TRIED = 100


def scope() -> dict[str, Any]:
    """Which rejects: of one run, of one pipeline, or all."""
    run, pipeline = frame.asked("run"), frame.asked("pipeline")
    return {"run": int(run)} if run.isdigit() else {"pipeline": pipeline} if pipeline else {}


def key_of(cause: Any) -> dict[str, Any]:
    return {"rule": cause.rule, "field": cause.field, "reason": cause.reason, **scope()}


# What was done


def repair(client: Client, cause: Any, fix: Any, *, save: bool = False) -> None:
    """Apply a fix to those of a cause that it repairs, and replay just those."""
    done = client.repair(key_of(cause), fix, save=save)
    if fix["kind"] == "dismiss":
        frame.tell(
            f"{words.count(done.repaired, 'reject')} dismissed. Dismissed rows can be opened again below."
        )
        return
    told = f"{words.count(done.repaired, 'reject')} repaired"
    if done.ledger:
        told += f" and replayed in run {done.run}: {words.count(taken(done.ledger), 'row')} taken"
        told += f", {done.ledger.get('rejected', 0):,} rejected again"
    if done.pipeline_version:
        told += f". The fix is part of the mapping now, version {done.pipeline_version}"
    if done.left:
        told += f". {words.count(done.left, 'row')} this fix does not repair stay as they came"
    keep(done.run, f"{told}.", done.again)


def taken(ledger: dict[str, Any]) -> int:
    return sum(int(ledger.get(part, 0)) for part in ("inserted", "updated", "unchanged", "duplicate"))


def keep(run: int | None, told: str, again: list[Any]) -> None:
    """Keep what a repair did until the next one, so that it can be looked at and taken back."""
    st.session_state["repaired"] = (access.tenant(), run, told, again)


def repaired(client: Client) -> None:
    """What the last repair did, why rows came back, and the way back."""
    held = st.session_state.get("repaired")
    if held is None or held[0] != access.tenant():
        return
    _, run, told, again = held
    causes = "".join(f"<br>{each.rows:,} came back: {escape(each.reason)}" for each in again[:5])
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="panel-repaired"):
        tone = "wait" if again or not run else "ok"
        st.html(f'<div class="sp-notice {tone}" role="status">{escape(told)}{causes}</div>')
        if run and st.button(f"See run {run}"):
            frame.go("runs", run=run)
        off = access.why_not(Permission.WORK)
        if run and st.button(
            "Take it back", disabled=off is not None,
            help=off or "Removes what the replay wrote and puts the rows back as they came. A saved step stays.",
        ):  # fmt: skip
            access.attempt(take_back, client, run)
            st.rerun()
        if st.button("Close", type="tertiary"):
            del st.session_state["repaired"]
            st.rerun()


def take_back(client: Client, run: int) -> None:
    back = client.take_back(run)
    del st.session_state["repaired"]
    frame.tell(
        f"Taken back: {words.count(back.rejects, 'reject')} wait again as they came, "
        f"{words.count(back.removed, 'version')} removed."
    )


def save_one(client: Client, reject: Any, changes: dict[str, Any]) -> None:
    client.change_reject(reject.id, **changes)
    done = client.replay(ids=[reject.id])
    ledger = done.ledgers[0] if done.ledgers else {}
    run = done.runs[0] if done.runs else None
    if int(ledger.get("rejected", 0)):
        keep(run, f"The row was rejected again in run {run}.", done.again)
    else:
        keep(run, f"The row was taken in run {run}." if run else "There was nothing to replay.", [])


def replay_all(client: Client, given: dict[str, Any]) -> None:
    done = client.replay(**given, all_open=True)
    back = sum(int(ledger.get("rejected", 0)) for ledger in done.ledgers)
    told = f"{words.count(done.replayed, 'reject')} replayed as they are; {back:,} rejected again."
    keep(done.runs[0] if len(done.runs) == 1 else None, told, done.again)


# The causes


def causes_list(found: list[Any], selected: Any) -> None:
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
    with frame.panel("Causes", "largest first", key="causes", flush=True):
        chosen = listing(
            "Causes",
            [Column(), Column(right=True), Column()],
            rows,
            key="cause-list",
            selected=str(selected.first),
            height=640,
        )
    if chosen.opened:
        st.query_params["cause"] = chosen.opened
        st.query_params.pop("row", None)
        st.rerun()


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
            rule=cause.rule, field=cause.field, reason=cause.reason, limit=TRIED, **scope()
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
            dismiss(client, cause, reject)
        work(client, cause, rejects, reject)


def original(client: Client, cause: Any, reject: Any) -> None:
    """The row as it came, what failed marked, and on demand what stands around it."""
    place = f"line {reject.line:,} of {reject.payload or 'its payload'}, run {reject.run}"
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
    exact = (
        ""
        if reject.exact
        else " Some of its bytes are no text; they are shown as \\xNN and kept as they are."
    )
    st.caption(f"{cause.explanation}{exact}")


def marked(reject: Any) -> str:
    text = reject.raw.rstrip("\r\n")
    if reject.mark:
        a, b = reject.mark
        shown = f"{escape(text[:a])}<mark>{escape(text[a:b]) or ' '}</mark>{escape(text[b:])}"
    else:
        shown = escape(text)
    return f"<div><i>{reject.line}</i>{shown}</div>"


@st.fragment
def work(client: Client, cause: Any, rejects: list[Any], reject: Any) -> None:
    """Edit the row or choose a fix, see what it does to all alike, then apply it. Only this part reruns."""
    original(client, cause, reject)
    off = access.why_not(Permission.WORK)
    left, right = st.columns([5, 8], gap="medium")
    with right:
        changes, verdict = edited(client, cause, reject, rejects)
    with left:
        fix = choose(client, cause, reject, changes)
    trial = access.attempt(client.try_fix, key_of(cause), fix, limit=TRIED) if fix is not None else None
    if fix is not None and trial is None:
        frame.notice(st.session_state.pop("problem"))
    actions(client, cause, reject, changes, verdict, fix, trial, off)
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
        reject, cause.source_field, verdict, key="row-editor", off=not access.may(Permission.WORK), typed=typed,
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


def choose(client: Client, cause: Any, reject: Any, changes: dict[str, Any]) -> dict[str, Any] | None:
    """Which fix: one that was proposed, the edit made here, or a step of one's own."""
    options = [str(n) for n in range(len(cause.proposals))]
    if changes.get("fields"):
        options.append("edit")
    if reject.fields:
        options.append("own")
    key = f"fix-{cause.first}"
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0] if options else None
    labels = {"edit": "The change made here, in all like it", "own": "A step of your own"}

    def label(option: str) -> str:
        if option in labels:
            return labels[option]
        proposal = cause.proposals[int(option)]
        return f"{proposal.title}: repairs {proposal.repairs:,} of {proposal.tried:,} tried"

    if not options:
        st.html(frame.heading("Proposed fix"))
        st.caption("No fix was found that makes these lines whole. Correct the line, or dismiss it.")
        return None
    st.html(frame.heading("Fix", "none is made before you apply it"))
    if not cause.proposals:
        st.caption("No fix was found that repairs them. Change the row, or take a step of your own.")
    pick = st.radio("Fix", options, key=key, format_func=label, label_visibility="collapsed")
    if pick == "edit":
        fields = changes["fields"]
        return {
            "kind": "edit",
            "changes": [{"field": n, "before": reject.fields[n], "after": v} for n, v in fields.items()],
        }
    if pick == "own":
        return own_fix(client, cause, list(reject.fields))
    fix: dict[str, Any] = cause.proposals[int(pick or 0)].fix.model_dump(mode="json", by_alias=True)
    return fix


def own_fix(client: Client, cause: Any, fields: list[str]) -> dict[str, Any] | None:
    """A fix written by hand: a step of the catalogue on a source field of all like rows."""
    catalogue = {each.name: each for each in client.steps() if each.takes == "text"}
    at = fields.index(cause.source_field) if cause.source_field in fields else 0
    field = st.selectbox("Source field", fields, index=at, key="own-field")
    name = st.selectbox(
        "Step", list(catalogue), index=None, placeholder="Choose a step",
        format_func=lambda n: catalogue[n].title, key="own-step",
    )  # fmt: skip
    if name is None:
        return None
    schema = catalogue[name].options
    st.caption(catalogue[name].summary)
    options = form(schema, {}, key=f"own-{name}", fields=fields)
    lacking = missing(schema, options)
    if lacking:
        st.caption(f"Needs: {', '.join(lacking)}.")
        return None
    return {"kind": "steps", "field": field, "steps": [{"step": name, "options": options}]}


def actions(
    client: Client, cause: Any, reject: Any, changes: dict[str, Any], row: Any, fix: dict[str, Any] | None,
    trial: Any, off: str | None,
) -> None:  # fmt: skip
    """What can be done with the fix that was chosen and the row that was edited."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        helps = off or (
            None
            if trial is not None and trial.repairs
            else "It repairs none of them."
            if trial
            else "Choose a fix first."
        )
        save = always = fix is not None and fix["kind"] == "mapping"
        may_save = fix is not None and fix["kind"] in ("steps", "map", "set", "edit")
        if may_save:
            save = bool(st.session_state.get("save-fix")) and access.may(Permission.BUILD)
        if (
            st.button(
                f"{apply_label(cause, trial)} `A`",
                type="primary",
                disabled=helps is not None,
                help=helps,
                key="apply",
            )
            and fix is not None
        ):
            access.attempt(repair, client, cause, fix, save=save)
            st.rerun(scope="app")
        if always:
            st.caption("Becomes part of the mapping.")
        elif may_save:
            st.checkbox(
                "Save as a step of the mapping",
                key="save-fix",
                disabled=not access.may(Permission.BUILD),
                help=access.why_not(Permission.BUILD) or "The next load is then read so from the start.",
            )
        if changes:
            label = "Save and replay this row"
            if st.button(label, disabled=off is not None, help=off, key="save-row"):
                access.attempt(save_one, client, reject, changes)
                st.session_state.pop(f"row-{reject.id}", None)
                st.rerun(scope="app")
        if reject.fixed is not None and st.button(
            "Drop the repair of this row", disabled=off is not None, help=off
        ):
            access.attempt(client.change_reject, reject.id, undo=True)
            st.rerun(scope="app")


def apply_label(cause: Any, trial: Any) -> str:
    """The button's words say on how many rows it acts."""
    if trial is None or not trial.repairs or trial.repairs == trial.tried:
        return f"Apply to all {cause.rows:,} alike"
    if trial.tried == trial.total:
        return f"Apply to the {trial.repairs:,} it repairs"
    return "Apply to those it repairs"


def dismiss(client: Client, cause: Any, reject: Any) -> None:
    """Give rows up, knowingly."""
    off = access.why_not(Permission.WORK)
    with st.popover("Dismiss", disabled=off is not None, help=off):
        st.caption("Dismissed rows stay in the books as rejected, keep their bytes, and are not replayed.")
        reason = st.text_input("Reason", key="dismiss-reason", placeholder="for example: a footer, no data")
        if st.button(f"Dismiss {words.count(cause.rows, 'reject')}"):
            access.attempt(repair, client, cause, {"kind": "dismiss", "reason": reason})
            st.rerun()
        if cause.rows > 1 and st.button("Dismiss this row only"):
            access.attempt(client.change_reject, reject.id, dismiss=True, reason=reason)
            st.rerun()


def exporting(total: int, given: dict[str, Any]) -> None:
    """The rejects as a file, which the browser fetches by itself."""
    with st.popover("Export"):
        st.caption(
            f"{words.count(total, 'reject')}, each with its cause, its line as it came, its file and line number."
        )
        for format, title in (("csv", "CSV"), ("ndjson", "NDJSON")):
            query = urlencode({"format": format, **given})
            st.link_button(
                f"Download {title}", f"/api/v1/tenants/{access.tenant()}/rejects/export?{query}",
                width="stretch",
            )  # fmt: skip
        st.caption("In CSV, a cell that a spreadsheet would run as a formula has an apostrophe before it.")


def dismissed(client: Client) -> None:
    """What was given up, why and by whom, and the way back."""
    with st.expander("Dismissed rows"):
        found = client.rejects(state="dismissed", limit=TRIED, **scope())
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
    given = scope()
    plain = plain_causes(client, given)
    with st.spinner("Trying out fixes…"):
        found = proposed_causes(client, given, plain)
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
            if st.button("See the records", type="primary"):
                frame.go("explorer")
        repaired(client)
        dismissed(client)
        return
    sub = f"{escape(whose)}: {words.count(total, 'reject')} in {words.count(len(found), 'cause')}. Nothing here is lost; every row keeps its original bytes."
    actions = frame.head("Quarantine", sub)
    at = next((i for i, cause in enumerate(found) if str(cause.first) == frame.asked("cause")), 0)
    with actions:
        step(found, at)
        if given and st.button("Show all"):
            frame.go("quarantine")
        off = access.why_not(Permission.WORK)
        if st.button(
            "Replay all `R`",
            key="replay-all",
            disabled=off is not None,
            help=off
            or "Runs all of these again through the mapping as it is now. Good after a change of the mapping.",
        ):
            access.attempt(replay_all, client, given)
            st.rerun()
        exporting(total, given)
    repaired(client)
    left, right = st.columns([3, 7], gap="small")
    with left:
        causes_list(found, found[at])
    with right:
        detail(client, found[at])
    dismissed(client)


frame.draw(page)
