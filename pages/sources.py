"""Sources: where payloads come from, how each is read, and what it holds."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, columns, dialect, frame, words
from app.widgets.dropzone import dropzone
from app.widgets.intake import connector_form, intake
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.running import run_source, why_not_run

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


def overview(client: Client) -> None:
    found = client.sources()
    frame.head(
        "Sources",
        f"{words.count(len(found), 'source')}. A source is a place payloads come from and how they are read.",
    )
    used = {p.pipeline.source: p for p in client.pipelines()}
    rows = []
    for view in found:
        source, shape = view.source, view.source.shape
        pipeline = used.get(source.id)
        payload = view.payload
        rows.append(
            Row(
                source.id,
                [
                    cell(source.name, sub=source.connector),
                    cell(NAMES.get(shape.format, shape.format) if shape else "not read yet"),
                    figure(len(shape.fields) if shape else 0),
                    cell(words.size(payload.size) if payload else "none"),
                    cell(
                        pipeline.pipeline.name if pipeline else "not mapped", tone="" if pipeline else "wait"
                    ),
                    cell(words.ago(view.at), tone="muted", hint=words.exact(view.at)),
                ],
                href=access.address("sources", source=source.id),
            )
        )
    with frame.panel(key="sources", flush=True):
        heads = [
            Column("Source"),
            Column("Format"),
            Column("Fields", right=True),
            Column("Last payload", right=True),
            Column("Pipeline"),
            Column("Changed"),
        ]
        chosen = listing(
            "Sources", heads, rows, key="source-list", none="None yet. Bring something in below."
        )
    if chosen.opened:
        frame.go("sources", source=chosen.opened)
    intake(client, key="sources")
    with st.expander("Another connector"):
        connector_form(client, key="other")


def detail(client: Client, id: str) -> None:
    view = client.source(id)
    source, shape = view.source, view.source.shape
    if shape is None:
        frame.head(
            source.name,
            "This source has not been read yet.",
            crumb=frame.link("Sources", "sources"),
        )
        return
    preview = client.source_preview(id, 50)
    kind = NAMES.get(shape.format, shape.format) + (
        f", {shape.compression}" if shape.compression != "none" else ""
    )
    told = [kind, words.count(len(shape.fields), "field")]
    if view.payload:
        told.append(f"{escape(view.payload.name)}, {words.size(view.payload.size)}, sealed as received")
    chips = [("describes itself", "ok")] if shape.mappings else []
    actions = frame.head(source.name, ". ".join(told), crumb=frame.link("Sources", "sources"), chips=chips)
    with actions:
        buttons(client, source)
    banner(preview)
    if preview.notes:
        st.caption(". ".join(note[:1].upper() + note[1:] for note in preview.notes) + ".")
    if shape.dialect is not None:
        with frame.panel("How it is read", "the first lines as they stand", key="dialect"):
            dialect.raw_lines(preview.first_lines, shape.dialect)
            dialect.dialect_form(client, source, view.version)
    else:
        with frame.panel("How it is read", key="dialect"):
            one, two = st.columns(2, gap="small")
            with one:
                dialect.options_form(client, source, view.version)
            with two:
                other_format(client, source)
    profile(client, id)
    rows_of(preview)
    with st.expander("More"):
        more(client, source, shape)


def buttons(client: Client, source: Any) -> None:
    """One primary action: run what describes itself, map what does not."""
    if source.shape.mappings:
        off = why_not_run(source)
        if st.button("Map by hand"):
            frame.go("mapping", source=source.id)
        if st.button("Run", type="primary", disabled=off is not None, help=off):
            frame.go("runs", run=run_source(client, source))
    elif st.button("Map", type="primary"):
        frame.go("mapping", source=source.id)


def banner(preview: Any) -> None:
    """How the lines add up; loud where they don't."""
    if preview.read != preview.parsed + preview.rejected:
        frame.warn(
            f"<b>{preview.read:,} lines are there, but {preview.parsed:,} rows and {preview.rejected:,} rejects came of them.</b> "
            "Change how it is read before you run it."
        )
    elif preview.rejected:
        frame.warn(
            f"<b>{words.count(preview.rejected, 'line')} of {preview.read:,} can't be read as rows</b> "
            "and will wait in quarantine with their bytes. If these are many, change how it is read."
        )
    if preview.faults:
        rows = [
            Row(
                str(i),
                [
                    figure(fault.line),
                    cell(fault.raw, tone="mono", hint=fault.raw),
                    cell(fault.reason, tone="bad"),
                ],
                go=False,
            )
            for i, fault in enumerate(preview.faults)
        ]
        with st.expander(f"The {words.count(len(preview.faults), 'line')} that can't be read"):
            listing(
                "Faults",
                [Column("Line", right=True), Column("As it stands"), Column("Why")],
                rows,
                key="faults",
                height=240,
            )


