"""What a server holds, to choose from instead of typing: a table or collection, and which of its columns."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.tenant.schemas.browse import Browsed, PlaceView
from app.widgets import access, frame

ALL = "All columns"


def look(client: Client, connector: str, config: dict[str, Any], key: str) -> None:
    """Ask the server what it holds, and remember the answer for `offer`."""
    with st.spinner("Looking at what is there"):
        st.session_state[f"browsed-{key}"] = access.attempt(client.browse_connection, connector, config)


def offer(key: str) -> None:
    """Offer what was found; what is taken over stands in the form above."""
    found: Browsed | None = st.session_state.get(f"browsed-{key}")
    if found is None:
        return
    note = "all this account may read" if found.whole else f"the first {len(found.places):,}"
    with frame.panel("What is there", note, key="browse"):
        if not found.places:
            frame.warn("<b>Nothing this account may read.</b> Ask the server's administrator for the right.")
            return
        left, right = st.columns(2, gap="medium")
        place = left.selectbox("Table or collection", found.places, format_func=_named, key=f"place-{key}")
        kinds = {column.name: column for column in place.columns}
        chosen = right.multiselect(
            "Columns", list(kinds), format_func=lambda name: _typed(kinds[name]), placeholder=ALL,
            key=f"columns-{key}-{place.name}",
        )  # fmt: skip
        st.button(
            "Take over into the form", on_click=_take, args=(key, found, place, chosen), key=f"take-{key}"
        )


def _take(key: str, found: Browsed, place: PlaceView, chosen: list[str]) -> None:
    # Before the form is drawn again, so that it shows what was chosen.
    st.session_state[f"{key}-{found.setting}"] = place.name
    st.session_state[f"{key}-{found.choosing}"] = "\n".join(chosen)
    if f"{key}-query" in st.session_state:
        st.session_state[f"{key}-query"] = ""


def _named(place: PlaceView) -> str:
    rows = "" if place.rows is None else f", about {place.rows:,} rows"
    return f"{place.name} ({place.kind}{rows})"


def _typed(column: Any) -> str:
    return f"{column.name} · {column.type}" + (" · key" if column.key else "")
