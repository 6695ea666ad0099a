"""The pipelines there are, the sources nobody has mapped yet, and the drafts under way with who writes them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, frame, words
from app.widgets.listing import Cell, Column, Row, cell, figure, listing


def overview(client: Client) -> None:
    """The list of what is mapped, and of what is not."""
    frame.head("Mapping", "A pipeline is a source, its mappings and rules. Every save is a version.")
    pipelines = client.pipelines()
    under_way = {draft.subject: draft for draft in client.drafts()}
    sources = {view.source.id: view.source for view in client.sources()}
    rows = [
        Row(
            view.pipeline.id,
            [
                cell(view.pipeline.name),
                cell(_name(sources, view.pipeline.source), tone="muted"),
                cell(onto := ", ".join(m.target for m in view.pipeline.mappings), hint=onto),
                _writing(under_way.get(f"pipeline:{view.pipeline.id}")),
                figure(view.version),
                cell(
                    f"Run {view.last_run}" if view.last_run else "not yet",
                    tone="" if view.last_run else "muted",
                ),
                cell(words.ago(view.at), tone="muted", hint=f"{words.exact(view.at)} by {view.author}"),
            ],
            href=access.address("mapping", pipeline=view.pipeline.id),
        )
        for view in pipelines
    ]
    heads = [
        Column("Pipeline"),
        Column("Source"),
        Column("Onto"),
        Column("Draft under way"),
        Column("Version", right=True),
        Column("Last run"),
        Column("Saved"),
    ]
    none = (
        "None yet. Choose a source below, and map it." if sources else "None yet. They begin with a source."
    )
    with frame.panel("Pipelines", words.count(len(rows), "pipeline"), key="pipelines", flush=True):
        chosen = listing("Pipelines", heads, rows, key="pipeline-list", none=none)
    if chosen.opened:
        frame.go("mapping", pipeline=chosen.opened)
    mapped = {view.pipeline.source for view in pipelines}
    rows = [
        Row(
            source.id,
            [
                cell(source.name),
                cell(words.count(len(source.shape.fields), "field") if source.shape else "", tone="muted"),
                _writing(under_way.get(f"source:{source.id}")),
                cell("Go on" if f"source:{source.id}" in under_way else "Map", act="map"),
            ],
            href=access.address("mapping", source=source.id),
        )
        for source in sources.values()
        if source.id not in mapped
    ]
    if not sources:
        with frame.panel("No source yet", key="no-source"):
            st.caption("A mapping leads from a source. Drop a file, paste rows, or connect to a feed.")
            if st.button("Add a source", type="primary"):
                frame.go("sources")
        return
    heads = [Column("Source"), Column("Fields"), Column("Draft under way"), Column(right=True)]
    none = "None: every source has its mapping."
    with frame.panel("Sources without a mapping", key="fresh", flush=True):
        chosen = listing("Sources without a mapping", heads, rows, key="fresh-list", none=none)
    if chosen.opened or chosen.row:
        frame.go("mapping", source=chosen.opened or chosen.row)


def _name(sources: dict[str, Any], id: str) -> str:
    return sources[id].name if id in sources else id


def _writing(draft: Any) -> Cell:
    """Who is writing a draft, and when they last did."""
    if draft is None:
        return cell("")
    me = access.principal().user
    here = [each.who for each in draft.present if each.who != me]
    sub = f"{', '.join(here)} {'is' if len(here) == 1 else 'are'} here now" if here else ""
    return cell(
        f"{'you' if draft.who == me else draft.who}, {words.ago(draft.at)}",
        sub=sub,
        hint=words.exact(draft.at),
    )
