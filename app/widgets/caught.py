"""What the rules caught in a run: rejects by cause with the next action, and warnings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import frame
from app.widgets.causes import plain_causes, proposed_causes
from app.widgets.listing import Column, Row, cell, figure, listing


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
                cell(cause.reason, tone="b", sub=examples(cause), hint=cause.explanation),
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
            "Rejects by cause", [Column(), Column(right=True), Column(), Column(right=True)], rows, key=f"{key}-list",
            none=none, height=320, widest=240,
        )  # fmt: skip
    if chosen.row:
        frame.go("quarantine", run=run.run, cause=chosen.row)


def examples(cause: Any) -> str:
    """What stood in the failing field, or the line where there is none."""
    values = [e.fields.get(cause.source_field) for e in cause.examples] if cause.source_field else []
    shown = list(dict.fromkeys(v for v in values if v)) or [e.raw.strip() for e in cause.examples[:1]]
    # Each in its own direction: two names of which one is written from right to left would else run into one another.
    return ", ".join(f"“\u2068{value[:40]}\u2069”" for value in shown[:2])


def warnings(warned: list[Any]) -> None:
    rows = [
        Row(f"{f.rule}-{f.field}", [cell(f.message, tone="b", sub=f.field or ""), figure(f.rows)], go=False)
        for f in warned
    ]
    with frame.panel("Warnings", "kept, but worth a look", key="warnings", flush=True):
        listing("Warnings", [Column(), Column(right=True)], rows, key="warning-list")
