"""One reject: its row as it came with what failed marked, and what has become of it since."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import frame, words

# State, in words, its tone, and what it means.
STATES = {
    "open": ("waits", "bad", "It waits to be repaired, and is in the books as rejected."),
    "replayed": ("replayed", "ok", "It went through the mapping again."),
    "dismissed": ("dismissed", "", "It was given up, and stays in the books as rejected."),
    "repeated": ("repeated", "", "The same bytes came again, and are dealt with there."),
    "undone": ("undone", "", "The run that rejected it was undone."),
}


def marked(reject: Any) -> str:
    """HTML of the row as it came, the value at fault marked."""
    text = reject.raw.rstrip("\r\n")
    if reject.mark:
        a, b = reject.mark
        shown = f"{escape(text[:a])}<mark>{escape(text[a:b]) or ' '}</mark>{escape(text[b:])}"
    else:
        shown = escape(text)
    return f"<div><i>{reject.line}</i>{shown}</div>"


def inexact(reject: Any) -> str:
    """What to know of a row that is not all text; empty where it is."""
    return (
        ""
        if reject.exact
        else " Some of its bytes are no text; they are shown as \\xNN and kept as they are."
    )


def _cause_of(client: Client, reject: Any) -> int | None:
    """The number by which quarantine knows the cause of a reject."""
    like = (reject.rule, reject.field, reject.reason)
    found = client.causes(run=reject.run, propose=False)
    return next((cause.first for cause in found if (cause.rule, cause.field, cause.reason) == like), None)


def reject_page(client: Client, id: int) -> None:
    """A reject by its number, whatever has become of it."""
    reject = client.reject(id)
    name = next(
        (p.pipeline.name for p in client.pipelines() if p.pipeline.id == reject.pipeline), reject.pipeline
    )
    state, tone, meaning = STATES[reject.state]
    place = f"Line {reject.line:,} of {escape(reject.payload or 'its payload')}, by pipeline {escape(name)}."
    actions = frame.head(
        f"Reject {id:,}",
        place,
        crumb=frame.link("Quarantine", "quarantine", run=reject.run),
        chips=[(state, tone)],
    )
    with actions:
        if reject.state == "open" and st.button("Repair it", type="primary"):
            frame.go("quarantine", run=reject.run, cause=_cause_of(client, reject), row=id)
    with frame.panel("Original row", words.exact(reject.at), key="reject-row"):
        st.html(
            f'<div class="sp-raw" tabindex="0" role="region" aria-label="Original row">{marked(reject)}</div>'
        )
        if reject.fixed is not None:
            st.html(frame.heading("Repaired row"))
            fixed = f"<div><i>{reject.line}</i>{escape(reject.fixed.rstrip())}</div>"
            st.html(f'<div class="sp-raw" tabindex="0" role="region" aria-label="Repaired row">{fixed}</div>')
    replay = frame.link(f"run {reject.replay}", "runs", run=reject.replay) if reject.replay else ""
    facts = {
        "Why": escape(reject.reason) + escape(inexact(reject)),
        "Field": escape(reject.field or ""),
        "Mapping": frame.link(
            f"version {reject.version}", "mapping", pipeline=reject.pipeline, version=reject.version
        ),
        "Rejected": f"{words.when(reject.at)}, {frame.link(f'run {reject.run}', 'runs', run=reject.run)}",
        "Now": f"{meaning} {escape(reject.dismissed or '')}",
        "By": replay,
    }
    told = "".join(f'<span class="k">{k}</span><span class="v">{v}</span>' for k, v in facts.items() if v)
    with frame.panel("What became of it", key="reject-facts"):
        st.html(f'<div class="sp-facts">{told}</div>')
