"""A dry run's result, before anything is kept: the ledger, examples of every outcome, what the rules would catch, what next."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.ledger import picture
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from app.widgets.output import text_of
from app.widgets.running import cause_of, watch

TOLD = {
    "inserted": "New in the store",
    "updated": "A newer version of what is stored",
    "unchanged": "Same as stored",
    "duplicate": "Repeated in the load",
    "rejected": "Would go to quarantine",
    "filtered": "Left out by the mapping's conditions",
}
WIDE = 8


def review(client: Client, run: Any) -> Any:
    """Draw a dry run, under way or over, and give it as it now stands."""
    number = run.run
    if run.state == "running":
        run = client.run(number)
    if run.state == "running":
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(frame.heading("Dry run on all rows", "nothing is kept"))
            frame.act(
                "Cancel the dry run", client.cancel_run, number, off=access.why_not(Permission.WORK),
            )  # fmt: skip
        watch(number, then=lambda ended: None, key=f"dry-{number}", done="gone through")
        return run
    if run.state == "failed":
        action = str((run.error or {}).get("action") or "")
        frame.warn(f"<b>A run would fail.</b> {escape(cause_of(run))} {escape(action)}", "bad")
        if not run.ledger.read:
            return run
    extent = f"dry run on all {run.ledger.read:,} rows; nothing was kept"
    if run.state != "finished":
        extent = f"dry run {run.state} after {run.ledger.read:,} rows; nothing was kept"
    picture(run.ledger, extent, key="dry-ledger")
    left, right = st.columns([11, 5], gap="small")
    with left, frame.panel("Examples", "up to ten of each outcome", key="dry-examples"):
        examples(run)
    with right:
        caught(run)
        what_next(run)
    return run


def examples(run: Any) -> None:
    there = [name for name in TOLD if run.examples.get(name)]
    if not there:
        st.caption("There was no row to show.")
        return
    counts = {name: getattr(run.ledger, name) for name in there}
    first = "rejected" if "rejected" in there else there[0]
    pick = st.segmented_control(
        "Outcome", there, default=first, key=f"dry-pick-{run.run}", label_visibility="collapsed",
        format_func=lambda name: f"{name.capitalize()} {counts[name]:,}",
    )  # fmt: skip
    chosen = pick or first
    shown = run.examples[chosen]
    st.caption(f"{TOLD[chosen]}: {len(shown)} of {words.count(counts[chosen], 'row')}.")
    if chosen == "rejected":
        rejected(shown)
        return
    names = [n for n in dict.fromkeys(n for row in shown for n in row) if n[0] != "_"]
    # A column that says nothing in any of them only pushes others out of sight.
    names = [n for n in names if any(row.get(n) not in (None, "") for row in shown)]
    rows = [
        Row(str(i), [figure(row.get("_line"), tone="muted"), *_cells(row, names)], go=False)
        for i, row in enumerate(shown)
    ]
    listing(
        f"Examples of {chosen}", [Column("Line", right=True), *(Column(name) for name in names)], rows,
        key=f"dry-{chosen}", height=420, widest=220,
    )  # fmt: skip


def _cells(row: dict[str, Any], names: list[str]) -> list[Cell]:
    return [cell(text_of(row.get(name)), hint=text_of(row.get(name))) for name in names]


def rejected(shown: list[dict[str, Any]]) -> None:
    rows = [
        Row(
            str(i),
            [
                figure(row.get("_line"), tone="muted"),
                cell(row.get("reason"), tone="bad", sub=row.get("field") or ""),
                cell(text_of(row.get("raw")).rstrip(), tone="mono", hint=text_of(row.get("raw"))),
            ],
            go=False,
        )
        for i, row in enumerate(shown)
    ]
    heads = [Column("Line", right=True), Column("Why"), Column("As it came")]
    listing("Examples of rejected", heads, rows, key="dry-rejected", height=420, widest=420)


def caught(run: Any) -> None:
    """What each rule would catch on all rows."""
    rows = [
        Row(
            f"{found.rule}-{found.mapping}",
            [
                cell(found.message, tone="b", sub=_becomes(found), wrap=True),
                figure(found.rows),
            ],
            go=False,
        )
        for found in run.findings
    ]
    checks = sum(mapping.checks for mapping in run.mappings)
    seen = "these rows" if run.state == "cancelled" else "all rows"
    with frame.panel("Rules", f"{words.count(checks, 'check')} on {seen}", key="dry-rules", flush=True):
        listing(
            "What the rules would catch", [Column(), Column(right=True)], rows, key="dry-rule-list",
            none="No rule would catch a row.", height=260,
        )  # fmt: skip


def _becomes(found: Any) -> str:
    what = {"warn": "kept and noted", "quarantine": "to quarantine", "fail": "fails the run"}
    return ", ".join(part for part in (found.field or "", what.get(found.severity, found.severity)) if part)


def what_next(run: Any) -> None:
    """One sentence: run it, or look at the rejects first."""
    with frame.panel("What next", key="dry-next"):
        share = run.ledger.rejected / run.ledger.read if run.ledger.read else 0
        if run.state == "failed":
            told = "Change the mapping by what the examples show, or let the pipeline allow more rejects, then try again."
        elif not run.ledger.read:
            told = "The source holds no rows that are new."
        elif share > 0.05:
            told = (
                f"{words.percent(run.ledger.rejected, run.ledger.read)} of the rows would be rejected. Change the "
                "fields named above, then try again; or run it and repair them in quarantine."
            )
        elif run.ledger.rejected:
            told = f"Run it: {words.count(run.ledger.rejected, 'row')} would wait in quarantine and can be repaired there."
        elif not run.ledger.inserted and not run.ledger.updated:
            told = "A run would change nothing: every row is stored already."
        else:
            told = "Run it: every row is good or left out on purpose."
        st.caption(told)
