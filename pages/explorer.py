"""Explorer: what is in the store, record by record with its past, in SQL, and as files."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import text_of

PAGE = 50
FORMATS = {
    "csv": "CSV",
    "parquet": "Parquet",
    "json": "JSON",
    "ndjson": "NDJSON",
    "stix": "STIX 2.1 bundle",
    "misp": "MISP event",
}
FIRST = ("name", "value", "value_type", "type", "title", "hostname", "email")


def exports(target: str, run: int | None) -> None:
    """Links the browser follows by itself: a file streams from the store, not through this page."""
    base = f"/api/v1/tenants/{access.tenant()}/export"
    more = f"&run={run}" if run else ""
    with st.popover("Export"):
        for format, title in FORMATS.items():
            st.link_button(title, f"{base}/{target}?format={format}{more}", width="stretch")
        st.link_button("Everything as one STIX bundle", f"{base}/all?format=stix{more}", width="stretch")


def targets_list(counts: list[Any], target: str) -> None:
    rows = [
        Row(count.target, [cell(count.title or count.target), figure(count.records)])
        for count in sorted(counts, key=lambda c: -c.records)
    ]
    with frame.panel("Target models", key="targets", flush=True):
        chosen = listing(
            "Target models",
            [Column(), Column(right=True)],
            rows,
            key="target-list",
            selected=target,
            height=620,
        )
    if chosen.opened:
        frame.go("explorer", target=chosen.opened, run=frame.asked("run") or None)


def browse(client: Client, target: str, run: int | None) -> None:
    search = st.text_input(
        "Search",
        value=frame.asked("search"),
        placeholder="Search in every field",
        label_visibility="collapsed",
        key="record-search",
    )
    offset = int(frame.asked("offset") or 0) if search == frame.asked("search") else 0
    st.query_params["search"] = search
    found = client.records(target, search=search, run=run, offset=offset, limit=PAGE)
    filled = [
        name
        for name in found.columns
        if not name.startswith("_") and any(row.get(name) not in (None, [], "") for row in found.rows)
    ]
    names = [name for name in FIRST if name in filled] + [
        name for name in filled if name not in FIRST and name not in ("object", "id")
    ]
    names += [name for name in ("id",) if name in filled]
    numbers = {name for name in names if any(type(row.get(name)) in (int, float) for row in found.rows)}
    rows = [
        Row(
            str(row["_id"]),
            [
                figure(value)
                if type(value := row.get(name)) in (int, float)
                else cell(text_of(value), hint=text_of(value)[:500])
                for name in names[:12]
            ],
            href=access.address("explorer", target=target, record=row["_id"]),
        )
        for row in found.rows
    ]
    with frame.panel("Records", found.extent, key="records", flush=True):
        chosen = listing(
            "Records",
            [Column(name, right=name in numbers) for name in names[:12]],
            rows,
            key="record-list",
            height=540,
            none="No record matches.",
        )
    if chosen.opened:
        frame.go("explorer", target=target, record=chosen.opened)
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    with row:
        if found.total:
            st.caption(f"{offset + 1:,} to {offset + len(rows):,} of {found.total:,}")
        if offset and st.button("Back"):
            st.query_params["offset"] = str(max(offset - PAGE, 0))
            st.rerun()
        if offset + len(rows) < found.total and st.button("More"):
            st.query_params["offset"] = str(offset + PAGE)
            st.rerun()


def sql(client: Client, target: str) -> None:
    """One SELECT, read-only, in the tenant's own locked-down store."""
    # In the state, not as a default: a default that changes would draw a new box over what is being typed.
    first = f'SELECT * FROM records."{target}" LIMIT 100'
    st.session_state.setdefault("sql-text", st.session_state.get("sql-last") or first)
    with st.form("sql", border=False):
        text = st.text_area(
            "SQL",
            key="sql-text",
            height=120,
            label_visibility="collapsed",
        )
        asked = st.form_submit_button("Ask")
    st.caption(
        "Views: records.<target model>, versions.<target model>, rejects, runs. It can't change anything."
    )
    if asked:
        st.session_state["sql-last"] = text
        st.session_state["sql-result"] = access.attempt(client.query, text, 1000)
        if st.session_state["sql-result"] is None:
            frame.notice(st.session_state.pop("problem"))
    found = st.session_state.get("sql-result")
    if found is None:
        return
    rows = [
        Row(
            str(i),
            [
                figure(v) if type(v) in (int, float) else cell(text_of(v), hint=text_of(v)[:500])
                for v in values
            ],
            go=False,
        )
        for i, values in enumerate(found.rows[:500])
    ]
    numbers = [any(t in kind for t in ("INT", "DOUBLE", "DECIMAL")) for kind in found.types] or [False] * len(
        found.columns
    )
    told = f"{words.count(len(found.rows), 'row')}{', there are more' if found.truncated else ''}, {found.seconds:.2f} s"
    with frame.panel("Result", told, key="result", flush=True):
        heads = [Column(name, right=right) for name, right in zip(found.columns, numbers, strict=True)]
        listing("Result", heads, rows, key="sql-rows", height=420, none="No rows.")


