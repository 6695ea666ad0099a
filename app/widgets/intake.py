"""Bringing something in: a dropped file, an address, pasted text or a built-in sample becomes a source."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame
from app.widgets.dropzone import dropzone
from app.widgets.form import form, missing

FORMATS = (
    "CSV, Excel, JSON, NDJSON, XML, Parquet, STIX or MISP, also as gzip, zip or zstd. "
    "It is encrypted while it arrives; nothing is written to the store until you run."
)


def intake(client: Client, *, key: str) -> None:
    """Draw the ways in. A new source opens its page; several files open the list of sources."""
    off = access.why_not(Permission.WORK)
    left, middle, right = st.columns([5, 4, 4], gap="small")
    with left:
        received = dropzone(access.tenant(), key=f"{key}-zone", told=off or FORMATS, off=off is not None)
    with middle, frame.panel("Paste a URL", "or text", key=f"{key}-url"):
        _address(client, key, off)
    with right, frame.panel("Try a sample", "built in", key=f"{key}-sample"):
        _samples(client, key, off)
    made = [client.create_source(payload=receipt["payload"]).source for receipt in received]
    if len(made) == 1:
        frame.go("sources", source=made[0].id)
    if made:
        frame.tell(f"{len(made)} sources were added: {', '.join(source.name for source in made)}.")
        frame.go("sources")


def _address(client: Client, key: str, off: str | None) -> None:
    with st.form(f"{key}-address", border=False):
        text = st.text_area(
            "Address or text",
            key=f"{key}-typed",
            placeholder="https://… or rows to paste",
            height=68,
            label_visibility="collapsed",
        )
        asked = st.form_submit_button("Look", disabled=off is not None, help=off)
    if not asked or not text.strip():
        return
    line = text.strip()
    if line.startswith(("http://", "https://")) and len(line.split()) == 1:
        made = client.create_source(
            connector="url", config={"url": line}, name=line.rsplit("/", 1)[-1] or line
        )
    else:
        made = client.create_source(text=text, name="pasted text")
    frame.go("sources", source=made.source.id)


def _samples(client: Client, key: str, off: str | None) -> None:
    offered = client.samples()
    if not offered:
        st.caption("There are none in this installation.")
        return
    titles = {sample.name: sample.title for sample in offered}
    name = st.selectbox(
        "Sample",
        list(titles),
        format_func=lambda n: titles[n],
        key=f"{key}-which",
        label_visibility="collapsed",
    )
    summary = next(sample.summary for sample in offered if sample.name == name)
    st.caption(summary)
    if st.button("Load the sample", key=f"{key}-load", disabled=off is not None, help=off):
        made = client.create_source(connector="sample", config={"sample": name}, name=titles[name])
        frame.go("sources", source=made.source.id)


def connector_form(client: Client, *, key: str) -> None:
    """A source of any connector, its form drawn from what the connector asks for."""
    offered = {c.name: c for c in client.connectors()}
    name = st.selectbox(
        "Connector", list(offered), format_func=lambda n: offered[n].title, key=f"{key}-connector"
    )
    connector = offered[name]
    st.caption(connector.summary)
    title = st.text_input("Name", key=f"{key}-name", placeholder=connector.title)
    config: dict[str, Any] = form(connector.config, {}, key=f"{key}-{name}")
    lacking = missing(connector.config, config)
    off = access.why_not(Permission.WORK) or (f"Needs: {', '.join(lacking)}." if lacking else None)
    if st.button("Add the source", key=f"{key}-add", disabled=off is not None, help=off):
        made = client.create_source(connector=name, config=config, name=title or connector.title)
        frame.go("sources", source=made.source.id)
