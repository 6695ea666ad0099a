"""Where a source stands, in words; rewound with what will be read again in view, or set by hand."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing

SHOWN = 8


def cursor(client: Client, pipeline: str, *, key: str) -> None:
    """Draw where the source of a pipeline stands, and the ways to change that."""
    found = client.cursor(pipeline)
    with frame.panel("Where it stands", _left(found), key=key):
        st.write(words.plain(found.says))
        if not found.moves:
            return
        off = access.why_not(Permission.BUILD)
        row = st.container(horizontal=True, gap="small")
        nowhere = off or (None if found.points else "It stands at the beginning.")
        with row.popover("Rewind", disabled=nowhere is not None, help=nowhere):
            _back(client, found, key)
        with row.popover("Set it by hand", disabled=off is not None, help=off), st.container(width=480):
            _by_hand(client, found, key)


def _left(found: Any) -> str:
    if found.at is None:
        return ""
    return (
        f"left by run {found.run}, {words.ago(found.at)}"
        if found.run
        else f"set by hand, {words.ago(found.at)}"
    )


def _back(client: Client, found: Any, key: str) -> None:
    """The places before, each with what was read since: that is what comes again."""
    places = found.points if len(found.points) <= SHOWN else [*found.points[: SHOWN - 1], found.points[-1]]
    listing(
        "Places to rewind to",
        [Column("Where"), Column("Left by"), Column("Rows read since", right=True)],
        [
            Row(str(n), [cell(p.says, wrap=True), cell(_who(p), tone="muted"), figure(p.rows, sub=words.count(p.runs, "run"))], go=False)
            for n, p in enumerate(places)
        ],
        key=f"{key}-places",
        height=260,
        widest=340,
    )  # fmt: skip
    can = [n for n, p in enumerate(places) if p.run is not None or p.at is None]
    at = st.selectbox("Rewind to", can, format_func=lambda n: _place(places[n]), key=f"{key}-place")
    why = st.text_input("Why", key=f"{key}-why", placeholder="Stands in the audit log")
    point = places[at]
    again = f"The next run reads {words.count(point.rows, 'row')} again that {words.count(point.runs, 'run')} read since"
    st.caption(f"{again}. What is stored already is found again and not doubled.")
    frame.act(
        "Read again from there", client.rewind_cursor, found.pipeline, point.run, why, key=f"{key}-rewind", type="primary",
    )  # fmt: skip


def _who(point: Any) -> str:
    if point.at is None:
        return ""
    return f"run {point.run}, {words.ago(point.at)}" if point.run else f"by hand, {words.ago(point.at)}"


def _place(point: Any) -> str:
    return f"Where run {point.run} left it" if point.run is not None else "The beginning"


def _by_hand(client: Client, found: Any, key: str) -> None:
    text = st.text_area(
        "Cursor", json.dumps(found.cursor, indent=1, ensure_ascii=False), key=f"{key}-text-{found.at}", height=160,
    )  # fmt: skip
    why = st.text_input("Why", key=f"{key}-hand-why", placeholder="Stands in the audit log")
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        st.caption(f"This is no JSON: {error.msg} at character {error.pos + 1}.")
        return
    if given is not None and not isinstance(given, dict):
        st.caption("A cursor is a JSON object, or null for the beginning.")
        return
    trial = client.try_cursor(found.pipeline, given)
    if trial.doubt:
        frame.warn(f"This source could not have given it: {trial.doubt}.", "bad")
    else:
        st.caption(words.plain(trial.says))
    off = (
        "The source could not have given it."
        if trial.doubt
        else "It stands there already."
        if given == found.cursor
        else None
    )
    frame.act("Set the cursor", client.set_cursor, found.pipeline, given, why, off=off, key=f"{key}-set")
