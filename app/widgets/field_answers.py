"""What is answered about the draft as it stands, remembered until something changes."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access
from app.widgets.drafts import Draft
from engine.errors import SpireError

MOST_KEPT = 40


def followed(client: Client, edited: Draft, field: str, line: int | None) -> Any:
    """The trace of a field of the draft, asked again only when something changed; the refusal where it is refused."""
    now = edited.now
    return remembered(
        ("trace", field, line), edited, lambda: client.trace(now["source"], now["mappings"], field, at=now["at"], line=line)
    )  # fmt: skip


def offered(client: Client, edited: Draft, field: str) -> Any:
    """What could come next in a field's chain; None where it cannot be told."""
    now = edited.now
    found = remembered(
        ("offers", field), edited, lambda: client.offers(now["source"], now["mappings"], field, at=now["at"])
    )
    return None if isinstance(found, SpireError) else found


def remembered(what: tuple[Any, ...], edited: Draft, ask: Any) -> Any:
    """An answer about the draft as it stands; the latest few are kept with the session."""
    now = edited.now
    mark = json.dumps([*what, access.tenant(), now["source"], now["at"], now["mappings"]], sort_keys=True)
    kept: dict[str, Any] = st.session_state.setdefault("asked-of-draft", {})
    if mark not in kept:
        try:
            kept[mark] = ask()
        except SpireError as problem:
            return problem
        while len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]
    return kept[mark]
