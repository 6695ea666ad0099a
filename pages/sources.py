"""Sources: where payloads come from, how each is read, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, columns, cursors, dialect, drift, frame, words
from app.widgets.connecting import changing, connecting, offers, stages
from app.widgets.dropzone import dropzone
from app.widgets.grid import grid
from app.widgets.intake import NAMES, bring_more, brought, intake
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from app.widgets.reveal import reveal
from app.widgets.running import run_source, why_not_run

# Ways in whose names say little by themselves.
KINDS = {
    "upload": "uploaded file", "url": "web address", "folder": "watched folder", "paste": "pasted text", "s3": "S3 bucket",
    "rest": "REST interface", "taxii": "TAXII server", "misp": "MISP instance", "misp_feed": "MISP feed",
}  # fmt: skip
REMEMBERED = 4
PIPED = 3
PAGE = 100


def overview(client: Client) -> None:
    found = client.sources()
    actions = frame.head(
        "Sources",
        f"{words.count(len(found), 'source')}. A source is a place payloads come from and how they are read.",
    )
    if actions.button("Connect a server or a feed"):
        frame.go("sources", new="any")
    brought(client)
    if not found:
        intake(client, key="sources")
    else:
        bring_more(client, key="sources")
        listed(client, found)


def listed(client: Client, found: list[Any]) -> None:
    used = {p.pipeline.source: p for p in client.pipelines()}
    rows = []
    for view in found:
        source, shape = view.source, view.source.shape
        pipeline = used.get(source.id)
        payload = view.payload
        files = len(source.config.get("also", ())) + 1
        kind = KINDS.get(source.connector, source.connector.replace("_", " "))
        sub = f"{files} files" if files > 1 else kind
        cells = [
            cell(source.name, sub=sub, hint=source.name),
            cell(NAMES.get(shape.format, shape.format) if shape else "not read yet"),
            figure(len(shape.fields) if shape else 0),
            cell(words.size(payload.size) if payload else "none"),
            _piped(pipeline, shape),
            cell(words.ago(view.at), tone="muted", hint=words.exact(view.at)),
        ]
        rows.append(Row(source.id, cells, href=access.address("sources", source=source.id)))
    heads = [
        Column("Source"),
        Column("Format"),
        Column("Fields", right=True),
        Column("Last payload", right=True),
        Column("Pipeline"),
        Column("Changed"),
    ]
    with frame.panel(key="sources", flush=True):
        chosen = listing("Sources", heads, rows, key="source-list", none="None yet.")
    if chosen.opened:
        frame.go("sources", source=chosen.opened)


def _piped(pipeline: Any, shape: Any) -> Cell:
    """The pipeline that reads a source, or what it waits for."""
    if pipeline:
        return cell(pipeline.pipeline.name, hint=pipeline.pipeline.name)
    if shape and shape.mappings:
        return cell("ready to run", tone="wait", hint="It describes itself.")
    return cell("not mapped" if shape and shape.fields else "nothing to map", tone="wait")


def detail(client: Client, id: str) -> None:
    view = client.source(id)
    source, shape = view.source, view.source.shape
    crumb = frame.link("Sources", "sources")
    if shape is None:
        actions = frame.head(source.name, "This source has not been read yet.", crumb=crumb)
        off = access.why_not(Permission.WORK)
        with actions:
            frame.act("Read it", client.change_source, id, off=off, type="primary")
        connection(client, source)
        return
    preview = remembered(("preview", id, view.version), lambda: client.source_preview(id, PAGE))
    kind = NAMES.get(shape.format, shape.format)
    told = [kind + (f", {shape.compression}" if shape.compression != "none" else "")]
    told.append(words.count(len(shape.fields), "field"))
    files = len(source.config.get("also", ())) + 1
    if files > 1:
        told.append(f"{files} files with the same fields, read as one")
    elif view.payload:
        told.append(f"{escape(view.payload.name)}, {words.size(view.payload.size)}, sealed as received")
    chips = [("describes itself", "ok")] if shape.mappings else []
    actions = frame.head(source.name, ". ".join(told), crumb=crumb, chips=chips)
    with actions:
        buttons(client, source)
    piped = [p for p in client.pipelines() if p.pipeline.source == id][:PIPED]
    for each in piped:
        found = client.drift(each.pipeline.id)
        if found is not None:
            drift.card(client, found, name=each.pipeline.name, key=f"drift-{each.pipeline.id}")
    dialect.sums(preview)
    reading(client, source, view.version, preview)
    if preview.fields:
        contents(client, source, view.version, preview)
    else:
        nothing(preview)
    for each in piped:
        standing(client, source, each)
    with st.expander("The connection, a newer file, another format, deleting"):
        more(client, source, view)


def standing(client: Client, source: Any, view: Any) -> None:
    """Up to where a pipeline has read the source, and what it does where that has changed."""
    if source.shape.mappings and source.connector == "upload":
        return
    left, right = st.columns(2, gap="small")
    with left:
        cursors.cursor(client, view.pipeline.id, key=f"cursor-{view.pipeline.id}")
    with right:
        if not source.shape.mappings:
            drift.contract(client, view, key=f"contract-{view.pipeline.id}")


def remembered(name: tuple[Any, ...], read: Callable[[], Any]) -> Any:
    """What was read of this version of a source: filtering and choosing don't read a large file again."""
    kept: dict[Any, Any] = st.session_state.setdefault("source-read", {})
    full = (access.tenant(), *name)
    if full not in kept:
        found = read()
        while len(kept) >= REMEMBERED:
            kept.pop(next(iter(kept)))
        kept[full] = found
    return kept[full]


