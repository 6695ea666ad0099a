"""Audit: who did what, in chains whose every link can be checked."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing

MOST = 1000


def events_of(client: Client, whole: bool) -> list[dict[str, Any]]:
    """Events, newest first: of this tenant, or of the installation (accounts, keys, schedules, tenants)."""
    if whole:
        found: list[dict[str, Any]] = access.control("GET", "/audit", limit=MOST)
        return found
    return [event.model_dump() for event in client.audit(limit=MOST).events]


def verify(client: Client, whole: bool) -> None:
    if whole:
        verdict = access.control("POST", "/audit/verify")
        ok, count, broken, reason = verdict["ok"], verdict["events"], verdict["broken"], verdict["reason"]
    else:
        found = client.verify_audit()
        ok, count, broken, reason = found.ok, found.count, found.broken, found.reason
    if ok:
        st.session_state["verdict"] = (
            True,
            f"The chain holds: {words.count(count, 'event')}, each link checked.",
        )
    else:
        at = f" It breaks at event {broken:,}." if broken else ""
        st.session_state["verdict"] = (False, f"The chain does not hold.{at} {reason}")


def page() -> None:
    client = access.client()
    places = (["This tenant"] if access.may(Permission.AUDIT) else []) + (
        ["The installation"] if access.may(Permission.INSTALL_AUDIT) else []
    )
    if not places:
        frame.head("Audit", "Reading the audit log needs the auditor or administrator role.")
        return
    actions = frame.head(
        "Audit", "Every access and change is an event; each carries the hash of the one before."
    )
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    with row:
        place = st.segmented_control(
            "Whose", places, default=places[0], label_visibility="collapsed", key="audit-place"
        )
        search = st.text_input(
            "Search",
            placeholder="Search: a person, an action, an object",
            label_visibility="collapsed",
            key="audit-search",
        )
    whole = place == "The installation"
    with actions:
        if st.button("Verify the chain", type="primary"):
            verify(client, whole)
    verdict = st.session_state.pop("verdict", None)
    if verdict:
        st.html(
            f'<div class="sp-notice {"ok" if verdict[0] else ""}" role="status"><b>{verdict[1]}</b></div>'
        )
    events = events_of(client, whole)
    found = (
        [event for event in events if search.lower() in json.dumps(event, default=str).lower()]
        if search
        else events
    )
    rows = []
    for event in found[:300]:
        at = words.moment(event["at"])
        change = " → ".join(text for text in (event["before"], event["after"]) if text and text != "null")
        rows.append(
            Row(
                str(event["seq"]),
                [
                    figure(event["seq"], tone="muted"),
                    cell(words.ago(at) if at else "", hint=words.exact(at) if at else ""),
                    cell(event["who"], tone="b"),
                    cell(event["action"]),
                    cell(event["object"], hint=event["object"]),
                    cell(event["outcome"], tone="ok" if event["outcome"] == "done" else "bad"),
                    cell(change, tone="muted", hint=change[:1000]),
                ],
                go=False,
            )
        )
    heads = [
        Column("No.", right=True),
        Column("When"),
        Column("Who"),
        Column("What"),
        Column("On"),
        Column("Outcome"),
        Column("Before → after"),
    ]
    more = f" (the latest {MOST:,} are searched)" if len(events) == MOST else ""
    told = f"{words.count(len(found), 'event')}{more}" + (", the first 300" if len(found) > 300 else "")
    with frame.panel("Events", told, key="events", flush=True):
        listing("Events", heads, rows, key="event-list", height=620, none="No event matches.")


frame.draw(page)
