"""Runs: what was read, what became of it, and the way back."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.causes import plain_causes, proposed_causes
from app.widgets.ledger import figures, picture
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.running import outcome, stages

KINDS = {"run": "Run", "replay": "Replay", "dry": "Dry run"}


def overview(client: Client) -> None:
    before = frame.asked("before")
    found = client.runs(limit=50, before=int(before) if before.isdigit() else None)
    frame.head("Runs", "Every run ends with books that balance, or it fails.")
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    rows = []
    for run in found.runs:
        told, tone = outcome(run)
        took = words.seconds((run.finished - run.started).total_seconds()) if run.finished else ""
        rows.append(
            Row(
                str(run.run),
                [
                    cell(f"{KINDS.get(run.kind, run.kind)} {run.run}"),
                    cell(names.get(run.pipeline, run.pipeline)),
                    cell(words.ago(run.started), tone="muted", hint=words.exact(run.started)),
                    cell(took, tone="muted"),
                    figure(run.ledger.read),
                    cell(ledger=figures(run.ledger)),
                    figure(run.ledger.rejected, tone="bad" if run.ledger.rejected else "muted"),
                    cell(told, tone=tone),
                    cell(run.started_by, tone="muted"),
                ],
                href=access.address("runs", run=run.run),
            )
        )
    heads = [
        Column("Run"),
        Column("Pipeline"),
        Column("When"),
        Column("Took", right=True),
        Column("Read", right=True),
        Column("Ledger"),
        Column("Rejects", right=True),
        Column("Result"),
        Column("By"),
    ]
    with frame.panel(key="runs", flush=True):
        chosen = listing("Runs", heads, rows, key="run-list", none="No run yet. Map a source and run it.")
    if chosen.opened:
        frame.go("runs", run=chosen.opened)
    if found.more and st.button("Older"):
        st.query_params["before"] = str(found.runs[-1].run)
        st.rerun()


def detail(client: Client, number: int) -> None:
    run = client.run(number)
    pipeline = next((p for p in client.pipelines() if p.pipeline.id == run.pipeline), None)
    name = pipeline.pipeline.name if pipeline else run.pipeline
    told, tone = outcome(run)
    chips = [
        (
            told if run.state != "finished" else "Finished, books balance" if run.ledger.balanced else told,
            "ok" if run.state == "finished" and run.ledger.balanced else tone,
        )
    ]
    if run.ledger.rejected and run.state == "finished":
        chips.append((f"{run.ledger.rejected:,} rejected", "bad"))
    took = f", took {words.seconds((run.finished - run.started).total_seconds())}" if run.finished else ""
    sub = f"Started {words.when(run.started)} by {escape(run.started_by or 'the schedule')}{took}. Version {run.version} of {escape(name)}."
    crumb = f"{frame.link('Runs', 'runs')} / {escape(name)}"
    actions = frame.head(f"{KINDS.get(run.kind, 'Run')} {run.run}", sub, crumb=crumb, chips=chips)
    if run.state == "running":
        with actions:
            frame.act("Cancel", client.cancel_run, number, off=access.why_not(Permission.WORK))
        watch(number)
        return
    with actions:
        done(client, run)
    if run.error:
        error = run.error
        parts = [escape(str(error.get(k))) for k in ("where", "detail", "action") if error.get(k)]
        st.html(
            f'<div class="sp-notice" role="alert"><b>{escape(str(error.get("title", "It did not finish.")))}</b> {"<br>".join(parts)}</div>'
        )
    picture(run.ledger)
    left, right = st.columns([9, 7], gap="small")
    by_cause = left.container()
    with right, frame.panel("Stages", "they overlap", key="stages", flush=True):
        stages({each.stage: each.seconds for each in run.stages})
    left, right = st.columns([9, 7], gap="small")
    with left:
        lineage(run, name, pipeline)
    with right:
        undo(client, run)
    # Last: proposed fixes are tried out before they are shown, which takes a moment.
    log = st.container()
    with by_cause:
        causes(client, run)
    with log, st.expander(f"Log, {words.count(len(run.notes), 'line')}"):
        st.code("\n".join(run.notes) or "Nothing out of the ordinary.", language=None)


def done(client: Client, run: Any) -> None:
    """What next: repair where something waits, else look at the records."""
    waiting = (
        sum(cause.rows for cause in client.causes(run=run.run, propose=False)) if run.ledger.rejected else 0
    )
    if st.button("See the records", type="secondary" if waiting else "primary"):
        frame.go("explorer", run=run.run)
    if waiting and st.button(f"Repair {words.count(waiting, 'reject')}", type="primary"):
        frame.go("quarantine", run=run.run)


@st.fragment(run_every=1.0)
def watch(number: int) -> None:
    """Progress of a run under way; the whole page follows when it ends."""
    run = access.client().run(number)
    if run.state != "running":
        st.rerun(scope="app")
    progress = run.progress
    rows = progress.rows if progress else run.ledger.read
    rate = f", {progress.rate:,.0f} rows a second" if progress else ""
    left = f", about {words.seconds(progress.left)} left" if progress and progress.left is not None else ""
    share = progress.share if progress else None
    text = f"{words.count(rows, 'row')} read{rate}{left}" + (
        ". Cancelling after this batch." if progress and progress.cancelling else ""
    )
    if share is not None:
        st.progress(min(max(share, 0.0), 1.0), text=text)
    else:
        st.html(f'<div class="sp-notice wait" role="status"><b>Under way.</b> {escape(text)}</div>')
    picture(run.ledger, f"{rows:,} rows so far")


def causes(client: Client, run: Any) -> None:
    """The causes at once, and their fixes when they have been tried out."""
    scope = {"run": run.run}
    plain = plain_causes(client, scope) if run.ledger.rejected else []
    slot = st.empty()
    with slot.container():
        causes_list(run, plain, key="causes-at-once")
    if plain:
        found = proposed_causes(client, scope, plain)
        with slot.container():
            causes_list(run, found, key="causes")
    warned = [f for f in run.findings if f.severity == "warn"]
    if warned:
        warnings(warned)


def causes_list(run: Any, found: list[Any], key: str) -> None:
    most = max((cause.rows for cause in found), default=1)
    rows = [
        Row(
            str(cause.first),
            [
                cell(
                    cause.reason,
                    tone="b",
                    sub=", ".join(f"“{e.raw.strip()[:40]}”" for e in cause.examples[:1]),
                    hint=cause.explanation,
                ),
                figure(cause.rows),
                cell(bar=cause.rows / most),
                cell(cause.proposals[0].title if cause.proposals else "Open the rows", act="open"),
            ],
            go=False,
        )
        for cause in found
    ]
    with frame.panel("Rejects by cause", "with the next action", key=key, flush=True):
        none = "None waiting." if run.ledger.rejected else "None. Every row was good or left out on purpose."
        chosen = listing(
            "Rejects by cause",
            [Column(), Column(right=True), Column(), Column(right=True)],
            rows,
            key=f"{key}-list",
            none=none,
            height=320,
        )
    if chosen.row:
        frame.go("quarantine", run=run.run, cause=chosen.row)


def warnings(warned: list[Any]) -> None:
    rows = [
        Row(f"{f.rule}-{f.field}", [cell(f.message, tone="b", sub=f.field or ""), figure(f.rows)], go=False)
        for f in warned
    ]
    with frame.panel("Warnings", "kept, but worth a look", key="warnings", flush=True):
        listing("Warnings", [Column(), Column(right=True)], rows, key="warning-list")


def lineage(run: Any, name: str, pipeline: Any) -> None:
    payload = run.payloads[0] if run.payloads else None
    first = (
        f"<b>{escape(payload.name)}</b><br><span class='s m'>{words.size(payload.size)}</span>"
        if payload
        else "<b>No payload</b>"
    )
    targets = (
        ", ".join(dict.fromkeys(m.target for m in pipeline.pipeline.mappings)) if pipeline else "records"
    )
    short = targets if len(targets) < 40 else words.count(len(pipeline.pipeline.mappings), "target model")
    written = run.ledger.inserted + run.ledger.updated
    arrow = '<span class="ar" aria-hidden="true">→</span>'
    sealed = (
        f"<b>{words.count(len(run.payloads), 'payload')}</b><br><span class='s m'>sealed as received</span>"
    )
    mapped = f"<b>{escape(name)}</b><br><span class='s m'>version {run.version}</span>"
    kept = f"<b>{escape(short)}</b><br><span class='s m'>{words.count(written, 'version')} written</span>"
    parts = arrow.join(f"<div>{part}</div>" for part in (first, sealed, mapped, kept))
    with frame.panel("Lineage", key="lineage"):
        st.html(f'<div class="lin">{parts}</div>')


def undo(client: Client, run: Any) -> None:
    written = run.ledger.inserted + run.ledger.updated
    with frame.panel("Undo this load", key="undo"):
        if run.state == "undone":
            st.caption("This load was undone. The sealed payload stays, so it can be run again.")
            return
        st.caption(
            f"Removes the {words.count(written, 'version')} it wrote and brings back what they replaced. "
            "The sealed payload stays, so it can be run again."
        )
        off = access.why_not(Permission.BUILD) or ("It wrote nothing." if not written else None)
        with st.popover("Undo load", disabled=off is not None, help=off):
            st.write(f"Remove {words.count(written, 'version')}?")
            frame.act(f"Undo run {run.run}", client.undo_run, run.run, type="primary")


def page() -> None:
    client = access.client()
    wanted = frame.asked("run")
    if wanted.isdigit():
        detail(client, int(wanted))
    else:
        overview(client)


frame.draw(page)
