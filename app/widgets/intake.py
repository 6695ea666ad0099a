"""Bringing something in: dropped files, an address, pasted text, a folder or a built-in sample becomes a source."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.dropzone import dropzone
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from engine.errors import SpireError

FORMATS = (
    "CSV, Excel, JSON, NDJSON, XML, Parquet, STIX or MISP, also as gzip, zip or zstd. "
    "It is encrypted while it arrives; nothing is written to the store until you run."
)
NAMES = {
    "csv": "CSV",
    "json": "JSON",
    "ndjson": "NDJSON",
    "xml": "XML",
    "excel": "Excel",
    "parquet": "Parquet",
    "stix": "STIX bundle",
    "misp": "MISP event",
}


@dataclass(frozen=True)
class Brought:
    """What became of one file: a source of so many fields, or why none."""

    name: str
    size: int
    source: str = ""
    kind: str = ""
    fields: tuple[str, ...] = ()
    problem: str = ""


def intake(client: Client, *, key: str) -> None:
    """Draw the ways in at their full size. A new source opens its page; several files are listed with what became of each."""
    off = access.why_not(Permission.WORK)
    left, middle, right = st.columns(3, gap="small")
    with left:
        received = dropzone(access.tenant(), key=f"{key}-zone", told=off or FORMATS, off=off is not None)
    with middle, frame.panel("Paste a URL", "or rows of text", key=f"way-{key}-url"):
        _address(client, key, off)
    with right, frame.panel("Try a sample", "built in", key=f"way-{key}-sample"):
        _samples(client, key, off)
    there = frame.link("Connect a server or a feed", "sources", new="any")
    st.html(f'<span class="m">A database, a TAXII or MISP server, storage, a watched folder, a well-known feed?</span> {there}')  # fmt: skip
    take(client, received)


def bring_more(client: Client, *, key: str) -> None:
    """The same ways in, in one line."""
    off = access.why_not(Permission.WORK)
    left, right = st.columns([7, 5], gap="small")
    with left:
        told = off or "CSV, Excel, JSON, XML, Parquet, STIX, MISP; also packed."
        received = dropzone(access.tenant(), key=f"{key}-zone", told=told, off=off is not None, compact=True)
    with right:
        row = st.container(horizontal=True, vertical_alignment="center", key=f"{key}-line")
        with row.form(f"{key}-address", border=False):
            line = st.container(horizontal=True, vertical_alignment="center")
            address = line.text_input(
                "Address", key=f"{key}-typed", placeholder="https://…", label_visibility="collapsed",
                disabled=off is not None,
            )  # fmt: skip
            fetched = line.form_submit_button("Look", disabled=off is not None, help=off)
        with row.popover("Paste rows", disabled=off is not None), st.form(f"{key}-paste", border=False):
            pasted = st.text_area("Rows to paste", key=f"{key}-pasted", height=160, width=520)
            read = st.form_submit_button("Read them")
        text = address if fetched else pasted if read else ""
        if text.strip():
            frame.go("sources", source=_of_text(client, text))
    take(client, received)


def take(client: Client, received: list[dict[str, Any]]) -> None:
    """Make sources of what was received, each on its own, so that one bad file holds up no other."""
    if not received:
        return
    with st.spinner(
        f"Finding out what {words.count(len(received), 'file')} hold{'s' if len(received) == 1 else ''}"
    ):
        found = [_source_of(client, receipt) for receipt in received]
    if len(found) == 1 and found[0].source:
        frame.go("sources", source=found[0].source)
    st.session_state["brought"] = found
    frame.go("sources")


def _source_of(client: Client, receipt: dict[str, Any]) -> Brought:
    name, size = str(receipt["name"]), int(receipt["size"])
    try:
        made = client.create_source(payload=receipt["payload"]).source
    except SpireError as problem:
        where = f"{problem.where}." if problem.where not in ("", name) else ""
        why = " ".join(part for part in (problem.title, where.replace("..", "."), problem.action) if part)
        return Brought(name, size, problem=why)
    shape = made.shape
    if shape is None:
        return Brought(name, size, made.id)
    kind = NAMES.get(shape.format, shape.format)
    if not shape.fields:
        why = ". ".join(note[:1].upper() + note[1:] for note in shape.notes) or "No row was found"
        return Brought(name, size, made.id, problem=f"{kind}. {why}.")
    return Brought(name, size, made.id, kind, tuple(field.name for field in shape.fields))


def brought(client: Client) -> None:
    """What became of the files that came together; those with the same fields are offered as one source."""
    found: list[Brought] = st.session_state.get("brought", [])
    if not found:
        return
    made = [one for one in found if one.source]
    note = f"{words.count(len(made), 'source')} of {words.count(len(found), 'file')}"
    with frame.panel("Just brought in", note, key="brought", flush=True):
        chosen = listing(
            "Just brought in",
            [Column("File"), Column("Size", right=True), Column("What became of it"), Column(right=True)],
            [_became(one, at) for at, one in enumerate(found)],
            key="brought-list",
        )
        row = st.container(horizontal=True, key="brought-do")
        for names in _alike(found):
            several = [one for one in found if one.source in names]
            label = f"Read {len(several)} with the same fields as one source"
            off = access.why_not(Permission.WORK)
            row.button(
                label, key=f"join-{names[0]}", on_click=_join, args=(client, names), disabled=off is not None,
                help=off or ", ".join(one.name for one in several[:20]),
            )  # fmt: skip
        row.button("Done", key="brought-done", on_click=lambda: st.session_state.pop("brought", None))
    place = chosen.opened or chosen.row
    if place:
        frame.go("sources", source=found[int(place)].source)


def _became(one: Brought, at: int) -> Row:
    if one.problem:
        told: Cell = cell(
            "Nothing to map" if one.source else "No source", sub=one.problem, tone="bad", wrap=True
        )
    else:
        told = cell(f"{one.kind}, {words.count(len(one.fields), 'field')}", sub=", ".join(one.fields[:8]))
    cells = [cell(one.name, tone="b", hint=one.name), figure(None) | {"text": words.size(one.size)}, told]
    cells.append(cell("Open", act="open") if one.source else cell(""))
    return Row(str(at), cells, go=False)


def _alike(found: list[Brought]) -> list[list[str]]:
    """The sources that have the same fields, where there are several."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in found:
        if one.source and one.fields:
            groups[one.kind, one.fields].append(one.source)
    return [names for names in groups.values() if len(names) > 1]


def _join(client: Client, names: list[str]) -> None:
    done = access.attempt(client.join_sources, names)
    if done:
        found: list[Brought] = st.session_state.get("brought", [])
        left = [one for one in found if one.source not in names[1:]]
        st.session_state["brought"] = left if len(left) > 1 else []
        frame.tell(
            f"{len(names)} files are one source now, {done.source.name}; a run reads them in this order."
        )


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
    if asked and text.strip():
        frame.go("sources", source=_of_text(client, text))


def _of_text(client: Client, text: str) -> str:
    """The source made of an address, or of the text itself."""
    line = text.strip()
    if line.startswith(("http://", "https://")) and len(line.split()) == 1:
        name = line.rstrip("/").rsplit("/", 1)[-1].partition("?")[0] or line
        return str(client.create_source(connector="url", config={"url": line}, name=name[:200]).source.id)
    return str(client.create_source(text=text, name="pasted text").source.id)


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
