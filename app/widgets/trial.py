"""A preview of the draft: asked for when something changed, or on request where that is slow."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, frame
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft

# A preview that takes longer, in seconds, is not asked for at every edit.
SLOW = 3.0


def ask() -> None:
    """Preview at the next drawing, whatever is kept."""
    st.session_state["ask"] = True


@dataclass(frozen=True)
class Tried:
    """A preview, what it was made of, how long it took, and why it no longer speaks for the draft."""

    mark: str
    found: Any
    took: float
    stale: str = ""


def previewed(client: Client, edited: Draft) -> Tried | None:
    """What the mapping makes of a sample; asked again when something changed, or on request where that is slow."""
    mapping = drafting.mapping_of(edited)
    asked = st.session_state.pop("ask", False)
    kept: Tried | None = st.session_state.get("preview")
    # All of them: a row goes to the first mapping that takes it, as it does in a run.
    mappings = edited.now["mappings"]
    place = f"{access.tenant()} {edited.now['source']} {len(mappings)}"
    mark = place + json.dumps(mappings, sort_keys=True)
    if kept is not None and not kept.mark.startswith(place):
        kept = None
    if not mapping["fields"]:
        return None
    if kept is not None and not asked:
        if kept.mark == mark:
            return kept
        if kept.took > SLOW:
            return replace(kept, stale="older than the last change. Ctrl-Enter asks again.")
    begun = time.monotonic()
    under = edited.now["pipeline"] or None
    found = access.attempt(lambda: client.preview(edited.now["source"], mappings, pipeline=under))
    if found is None and under:
        # Where a run would be stopped by its contract, whoever mends the mapping must still see what it makes.
        stopped = st.session_state["problem"]
        found = access.attempt(client.preview, edited.now["source"], mappings)
        if found is not None:
            st.session_state.pop("problem")
            frame.notice(stopped)
    if found is None:
        problem = st.session_state.pop("problem")
        frame.notice(problem)
        return replace(kept, stale="from before the last change, which cannot run.") if kept else None
    made = st.session_state["preview"] = Tried(mark, found, time.monotonic() - begun)
    return made