def buttons(client: Client, source: Any) -> None:
    """One primary action: run what describes itself, map what does not."""
    if source.shape.mappings:
        off = why_not_run(source)
        if st.button("Map by hand"):
            frame.go("mapping", source=source.id)
        if st.button("Run", type="primary", disabled=off is not None, help=off):
            frame.go("runs", run=run_source(client, source))
        return
    off = None if source.shape.fields else "There is nothing to map: no field was found."
    if st.button("Map", type="primary", disabled=off is not None, help=off):
        frame.go("mapping", source=source.id)


def reading(client: Client, source: Any, version: int, preview: Any) -> None:
    """How it is read: raw lines beside the dialect, or what else the payload holds to choose from."""
    shape = source.shape
    # Comments and skipped lines are marked where they stand.
    told = [note for note in preview.notes if preview.account is None or "comments" not in note]
    notes = ". ".join(note[:1].upper() + note[1:] for note in told)
    members = len(shape.options.get("members", ())) > 0
    if preview.account is not None:
        with frame.panel(
            "How it is read", "the first lines as they stand, and what each was taken for", key="dialect"
        ):
            left, right = st.columns([7, 5], gap="medium")
            with left:
                dialect.raw_lines(preview.account)
                dialect.offending(preview)
            with right:
                dialect.dialect_form(client, source, version)
                if notes:
                    st.caption(f"{notes}.")
                if members:
                    dialect.options_form(client, source, version)
    elif members or shape.format in ("excel", "json", "xml", "stix"):
        with frame.panel("How it is read", f"{notes}." if notes else "", key="dialect"):
            dialect.options_form(client, source, version)
            dialect.offending(preview)
    else:
        dialect.offending(preview)


def nothing(preview: Any) -> None:
    """Why there is no field, and what can be done."""
    why = ". ".join(note[:1].upper() + note[1:] for note in preview.notes) or "No row was found"
    frame.warn(
        f"<b>There are no fields to show.</b> {escape(why)}. Change how it is read, or give it a newer file, below."
    )


def contents(client: Client, source: Any, version: int, preview: Any) -> None:
    """What the columns hold, and the rows behind the figure that was chosen."""
    id = source.id
    whole = bool(st.session_state.get(f"whole-{id}"))
    with st.spinner(f"Counting what {words.count(len(preview.fields), 'field')} hold"):
        found = remembered(("profile", id, version, whole), lambda: client.source_profile(id, whole=whole))
    said = found.extent + (f", {words.count(found.rejected, 'reject')} apart" if found.rejected else "")
    listed = found.profile.columns
    if source.shape.mappings:
        # A format has far more fields than most of its files use; those that hold something come first.
        listed = sorted(listed, key=lambda column: not column.filled)
    with frame.panel("Fields", said, key="profile", flush=True):
        picked = columns.fields(listed, frame.asked("field"), key=f"fields-{id}")
        if not found.whole:
            row = st.container(horizontal=True, key="profile-whole")
            row.button(
                "Profile all rows",
                key=f"all-{id}",
                on_click=lambda: st.session_state.update({f"whole-{id}": True}),
            )
    filters = chosen_filters()
    if picked and picked not in filters:
        filters = [f for f in filters if f["field"] != picked["field"]] + [picked]
        st.query_params["only"] = json.dumps(filters)
    rows(client, id, version, preview, [column.name for column in listed], filters, whole)