def record(client: Client, target: str, id: str) -> None:
    found = client.record(target, id)
    latest = found.versions[0]
    title = next((text_of(latest.values.get(name)) for name in FIRST if latest.values.get(name)), id)
    crumb = f"{frame.link('Explorer', 'explorer')} / {frame.link(target, 'explorer', target=target)}"
    frame.head(title[:120], f"{words.count(len(found.versions), 'version')}, newest first.", crumb=crumb)
    left, right = st.columns(2, gap="small")
    traced = client.lineage(target, id)
    with (
        left,
        frame.panel("Fields", "the latest version, with where each came from", key="fields", flush=True),
    ):
        origins = {field.field: field for field in traced.fields}
        rows = []
        for name, value in latest.values.items():
            if value in (None, [], ""):
                continue
            origin = origins.get(name)
            told = (
                " → ".join(
                    [
                        ", ".join(f"{k} “{v}”" if v is not None else k for k, v in origin.sources.items()),
                        *origin.steps,
                    ]
                )
                if origin
                else ""
            )
            rows.append(
                Row(
                    name,
                    [cell(name, tone="muted"), cell(text_of(value), sub=told[:200], wrap=True, hint=told)],
                    go=False,
                )
            )
        listing("Fields", [Column(width="30%"), Column()], rows, key="field-list")
    with right:
        origin_panel(traced.origin)
        past(found)


def origin_panel(origin: Any) -> None:
    facts = {
        "File": escape(origin.payload),
        "Line": f"{origin.line:,}",
        "Run": f"{frame.link(origin.run, 'runs', run=origin.run)}, {words.when(origin.started)} by {escape(origin.started_by)}",
        "Mapping": f"{escape(origin.pipeline)}, version {origin.pipeline_version} ({escape(origin.mapping)})",
        "SHA-256 of the file": f"<code>{escape(origin.sha256)}</code>" if origin.sha256 else "",
    }
    with frame.panel("Where it came from", key="origin"):
        told = "".join(
            f'<span class="k">{name}</span><span class="v">{fact}</span>'
            for name, fact in facts.items()
            if fact
        )
        st.html(f'<div class="sp-facts">{told}</div>')
        if origin.raw:
            st.html(
                f'<div class="sp-raw" tabindex="0" role="region" aria-label="The line as it was received"><div><i>{origin.line}</i>{escape(origin.raw[:20_000].rstrip())}</div></div>'
            )


def past(found: Any) -> None:
    rows = []
    for place, version in enumerate(found.versions):
        older = found.versions[place + 1].values if place + 1 < len(found.versions) else {}
        changed = (
            [n for n, v in version.values.items() if n != "object" and v != older.get(n)] if older else []
        )
        when = version.origin.started if version.origin else None
        rows.append(
            Row(
                str(place),
                [
                    cell(f"Run {version.origin.run}" if version.origin else "", tone="b"),
                    cell(words.ago(when) if when else "", hint=words.exact(when) if when else ""),
                    cell(
                        f"changed {', '.join(changed)}"
                        if changed
                        else "first version"
                        if not older
                        else "same fields",
                        tone="muted",
                        wrap=True,
                    ),
                    cell("latest", chip="ok") if version.latest else cell(""),
                ],
                go=False,
            )
        )
    with frame.panel("Versions", key="versions", flush=True):
        listing("Versions", [Column(), Column(), Column(), Column(right=True)], rows, key="version-rows")


def of_run(client: Client, counts: list[Any], run: int) -> str:
    """The first target model that has records of this run."""
    return next((c.target for c in counts if client.records(c.target, run=run, limit=1).total), "")


def page() -> None:
    client = access.client()
    counts = client.record_counts()
    run = int(frame.asked("run")) if frame.asked("run").isdigit() else None
    target = (
        frame.asked("target")
        or (of_run(client, counts, run) if run else "")
        or (counts[0].target if counts else "")
    )
    if target and frame.asked("record"):
        record(client, target, frame.asked("record"))
        return
    total = sum(count.records for count in counts)
    told = f"{words.count(total, 'record')} of {words.count(len(counts), 'target model')}. Latest versions."
    actions = frame.head("Explorer", told, chips=[(f"of run {run}", "acc")] if run else [])
    if not counts:
        st.html('<p class="m">The store is empty. Bring something in and run it.</p>')
        if st.button("Add a source", type="primary"):
            frame.go("sources")
        return
    with actions:
        if run and st.button("All runs"):
            frame.go("explorer", target=target)
        exports(target, run)
    left, right = st.columns([3, 10], gap="small")
    with left:
        targets_list(counts, target)
    with right:
        way = st.segmented_control(
            "How", ["Browse", "SQL"], default="Browse", label_visibility="collapsed", key="way"
        )
        if way == "SQL":
            sql(client, target)
        else:
            browse(client, target, run)


frame.draw(page)
