"""What a person does in a component, told so that no act is lost where one follows another before the page is drawn.

Streamlit keeps one value a trigger, and a later one takes the place of an earlier one that was not read yet; one
that comes while a run ends is not read at all. So a component numbers its acts and tells all that were not answered,
again after a while; here each is taken once, in order. What was drawn before an act was answered no longer stands,
so a component draws nothing while acts of its own are under way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app.widgets.whole import whole

Data = dict[str, Any]
# Before a component's own module. `life` tells one mounted component from the next.
_QUEUE = (Path(__file__).parent / "acts.js").read_text()


def component(name: str, *, html: str, css: str, js: str) -> Any:
    """A component whose module can make itself a `queue` of acts."""
    return st.components.v2.component(name, html=html, css=css, js=_QUEUE + js)


def draw(mounted: Any, data: Data, *, key: str, acted: Callable[[Data], object]) -> None:
    """Draw a component; `acted` takes each act of a person, before the page is drawn again."""
    place = f"{key}-heard"

    @whole
    def take(told: Data) -> None:
        for act in told["acts"]:
            last = st.session_state.get(place) or {}
            if last.get("life") != told["life"] or act["n"] > last["n"]:
                st.session_state[place] = {"life": told["life"], "n": act["n"]}
                acted(act)

    def heard() -> None:
        # Gone where a newer run has begun already; the component then tells it again.
        told = st.session_state[key].acted
        if told:
            take(told)

    mounted(key=key, data={**data, "heard": st.session_state.get(place)}, on_acted_change=heard)
