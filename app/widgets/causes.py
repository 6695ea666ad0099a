"""Rejects by cause, with fixes that were tried out: worked out again only when the rejects have changed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access


def plain_causes(client: Client, scope: dict[str, Any]) -> list[Any]:
    """The causes without proposed fixes: at once."""
    return client.causes(**scope, propose=False)


def proposed_causes(client: Client, scope: dict[str, Any], plain: list[Any]) -> list[Any]:
    """The causes with proposed fixes; trying those out takes a moment, so what was found is kept."""
    rows = [(cause.rule, cause.field, cause.reason, cause.first, cause.rows) for cause in plain]
    mark = (access.tenant(), tuple(scope.items()), tuple(rows))
    kept = st.session_state.get("proposed-causes")
    if kept is None or kept[0] != mark:
        kept = st.session_state["proposed-causes"] = (mark, client.causes(**scope) if plain else [])
    found: list[Any] = kept[1]
    return found
