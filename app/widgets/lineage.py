"""A run's lineage: from the payload over the mapping to the records, each a way to go there."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.roles import Permission
from app.widgets import access, frame, words


def lineage(run: Any, name: str) -> None:
    """Draw it in a panel; `name` is the pipeline's."""
    first = run.payloads[0] if run.payloads else None
    more = f", and {words.count(len(run.payloads) - 1, 'more')}" if len(run.payloads) > 1 else ""
    if run.replayed:
        of = run.replayed_of[0] if run.replayed_of else None
        begin = _node("Rejects", frame.link(f"of run {of}", "runs", run=of) if of else "of earlier runs")
    elif first is not None:
        begin = _node(first.name, words.size(first.size) + more, title=first.name)
    else:
        begin = _node("No payload", "nothing was read")
    sealed = []
    if first is not None:
        off = access.why_not(Permission.WORK)
        address = f"/api/v1/tenants/{access.tenant()}/runs/{run.run}/payloads/{first.number}"
        get = f'<a href="{escape(address)}" download>Download</a>' if off is None else "sealed as received"
        sealed = [_node(f"Payload {run.run}-{first.number + 1}", get, title=f"SHA-256 {first.sha256}")]
    checks = sum(mapping.checks for mapping in run.mappings)
    mapping = frame.link(f"Mapping {run.version}", "mapping", pipeline=run.pipeline, version=run.version)
    mapped = _node(mapping, words.count(checks, "check"), html=True, title=f"{name}, version {run.version}")
    wrote = {each.target: each.versions for each in run.written}
    targets = list(wrote) or list(dict.fromkeys(m.target for m in run.mappings))
    label = targets[0] if len(targets) == 1 else words.count(len(targets), "target model")
    kept = _node(
        frame.link(label, "explorer", run=run.run, target=targets[0] if len(targets) == 1 else None)
        if wrote
        else escape(label),
        words.count(sum(wrote.values()), "version"),
        html=True,
        title=", ".join(targets),
    )
    arrow = '<span class="ar" aria-hidden="true">→</span>'
    with frame.panel("Lineage", key="lineage"):
        st.html(f'<div class="lin">{arrow.join([begin, *sealed, mapped, kept])}</div>')


def _node(name: str, second: str, *, html: bool = False, title: str = "") -> str:
    """A step of the way; `html` where its name is a link already."""
    shown = name if html else escape(name)
    return f'<div title="{escape(title)}"><b>{shown}</b><br><span class="s m">{second}</span></div>'
