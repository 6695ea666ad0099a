"""Runs: what was read, what became of it, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, drift, frame, repairs, words
from app.widgets.caught import causes
from app.widgets.ledger import figures, picture
from app.widgets.lineage import lineage
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.objects import changed_panel
from app.widgets.review import review
from app.widgets.running import KINDS, cause_of, extent_of, onward, outcome, rate, stages, took, watch

STATES = ("finished", "failed", "running", "cancelled", "undone")
SINCE = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days"}
SHOWN = 25


def overview(client: Client) -> None:
    pipelines = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    frame.head("Runs", "Every run ends with books that balance, or it fails.")
    place = st.container()
    before, days = frame.asked("before"), frame.asked("since")
    since = datetime.now(UTC) - timedelta(days=int(days)) if days in SINCE else None
    asked = {name: frame.asked(name) or None for name in ("pipeline", "state", "kind")}
    found = client.runs(
        **asked, since=since.isoformat() if since else None, before=int(before) if before.isdigit() else None,
        limit=SHOWN,
    )  # fmt: skip
    rows = [line(run, pipelines.get(run.pipeline, run.pipeline)) for run in found.runs]
    heads = [
        Column("Run"), Column("Pipeline"), Column("Started"), Column("Took", right=True), Column("Read", right=True),
        Column("Ledger"), Column("Rejects", right=True), Column("Result"),
    ]  # fmt: skip
    narrowed = any(asked.values()) or since is not None
    if not rows and not narrowed and not before:
        first(bool(pipelines))
        return
    with place:
        filters(pipelines)
    none = "No run is like that. Choose less above."
    with frame.panel(key="runs", flush=True):
        chosen = listing("Runs", heads, rows, key="run-list", none=none, widest=280)
    if chosen.opened:
        frame.go("runs", run=chosen.opened)
    paging(found, before)


def first(pipelines: bool) -> None:
    """What leads to the first run."""
    with frame.panel("No run yet", key="first-run"):
        st.caption("A run reads a source through its mapping and tells what became of every row.")
        if pipelines and st.button("Run a pipeline", type="primary"):
            frame.go("mapping")
        if not pipelines and st.button("Add a source", type="primary"):
            frame.go("sources")


def filters(pipelines: dict[str, str]) -> None:
    """What to show; it stands in the address, so it can be sent on and come back to."""

    def choice(name: str, label: str, everything: str, options: dict[str, str]) -> None:
        key = f"runs-{name}"
        st.session_state[key] = frame.asked(name) if frame.asked(name) in options else ""

        def chosen() -> None:
            st.query_params.pop("before", None)
            if st.session_state[key]:
                st.query_params[name] = st.session_state[key]
            else:
                st.query_params.pop(name, None)

        st.selectbox(
            label, ["", *options], key=key, on_change=chosen, label_visibility="collapsed",
            format_func=lambda value: options.get(value, everything),
        )  # fmt: skip

    places = st.columns([4, 3, 3, 3, 3], gap="small")
    with places[0]:
        choice("pipeline", "Pipeline", "All pipelines", pipelines)
    with places[1]:
        choice("state", "State", "All states", {state: state.capitalize() for state in STATES})
    with places[2]:
        choice("kind", "Kind", "Runs and replays", {"run": "Runs", "replay": "Replays"})
    with places[3]:
        choice("since", "Since", "At any time", SINCE)


def line(run: Any, name: str) -> Row:
    told, tone = outcome(run)
    spent = took(run)
    per_second = rate(run).replace(" rows a second", " a second")
    return Row(
        str(run.run),
        [
            cell(f"{KINDS.get(run.kind, run.kind)} {run.run}"),
            cell(name, hint=name, sub=f"version {run.version}"),
            cell(
                words.ago(run.started), hint=words.exact(run.started), sub=f"by {words.doer(run.started_by)}"
            ),
            cell(words.seconds(spent) if spent else "", sub=per_second),
            figure(run.ledger.read),
            cell(ledger=figures(run.ledger)),
            figure(run.ledger.rejected, tone="bad" if run.ledger.rejected else "muted"),
            cell(told, tone=tone, sub=cause_of(run), wrap=True),
        ],
        href=access.address("runs", run=run.run),
    )  # fmt: skip


def paging(found: Any, before: str) -> None:
    with st.container(horizontal=True, gap="small"):
        if before and st.button("Newest"):
            st.query_params.pop("before", None)
            st.rerun()
        if found.more and st.button("Older"):
            st.query_params["before"] = str(found.runs[-1].run)
            st.rerun()


def detail(client: Client, number: int) -> None:
    run = client.run(number)
    if run.kind == "dry":
        rehearsal(client, run)
        return
    pipeline = next((p for p in client.pipelines() if p.pipeline.id == run.pipeline), None)
    name = pipeline.pipeline.name if pipeline else run.pipeline
    told, tone = outcome(run)
    good = run.state == "finished" and run.ledger.balanced
    chips = [("✓ Finished, books balance" if good else told, "ok" if good else tone)]
    if run.ledger.rejected and run.state == "finished":
        chips.append((f"{run.ledger.rejected:,} rejected", "bad"))
    spent = took(run)
    parts = [f"Started {words.when(run.started)} by {escape(words.doer(run.started_by))}"]
    if spent:
        parts.append(f"took {words.seconds(spent)}")
    if rate(run):
        parts.append(rate(run))
    sub = f"{', '.join(parts)}.{onward(client, run)}"
    crumb = f"{frame.link('Runs', 'runs')} / {frame.link(name, 'runs', pipeline=run.pipeline)}"
    actions = frame.head(
        f"{KINDS.get(run.kind, 'Run')} {run.run}", sub, crumb=crumb, chips=chips
    )  # fmt: skip
    if run.state == "running":
        with actions:
            frame.act("Cancel", client.cancel_run, number, off=access.why_not(Permission.WORK))
        watch(number, then=lambda ended: None, key="live")
        return
    with actions:
        done(client, run)
    if run.error:
        failed(run)
    if run.drift is not None:
        drift.card(client, run.drift, lead=True)
    if run.kind == "replay" and run.replayed:
        replayed(run)
    wrote = run.ledger.inserted + run.ledger.updated
    of = f"{words.count(run.replayed, 'reject')} replayed" if run.replayed else read_from(run)
    picture(run.ledger, extent_of(run), of=of, taken_back=bool(wrote) and not run.written)
    # Two stacks, so that a short panel leaves no hole beside a tall one.
    left, right = st.columns([9, 7], gap="small")
    by_cause = left.container()
    with left:
        lineage(run, name)
    with right:
        with frame.panel("Stages", rate(run), key="stages", flush=True):
            stages(run.stages, stage_notes(run), run.ledger.read, whole=spent or 0.0, key="stage-list")
        undo(client, run)
    # Last: proposed fixes are tried out before they are shown, which takes a moment.
    after = st.container()
    with by_cause:
        causes(client, run)
    with after:
        changed_panel(client.run_changes(run.run, limit=300))
        log(run)


def rehearsal(client: Client, run: Any) -> None:
    """A dry run on a page of its own, with the run it was for one button away."""
    pipeline = next((p.pipeline for p in client.pipelines() if p.pipeline.id == run.pipeline), None)
    name = pipeline.name if pipeline else run.pipeline
    sub = f"Version {run.version} of {escape(name)}, on all rows. Nothing is kept."
    crumb = frame.link("Runs", "runs")
    actions = frame.head(
        "Review", sub, crumb=f"{crumb} / {frame.link(name, 'mapping', pipeline=run.pipeline)}"
    )
    if run.state != "running":
        with actions:
            fails = run.state == "failed"
            if st.button("Change the mapping", type="primary" if fails else "secondary"):
                frame.go("mapping", pipeline=run.pipeline)
            off = access.why_not(Permission.WORK)
            if st.button("Run", type="secondary" if fails else "primary", disabled=off is not None, help=off):
                frame.go("runs", run=client.start_run(run.pipeline).run)
    review(client, run)


def read_from(run: Any) -> str:
    return f"rows, {words.count(len(run.payloads), 'payload')}"


def stage_notes(run: Any) -> dict[str, str]:
    """What each stage had to do, in a few words."""
    checks = sum(mapping.checks for mapping in run.mappings)
    size = sum(payload.size for payload in run.payloads)
    return {
        "fetch": words.size(size),
        "read": words.count(run.ledger.read, "row"),
        "stage": f"version {run.version}, {words.count(checks, 'check')}",
        "commit": words.count(run.batches, "batch", "batches"),
    }


def failed(run: Any) -> None:
    error = run.error
    parts = [escape(str(error.get(k))) for k in ("where", "detail", "action") if error.get(k)]
    if (run.ledger.inserted or run.ledger.updated) and not run.written:
        parts.append("What it had written was taken back; its rejects stay to be looked at.")
    title = escape(str(error.get("title", "It did not finish.")))
    st.html(f'<div class="sp-notice" role="alert"><b>{title}</b> {"<br>".join(parts)}</div>')


def replayed(run: Any) -> None:
    """What a replay did, in a sentence."""
    taken = run.ledger.read - run.ledger.rejected - run.ledger.filtered
    of = " and ".join(frame.link(f"run {each}", "runs", run=each) for each in run.replayed_of[:4])
    tone = "wait" if run.ledger.rejected else "ok"
    again = (
        f"{words.count(run.ledger.rejected, 'row')} came back to quarantine" if run.ledger.rejected else ""
    )
    told = f"{words.count(run.replayed, 'reject')} of {of or 'earlier runs'} went through the mapping again: "
    told += ", ".join(part for part in (f"{taken:,} taken", again) if part)
    st.html(f'<div class="sp-notice {tone}" role="status">{told}.</div>')


def done(client: Client, run: Any) -> None:
    """What next: repair where something waits, run again what stopped, else look at the records."""
    waiting = (
        sum(cause.rows for cause in client.causes(run=run.run, propose=False)) if run.ledger.rejected else 0
    )
    stopped = run.state in ("failed", "cancelled", "undone") and run.kind == "run"
    asks = run.drift is not None and run.drift.state == "open"
    # One thing is next: what the source's change asks for, else a repair, else the run again.
    if run.written and st.button(
        "See the records", type="secondary" if waiting or stopped or asks else "primary"
    ):
        frame.go("explorer", run=run.run)
    if waiting:
        repairs.exporting(waiting, {"run": run.run}, "Export rejects")
    if stopped:
        off = access.why_not(Permission.WORK)
        if st.button(
            "Run again",
            type="secondary" if waiting or asks else "primary",
            disabled=off is not None,
            help=off,
        ):
            started = access.attempt(client.start_run, run.pipeline)
            frame.go("runs", run=started.run if started else run.run)
    act = "Repair" if access.may(Permission.WORK) else "See"
    if waiting and st.button(
        f"{act} {words.count(waiting, 'reject')}", type="secondary" if asks else "primary"
    ):
        frame.go("quarantine", run=run.run)


def undo(client: Client, run: Any) -> None:
    with frame.panel("Undo this load", key="undo"):
        if run.state == "undone":
            st.caption("This load was undone. The sealed payload stays, so it can be run again.")
            return
        plan = client.undo_plan(run.run)
        versions = sum(each.versions for each in plan.written)
        st.caption(" ".join(undoing(run, plan, versions)))
        off = access.why_not(Permission.BUILD) or ("It wrote nothing." if not versions else None)
        with st.popover("Undo load", disabled=off is not None, help=off):
            st.write(f"Remove {words.count(versions, 'version')}?")
            frame.act(f"Undo run {run.run}", client.undo_run, run.run, type="primary")


def undoing(run: Any, plan: Any, versions: int) -> list[str]:
    """What an undo would do, in numbers, a sentence each."""
    if not versions:
        return ["It wrote nothing that could be taken back."]
    gone, restored = sum(e.gone for e in plan.written), sum(e.restored for e in plan.written)
    told = [
        f"Removes the {words.count(versions, 'version')} it wrote: {words.count(gone, 'record')} will be gone"
    ]
    told[0] += (
        f", {restored:,} {'falls back to its' if restored == 1 else 'fall back to their'} version before."
        if restored
        else "."
    )
    if plan.closes:
        told.append(f"{words.count(plan.closes, 'open reject')} of it will be closed.")
    if plan.reopens:
        told.append(f"{words.count(plan.reopens, 'reject')} will wait in quarantine again.")
    if plan.moves_cursor:
        told.append("The source is read again from where it stood before.")
    if not run.replayed:
        told.append("The sealed payload stays, so it can be run again.")
    return told


def log(run: Any) -> None:
    # What the drift card says need not be said twice.
    told = {finding.says for finding in run.drift.findings} if run.drift is not None else set()
    notes = [note for note in run.notes if note not in told]
    if notes:
        items = "".join(f"<li>{escape(_sentence(note))}</li>" for note in notes)
        with frame.panel("Notes", key="notes"):
            st.html(f'<ul class="sp-notes">{items}</ul>')
    zone = words.zone()
    lines = [f"{line.at.astimezone(zone):%H:%M:%S}  {line.text}" for line in run.log]
    with st.expander(f"Log, {words.count(len(lines), 'line')}"):
        st.code("\n".join(lines) or "Nothing was noted.", language=None, wrap_lines=True)


def _sentence(note: str) -> str:
    """A note as it stands among others: readers write them without, runs with a capital and a full stop."""
    return note[:1].upper() + note[1:].rstrip(".") + "."


def page() -> None:
    client = access.client()
    wanted = frame.asked("run")
    if wanted.isdigit():
        detail(client, int(wanted))
    else:
        overview(client)


frame.draw(page)
