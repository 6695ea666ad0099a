"""A record's relations in a panel: the picture, the same as a list, and how many there are of each kind."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.widgets import access, frame, words
from app.widgets.graph import Node, graph
from app.widgets.listing import Column, Row, cell, listing


def relations_panel(related: Any, middle: str) -> None:
    if not related.total:
        with frame.panel("Relations", key="relations"):
            st.caption("No relationship, reference or equal value leads from here to another record.")
        return
    nodes = [
        Node(r.target, r.key, r.name, r.label, r.way, r.target.replace("-", " ") or "record")
        for r in related.relations
    ]
    more = related.total - len(nodes)
    told = words.count(len(nodes), "relation") + (f", and {more:,} more" if more else "")
    with frame.panel(key="relations", flush=True):
        with st.container(
            horizontal=True, gap="small", vertical_alignment="center", key="result-bar-relations"
        ):
            st.html(frame.heading("Relations", told))
            way = st.segmented_control(
                "Shown as", ["Picture", "List"], default="Picture", label_visibility="collapsed", key="relations-way"
            )  # fmt: skip
        if way == "List":
            _list(nodes)
        else:
            graph(middle, nodes, key="graph")
        counted = ", ".join(f"{group.label} {group.count:,}" for group in related.groups[:8])
        st.html(f'<div class="sp-pad m">{escape(counted)}</div>')


def _list(nodes: list[Node]) -> None:
    rows = [
        Row(
            node.id if node.key else f"{place}",
            [
                cell(node.name, hint=node.name),
                cell(node.kind, tone="muted"),
                cell(way_of(node), tone="muted"),
            ],
            href=access.address("explorer", target=node.target, record=node.key) if node.key else "",
            go=bool(node.key),
        )
        for place, node in enumerate(nodes)
    ]
    heads = [Column("Record"), Column("Kind"), Column("How")]
    listing("Relations", heads, rows, key="relation-list", height=420, widest=420)


def followed() -> tuple[str, str] | None:
    """Target model and key of the record just gone to, in the picture or the list."""
    for key in ("graph", "relation-list"):
        target, _, id = str(getattr(st.session_state.get(key), "opened", None) or "").partition("/")
        if id:
            return target, id
    return None


def way_of(node: Node) -> str:
    return {"in": f"{node.label} this", "out": f"this {node.label} it", "same": "the same value"}[node.way]
