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
    found = kept_causes(scope, plain)
    if found is None:
        found = client.causes(**scope) if plain else []
        st.session_state["proposed-causes"] = (_mark(scope, plain), found)
    return found


def kept_causes(scope: dict[str, Any], plain: list[Any]) -> list[Any] | None:
    """The causes with proposed fixes where they are at hand."""
    mark, found = st.session_state.get("proposed-causes", (None, None))
    return found if mark == _mark(scope, plain) else None


def _mark(scope: dict[str, Any], plain: list[Any]) -> tuple[Any, ...]:
    rows = [(cause.rule, cause.field, cause.reason, cause.first, cause.rows) for cause in plain]
    return (access.tenant(), tuple(scope.items()), tuple(rows))