def profile(client: Client, id: str) -> None:
    whole = bool(st.session_state.get(f"whole-{id}"))
    found = client.source_profile(id, whole=whole)
    names = [column.name for column in found.profile.columns]
    selected = frame.asked("field") if frame.asked("field") in names else (names[0] if names else "")
    left, right = st.columns([8, 4], gap="small")
    with left, frame.panel("Fields", found.extent, key="profile", flush=True):
        opened = columns.profile_list(found.profile, selected)
        if not found.whole and st.button("Profile all rows"):
            st.session_state[f"whole-{id}"] = True
            st.rerun()
    if opened:
        st.query_params["field"] = opened
        st.rerun()
    if selected:
        with right, frame.panel(selected, found.profile.column(selected).evidence, key="column"):
            columns.column_detail(found.profile.column(selected))


def rows_of(preview: Any) -> None:
    heads = [Column("Line", right=True, width="72px"), *(Column(name) for name in preview.fields)]
    rows = [
        Row(
            str(row.line),
            [
                figure(row.line, tone="muted"),
                *(cell(row.values.get(name), hint=row.values.get(name) or "") for name in preview.fields),
            ],
            go=False,
        )
        for row in preview.rows
    ]
    with frame.panel("Rows", preview.extent, key="rows", flush=True):
        listing("Rows", heads, rows, key="row-list", height=360, none="No rows.")


def other_format(client: Client, source: Any) -> None:
    formats = sorted(NAMES)
    format = st.selectbox(
        "Format",
        formats,
        index=formats.index(source.shape.format) if source.shape.format in formats else 0,
        format_func=lambda f: NAMES[f],
    )
    same = "It is read as this already." if format == source.shape.format else None
    off = access.why_not(Permission.WORK) or same
    if st.button("Read it as this", disabled=off is not None, help=off):
        client.change_source(source.id, format=format)
        st.rerun()


def more(client: Client, source: Any, shape: Any) -> None:
    if source.connector == "upload":
        st.caption("A newer file of this source: its fields and mapping stay, the next run reads it.")
        for receipt in dropzone(
            access.tenant(), key="newer", told="The newer file", off=not access.may(Permission.WORK)
        )[:1]:
            client.change_source(source.id, payload=receipt["payload"])
            frame.tell(f"{receipt['name']} is what this source reads now.")
            st.rerun()
    if st.button(
        "Check the connection", disabled=not access.may(Permission.WORK), help=access.why_not(Permission.WORK)
    ):
        for stage in client.check_source(source.id).stages:
            mark = "okt" if stage.ok else "bt"
            st.html(
                f'<span class="{mark}"><b>{escape(stage.name)}</b></span> {escape(stage.detail)} {escape(stage.action)}'
            )
    if st.button(
        "Delete this source", disabled=not access.may(Permission.BUILD), help=access.why_not(Permission.BUILD)
    ):
        client.delete_source(source.id)
        frame.tell(f"{source.name} was deleted. Its payloads, runs and records stay.")
        frame.go("sources")


def page() -> None:
    client = access.client()
    wanted = frame.asked("source")
    if wanted:
        detail(client, wanted)
    else:
        overview(client)


frame.draw(page)
