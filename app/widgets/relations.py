"""A record's relations in a panel: the picture, the same as a list, and how many there are of each kind."""

from __future__ import annotations

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
    with frame.panel("Relations", told, key="relations", flush=True):
        opened = graph(middle, nodes, key="graph")
        rows = [
            Row(
                node.id if node.key else f"{place}",
                [cell(node.name, hint=node.name), cell(node.kind, tone="muted"), cell(way_of(node), tone="muted")],
                href=access.address("explorer", target=node.target, record=node.key) if node.key else "",
                go=bool(node.key),
            )
            for place, node in enumerate(nodes)
        ]  # fmt: skip
        with st.expander("As a list"):
            chosen = listing("Relations", [Column("Record"), Column("Kind"), Column("How")], rows, key="relation-list", height=320, widest=300)  # fmt: skip
        counted = ", ".join(f"{g.label} {g.count:,}" for g in related.groups[:8])
        st.html(f'<div class="sp-pad m">{counted}</div>')
    if opened is None and chosen.opened:
        target, _, key = chosen.opened.partition("/")
        opened = (target, key)
    if opened:
        frame.go("explorer", target=opened[0], record=opened[1])


def way_of(node: Node) -> str:
    return {"in": f"{node.label} this", "out": f"this {node.label} it", "same": "the same value"}[node.way]
