"""What a pipeline is called, which rows it takes, when a run of it fails, and its end."""

from __future__ import annotations

import copy
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, drafts, frame, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft

# Where the session keeps whose particulars are open.
OPEN = "particulars-of"


def particulars(client: Client, edited: Draft, fields: list[str]) -> None:
    """Draw them as one form; what it holds is taken into the draft as one edit, if it can run."""
    now, mapping = edited.now, drafting.mapping_of(edited)
    off = access.why_not(Permission.WORK)
    with st.form("particulars", border=False):
        name = st.text_input("Name", value=now["name"], max_chars=200, disabled=off is not None)
        where = st.text_input(
            "Only rows where", value=mapping.get("where") or "", placeholder="all rows; for example \"type\" = 'ip'",
            help="An expression over source fields. Rows left out count as filtered.", disabled=off is not None,
        )  # fmt: skip
        left, right = st.columns(2, gap="small")
        listed = ["", *fields]
        held = mapping.get("explode") or ""
        explode = left.selectbox(
            "One row for each entry of the list in", listed if held in listed else [*listed, held],
            index=listed.index(held) if held in listed else len(listed), disabled=off is not None,
            format_func=lambda field: field or "no field: one row stays one",
        )  # fmt: skip
        limit = right.number_input(
            "A run fails when more than so many % of its rows are rejected", min_value=0.0, max_value=100.0, step=1.0,
            value=_percent(now["error_threshold"]), placeholder="never", disabled=off is not None,
        )  # fmt: skip
        taken = st.form_submit_button("Take it into the draft", disabled=off is not None, help=off)
    if taken:
        wished = {
            "name": name.strip() or now["name"],
            "error_threshold": None if limit is None else round(limit / 100, 6),
        }
        _take(client, edited, wished, where=where.strip() or None, explode=explode or None)
    if now["pipeline"]:
        _ending(client, edited)


def _take(client: Client, edited: Draft, wished: dict[str, Any], **parts: str | None) -> None:
    mappings = copy.deepcopy(edited.now["mappings"])
    at = edited.now["at"]
    mappings[at] = {k: v for k, v in {**mappings[at], **parts}.items() if v is not None}
    found = access.attempt(client.preview, edited.now["source"], mappings, 1)
    if found is None:
        frame.notice(st.session_state.pop("problem"))
        return
    unknown = [name for name in found.lacking if name in (parts["where"] or "")]
    if unknown:
        frame.warn(
            f"<b>The source has no field {escape(words.listed(unknown))}.</b> Nothing was taken over. "
            "Names with spaces stand in double quotes, texts in single ones."
        )
        return
    edited.edit(mappings=mappings, **wished)
    st.session_state.pop(OPEN, None)
    st.rerun()


def _ending(client: Client, edited: Draft) -> None:
    off = access.why_not(Permission.BUILD)
    with st.expander("Delete the pipeline"):
        st.caption("Its runs, records and versions stay; its schedules find nothing to run any more.")
        sure = st.text_input(
            "Type its name to delete it", key="delete-name", disabled=off is not None, help=off
        )
        if not st.button("Delete the pipeline", disabled=off is not None, help=off):
            return
        if sure.strip() != edited.now["name"]:
            frame.warn("That is not its name. Nothing was deleted.")
            return
        client.delete_pipeline(edited.now["pipeline"])
        drafts.end(edited.subject)
        st.session_state.pop(OPEN, None)
        frame.tell(f"{edited.now['name']} was deleted. Its runs, records and versions stay.")
        frame.go("mapping")


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)
