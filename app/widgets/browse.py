"""What a server holds, to choose from instead of typing: a table or collection, and which of its columns."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.tenant.schemas.browse import Browsed, PlaceView
from app.widgets import access, frame


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
        if found.setting:
            # By name: a place that is looked at once more is another one, with its columns.
            places = {place.name: place for place in found.places}
            name = left.selectbox(
                found.setting.capitalize(), list(places), format_func=lambda n: _named(places[n]), key=f"place-{key}"
            )  # fmt: skip
            place = places[name]
            with right:
                chosen = {found.setting: [place.name], found.choosing: _columns(key, place, found.choosing)}
        else:
            chosen = {}
            for at, place in enumerate(found.places):
                with (left, right)[at % 2]:
                    chosen |= {place.name: names} if (names := _columns(key, place, place.name)) else {}
        line = st.container(horizontal=True, vertical_alignment="center", gap="small")
        line.button("Take over into the form", on_click=_take, args=(key, chosen), key=f"take-{key}")
        if st.session_state.get(f"taken-{key}") == chosen:
            line.html('<span class="s m" role="status">It stands in the form above.</span>')


def _columns(key: str, place: PlaceView, called: str) -> list[str]:
    """The columns that are chosen of a place."""
    kinds = {column.name: column for column in place.columns}
    return st.multiselect(
        called.capitalize(), list(kinds), format_func=lambda name: _typed(kinds[name]),
        placeholder=_unchosen(place, called), disabled=not kinds, key=f"columns-{key}-{place.name}",
    )  # fmt: skip


def _unchosen(place: PlaceView, called: str) -> str:
    if not place.columns:
        return f"Take it over and look again to see its {called}"
    return f"As the form has them, of {len(place.columns):,}" if called == place.name else f"All {called}"


def _take(key: str, chosen: dict[str, list[str]]) -> None:
    # Before the form is drawn again, so that it shows what was chosen.
    for setting, names in chosen.items():
        st.session_state[f"{key}-{setting}"] = "\n".join(names)
    st.session_state[f"taken-{key}"] = chosen
    if f"{key}-query" in st.session_state:
        st.session_state[f"{key}-query"] = ""


def _named(place: PlaceView) -> str:
    rows = "" if place.rows is None else f", about {place.rows:,} rows"
    return f"{place.name} ({place.kind}{rows})"


def _typed(column: Any) -> str:
    return f"{column.name} · {column.type}" + (" · key" if column.key else "")
