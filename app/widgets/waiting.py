"""Numbers beside the pages' names: rows in quarantine, and pipelines whose last run failed.

Everybody's page asks for them at every drawing, so what a tenant answered is kept for a moment, for all
who may read it; who has just done something that may change them sees them anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import streamlit as st

KEPT_FOR = 5.0
# What is sent there may open or close rejects, or end runs.
CHANGING = ("/rejects", "/runs", "/ingest")
_kept: dict[str, tuple[float, Any]] = {}


def beside(tenant: str, ask: Callable[[], Any]) -> None:
    """Draw the numbers at the right of the sidebar's links. Where none can be had none are drawn."""
    found = _remembered(tenant, ask)
    rules = [
        _rule("quarantine", found.open_rejects, f"{found.open_rejects:,} in quarantine", "muted"),
        _rule("runs", found.failed, f"{found.failed:,} failed", "bad-text"),
    ]
    st.html(f"<style>{''.join(rules)}</style>")


def heard(tenant: str, answer: httpx.Response) -> None:
    """Forget a tenant's numbers after a request that may have changed them."""
    path = answer.request.url.path
    if answer.request.method != "GET" and any(part in path for part in CHANGING):
        _kept.pop(tenant, None)


def _remembered(tenant: str, ask: Callable[[], Any]) -> Any:
    at, found = _kept.get(tenant, (0.0, None))
    if found is None or time.monotonic() - at > KEPT_FOR:
        found = ask()
        _kept[tenant] = (time.monotonic(), found)
    return found


def _rule(page: str, count: int, said: str, colour: str) -> str:
    """Numbers only, so nothing of a tenant's own stands in the style; what is read out is said in words."""
    link = f'[data-testid="stSidebarNavLink"][href*="/{page}"]'
    if not count:
        return ""
    return f'{link}::after {{ content: "{count:,}" / ", {said}"; color: var(--{colour}); }}'
