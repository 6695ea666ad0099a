"""Settings: tenants, people, API keys, target models, the root key, the settings in force and the health."""

from __future__ import annotations

import streamlit as st

from app.client import Client
from app.widgets import access, frame
from app.widgets.administration import health, keys, settings
from app.widgets.credentials import credentials
from app.widgets.models import models
from app.widgets.people import api_keys, people
from app.widgets.tenants import tenants

PARTS = {
    "tenants": "Tenants",
    "people": "People",
    "api-keys": "API keys",
    "credentials": "Credentials",
    "target-models": "Target models",
    "root-key": "Root key",
    "settings": "Settings in force",
    "health": "Health",
}
ABOUT = {
    "tenants": "Each tenant has a store, a key and a process of its own.",
    "people": "Who may do what, here and in other tenants.",
    "api-keys": "Programs sign in with a key that has a role and an end.",
    "credentials": "What sources sign in with. Each goes only to the hosts it is bound to, and is never shown again.",
    "target-models": "What records look like: the built-in ones, and your own.",
    "root-key": "One root key wraps a key per tenant.",
    "settings": "What this installation was started with. Nothing here is secret.",
    "health": "What this installation needs, looked at one by one.",
}


def chosen() -> None:
    """A part was chosen: its address is its own."""
    part = st.session_state["part"]
    if part:
        st.query_params.from_dict({"tenant": access.tenant(), "part": part})


def page() -> None:
    client: Client = access.client()
    asked = frame.asked("part").lower().replace(" ", "-")
    part = asked if asked in PARTS else next(iter(PARTS))
    frame.head("Settings", ABOUT[part])
    st.session_state["part"] = part
    st.segmented_control(
        "Part", list(PARTS), format_func=lambda p: PARTS[p], label_visibility="collapsed", key="part",
        on_change=chosen,
    )  # fmt: skip
    draw = {
        "tenants": tenants, "people": people, "api-keys": api_keys,
        "credentials": lambda: credentials(client), "target-models": lambda: models(client),
        "root-key": keys, "settings": settings, "health": health,
    }  # fmt: skip
    draw[part]()


frame.draw(page)