def chosen_filters() -> list[dict[str, str]]:
    """The filters in the address, so that back, refresh and a link keep them."""
    try:
        found = json.loads(frame.asked("only") or "[]")
        return [{name: str(one[name]) for name in ("field", "by", "value")} for one in found]
    except (ValueError, KeyError, TypeError):
        return []


def rows(
    client: Client,
    id: str,
    version: int,
    preview: Any,
    fields: list[str],
    filters: list[dict[str, str]],
    whole: bool,
) -> None:
    shown, said, none = preview.rows, preview.extent, "No rows."
    if filters:
        wished = ("rows", id, version, whole, json.dumps(filters))
        page = remembered(wished, lambda: client.source_rows(id, filters, limit=PAGE, whole=whole))
        shown, none = page.rows, "No row passes these filters."
        said = f"{page.matched:,} of {page.extent}"
        said += f", the first {len(shown):,} are shown" if page.matched > len(shown) else ""
    with frame.panel("Rows", said, key="rows", flush=True):
        if filters:
            chips(filters)
        grid("Rows", fields, shown, key=f"grid-{id}", picked=[f["field"] for f in filters], none=none)


def chips(filters: list[dict[str, str]]) -> None:
    """The filters that apply, each with a way to take it off."""
    told = {
        "empty": "without a value", "outliers": "outliers", "mangled": "mangled by a spreadsheet", "zeros": "leading zeros",
    }  # fmt: skip
    line = st.container(horizontal=True, key="row-filters")
    for at, one in enumerate(filters):
        what = told.get(one["by"], ("like " if one["by"] == "mask" else "") + one["value"][:60])
        line.button(
            f"{words.plain(one['field'])}: {words.plain(what)}", key=f"off-{at}-{one['field']}-{one['by']}", icon=":material/close:",
            help="Take this filter off", on_click=_take_off, args=(filters, one),
        )  # fmt: skip
    if len(filters) > 1:
        line.button("All rows", type="tertiary", on_click=_take_off, args=([], None))


def _take_off(filters: list[dict[str, str]], one: dict[str, str] | None) -> None:
    left = [each for each in filters if each != one]
    if left:
        st.query_params["only"] = json.dumps(left)
    else:
        st.query_params.pop("only", None)


def other_format(client: Client, source: Any) -> None:
    formats = sorted(NAMES)
    line = st.container(horizontal=True, vertical_alignment="bottom")
    format = line.selectbox(
        "Read it as another format",
        formats,
        index=formats.index(source.shape.format) if source.shape.format in formats else 0,
        format_func=lambda f: NAMES[f],
        width=280,
    )
    same = "It is read as this already." if format == source.shape.format else None
    off = access.why_not(Permission.WORK) or same
    if line.button("Read it as this", disabled=off is not None, help=off):
        client.change_source(source.id, format=format)
        st.rerun()


def connection(client: Client, source: Any) -> None:
    """Each stage of the connection with its fix."""
    key = f"checked-{source.id}"
    off = access.why_not(Permission.WORK)
    row = st.container(horizontal=True, gap="small")
    if row.button("Change the connection", disabled=off is not None, help=off):
        frame.go("sources", source=source.id, connection="change")
    asked = row.button("Check the connection", disabled=off is not None, help=off)
    if asked:
        with st.spinner("Trying each stage"):
            st.session_state[key] = client.check_source(source.id)
    found = st.session_state.get(key)
    if found is None:
        return
    stages(found)
    if asked:
        reveal(f"reveal-{source.id}")


def more(client: Client, source: Any, view: Any) -> None:
    if source.connector == "upload":
        st.caption("A newer file of this source: its fields and mapping stay, the next run reads it.")
        for receipt in dropzone(
            access.tenant(), key="newer", told="One file", off=not access.may(Permission.WORK),
            purpose=f"source-{source.id}", compact=True, many=False,
        )[:1]:  # fmt: skip
            client.change_source(source.id, payload=receipt["payload"])
            frame.tell(f"{receipt['name']} is what this source reads now.")
            st.rerun()
    else:
        connection(client, source)
    other_format(client, source)
    if st.button(
        "Delete this source", disabled=not access.may(Permission.BUILD), help=access.why_not(Permission.BUILD)
    ):
        client.delete_source(source.id)
        frame.tell(f"{source.name} was deleted. Its payloads, runs and records stay.")
        frame.go("sources")


def page() -> None:
    client = access.client()
    wanted, new = frame.asked("source"), frame.asked("new")
    if wanted and frame.asked("connection") == "change":
        changing(client, wanted)
    elif wanted:
        detail(client, wanted)
    elif new == "any":
        offers(client)
    elif new:
        connecting(client, new)
    else:
        overview(client)


frame.draw(page)
