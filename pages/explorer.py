"""Explorer: what is in the store, by facet and time, record by record with its past, in SQL, and as files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, frame, record, words
from app.widgets.exports import exporting
from app.widgets.facets import chips, facet_list
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.objects import about_panel, chips_of, waiting_panel
from app.widgets.relations import followed, relations_panel
from app.widgets.sql import sql
from app.widgets.timeline import timeline
from app.widgets.value import value
from app.widgets.view import PAGE, View, address, heard, of_address, opened, put

WIDEST = 8
LONG = 90


def targets_list(counts: list[Any], view: View) -> None:
    rows = [
        Row(
            c.target,
            [cell(c.title or c.target), figure(c.records)],
            href=address(View(c.target, run=view.run)),
        )
        for c in sorted(counts, key=lambda c: -c.records)
    ]
    with frame.panel("Target models", key="targets", flush=True):
        listing(
            "Target models", [Column(), Column(right=True)], rows, key="target-list", selected=view.target,
            height=190, widest=150,
        )  # fmt: skip


def searched() -> None:
    """What was typed goes into the address, and the list begins anew."""
    view = of_address(frame.asked("target") or st.session_state.get("explored", ""))
    put(
        replace(
            view,
            search=st.session_state["record-search"].strip(),
            whole=st.session_state["record-whole"],
            offset=0,
        )
    )


def search_row(view: View, model: Any, filled: list[str], chosen: list[str]) -> None:
    st.session_state["record-search"], st.session_state["record-whole"] = view.search, view.whole
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.text_input(
            "Search", placeholder="Search in every text field; hxxp://login[.]example finds http://login.example",
            label_visibility="collapsed", key="record-search", on_change=searched,
        )  # fmt: skip
        st.checkbox("Whole value", key="record-whole", on_change=searched, width="content")
        with st.popover("Columns", width="content"):
            columns_picker(view.target, model, filled, chosen)


def columns_picker(target: str, model: Any, filled: list[str], chosen: list[str]) -> None:
    """Which columns this person wants to see of this target model, kept for them."""
    titles = titles_of(model)
    key = f"columns-{target}"

    def keep() -> None:
        access.attempt(access.client().prefer, key, st.session_state[f"pick-{key}"] or None)

    def forget() -> None:
        access.attempt(access.client().prefer, key, None)

    st.session_state[f"pick-{key}"] = chosen
    all_names = [f.name for f in model.target.fields if f.name != "object"]
    st.multiselect(
        "Columns, in this order", [*filled, *(n for n in all_names if n not in filled)],
        format_func=lambda n: titles.get(n) or n, key=f"pick-{key}", on_change=keep,
    )  # fmt: skip
    st.button("As before", on_click=forget, help="Show the columns that have values again.")


def titles_of(model: Any) -> dict[str, str]:
    return {field.name: field.title for field in model.target.fields} | {"_pipeline": "Pipeline"}


def filled_columns(found: Any) -> list[str]:
    """Columns with anything in them on this page, those that name a record first."""
    names = [
        name
        for name in found.columns
        if not name.startswith("_") and any(row.get(name) not in (None, [], "") for row in found.rows)
    ]
    first = [
        n
        for n in ("value", "name", "value_type", "relationship_type", "tlp", "confidence", "source")
        if n in names
    ]
    late = [
        n
        for n in names
        if n
        in ("id", "created_by_ref", "spec_version", "type", "pattern", "pattern_type", "created", "modified")
    ]
    # What is an object of its own is read on the record's page, not in a cell.
    nested = {n for n in names if any(_nested(row.get(n)) for row in found.rows)}
    rest = [
        n
        for n in names
        if n not in first
        and n not in late
        and n not in nested
        and n not in ("original", "object_marking_refs")
    ]
    return [*first, *rest, *late]


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))


def browse(client: Client, counts: list[Any], view: View) -> None:
    model = client.target(view.target)
    overview = client.facets(view.target, time=view.time or None, **view.filters())
    order = view.order.removeprefix("-")
    found = client.records(
        view.target, order=order or None, descending=view.order.startswith("-") or None, offset=view.offset,
        limit=PAGE, **view.filters(),
    )  # fmt: skip
    left, right = st.columns([5, 18], gap="small")
    with left:
        targets_list(counts, view)
        note = "" if overview.sample is None else f"estimated from a {overview.extent}"
        with frame.panel("Narrow down", note, key="facets", flush=True):
            none = "No field here has few enough values to choose from."
            none = none if overview.total else "There is nothing to narrow down."
            facet_list(overview.facets, set(view.where), none=none, key=f"facets-{view.target}")
        waiting_panel(client.waiting(limit=20))
    with right:
        filled = filled_columns(found)
        wanted = [n for n in client.preference(f"columns-{view.target}") or [] if n in found.columns]
        names = wanted or filled[:WIDEST]
        search_row(view, model, filled, names)
        titles = titles_of(model)
        labels = {(f.field, v.value): v.label for f in overview.facets for v in f.values}
        in_force = view.chips(titles, labels)
        if in_force:
            chips(in_force, key="chips")
        if overview.timeline is not None:
            time_panel(view, overview.timeline)
        records_panel(view, found, names, titles)


def time_panel(view: View, line: Any) -> None:
    notes = [
        f"{line.without:,} without" if line.without else "",
        f"{line.outside:,} far outside" if line.outside else "",
    ]
    with frame.panel(key="time", flush=True):
        head = st.container(horizontal=True, gap="small", vertical_alignment="center", key="time-head")
        with head:
            st.html(frame.heading("Over time", ", ".join(n for n in notes if n)))
            if len(line.fields) > 1:
                names = dict(line.fields)
                st.session_state["time-field"] = line.field
                st.selectbox(
                    "Time", sorted(names, key=lambda n: names[n]), format_func=lambda n: names[n], key="time-field",
                    label_visibility="collapsed", width=150, on_change=retimed,
                )  # fmt: skip
        timeline(line, key="timeline")


def retimed() -> None:
    view = of_address(frame.asked("target") or st.session_state.get("explored", ""))
    put(replace(view, time=st.session_state["time-field"]))


def records_panel(view: View, found: Any, names: list[str], titles: dict[str, str]) -> None:
    rows = [
        Row(
            str(row["_id"]),
            record.cells(row, names) or [cell(row["_id"])],
            href=access.address("explorer", target=view.target, record=row["_id"]),
        )
        for row in found.rows
    ]
    numbers = {n for n in names if any(type(row.get(n)) in (int, float) for row in found.rows)}
    heads = [
        Column(
            titles.get(name) or name, right=name in numbers, hint=name, name=name,
            sort={name: "up", f"-{name}": "down"}.get(view.order, "can"),
        )
        for name in names
    ] or [Column("Record")]  # fmt: skip
    last = view.offset + len(rows)
    told = f"{view.offset + 1:,}–{last:,} of {found.total:,}" if rows else ""
    with frame.panel("Records", told, key="records", flush=True):
        listing(
            "Records", heads, rows, key="record-list", height=560, widest=260,
            none="No record matches. Remove a filter above.",
        )  # fmt: skip
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        back, on = max(view.offset - PAGE, 0), view.offset + PAGE
        before, after = ("Before", "After") if view.order else ("Newer", "Older")
        if view.offset:
            st.button(before, on_click=put, args=(replace(view, offset=back),))
        if last < found.total:
            st.button(after, on_click=put, args=(replace(view, offset=on),))


def one_record(client: Client, target: str, id: str) -> None:
    found = client.record(target, id, raw=False)
    model = client.target(target)
    titles, latest = titles_of(model), found.versions[0]
    values = latest.values
    named, title = record.title_of(values)
    shown = found.defanged.get(named, title)
    # Back to the view one came from, filters and all.
    of, back = st.session_state.get("explorer-back", ("", View("")))
    href = address(back if of == access.tenant() and back.target == target else View(target))
    crumb = f'{frame.link("Explorer", "explorer")} / <a href="{href}" target="_self">{model.target.title or target}</a>'
    actions = frame.head(
        shown[:LONG] + ("…" if len(shown) > LONG else ""),
        record.times(values), crumb=crumb,
        chips=[*record.chips_of(values), *chips_of(found.about, values)],
    )  # fmt: skip
    with actions.container(width="content"):
        value(title, found.defanged.get(named, ""), shown=False, key="record-value")
    if len(shown) > LONG:
        record.long(shown)
    related = client.relations(target, id)
    left, right = st.columns(2, gap="small")
    with left:
        about_panel(found.about)
        if values.get("description"):
            with frame.panel("Description", key="description"):
                record.long(str(values["description"]))
        with frame.panel("Sources", "which files gave it", key="sources", flush=True):
            record.sources(found, related.sightings)
    with right:
        traced = lineage_panel(client, target, id, latest)
    relations_panel(related, shown)
    left, right = st.columns(2, gap="small")
    with left:
        number = len(found.versions)
        note = words.count(number, "version") + (", newest first" if number > 1 else "")
        with frame.panel("Versions", note, key="versions", flush=True):
            record.versions(found, titles)
        with st.expander("The whole object as JSON"):
            record.whole(values)
    with right, frame.panel("Fields", "with where each came from", key="fields", flush=True):
        record.fields(values, traced.fields if traced else [], titles, found.defanged)


def lineage_panel(client: Client, target: str, id: str, latest: Any) -> Any:
    """The way back to the file, with the line where it is found at once or was asked for; gives the lineage."""
    with frame.panel("Where it came from", key="origin"):
        if latest.origin is None:
            st.caption("The run that made it is not in the books any more.")
            return None
        fetch = record.is_small(latest.origin) or st.session_state.get("raw-of") == id
        traced = client.lineage(target, id, raw=fetch)
        record.origin(traced.origin, traced.origin if fetch else None)
        if not fetch and st.button(
            "Show the raw line", help="Looks for it in the sealed file, which is large."
        ):
            st.session_state["raw-of"] = id
            st.rerun()
        return traced


def of_run(client: Client, counts: list[Any], run: int) -> str:
    """The first target model that has records of this run."""
    return next((c.target for c in counts if client.records(c.target, run=run, limit=1).total), "")


def taken_way() -> None:
    """Browsing and asking have addresses of their own."""
    if st.session_state["way"] == "SQL":
        st.query_params["way"] = "sql"
    else:
        st.query_params.pop("way", None)


def page() -> None:
    client = access.client()
    counts = client.record_counts()
    run = int(frame.asked("run")) if frame.asked("run").isdigit() else None
    largest = max(counts, key=lambda c: c.records).target if counts else ""
    target = frame.asked("target") or (of_run(client, counts, run) if run else "") or largest
    st.session_state["explored"] = target
    if target and frame.asked("record"):
        if onward := followed():
            frame.go("explorer", target=onward[0], record=onward[1])
        one_record(client, target, frame.asked("record"))
        return
    asked = of_address(target)
    view = heard(asked)
    if opened():
        frame.go("explorer", target=target, record=opened())
    if view != asked:
        put(view)
    total = sum(count.records for count in counts)
    told = f"{words.count(total, 'record')} of {words.count(len(counts), 'target model')}. Latest versions."
    actions = frame.head("Explorer", told)
    if not counts:
        with frame.panel("No records yet", key="none"):
            st.caption("Records come from runs. Bring in a source, map it and run it.")
            if st.button("Add a source", type="primary"):
                frame.go("sources")
        return
    title = next((c.title for c in counts if c.target == view.target), "") or view.target
    with actions:
        st.session_state["way"] = "SQL" if frame.asked("way") == "sql" else "Browse"
        way = st.segmented_control(
            "How", ["Browse", "SQL"], label_visibility="collapsed", key="way", on_change=taken_way
        )
        if way != "SQL" and st.button("Export"):
            exporting(view, title)
    if way == "SQL":
        sql(client, view.target)
    else:
        st.session_state["explorer-back"] = (access.tenant(), view)
        browse(client, counts, view)


frame.draw(page)
