"""The answer to a query: a table with types, a chart of two of its columns, and the whole of it as a file."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.widgets import access, frame, words
from app.widgets.chart import chart
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.record import short

SHOWN = 500
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


def said(found: Any) -> str:
    """How many rows, of how many, in what time."""
    took = f"{found.seconds:.2f} s"
    if not found.truncated:
        return f"all {words.count(len(found.rows), 'row')}, {took}"
    of = (
        f"of {found.total:,} rows"
        if found.total is not None
        else "rows; how many more there are was not counted"
    )
    return f"the first {len(found.rows):,} {of}, {took}"


def answer(found: Any) -> None:
    """Draw the answer."""
    numbers = [any(part in kind for part in _NUMBERS) and "[" not in kind for kind in found.types]
    with frame.panel("Result", said(found), key="result", flush=True):
        bar = st.container(horizontal=True, gap="small", vertical_alignment="center", key="result-bar")
        with bar:
            way = st.segmented_control(
                "Shown as",
                ["Table", "Chart"],
                default="Table",
                label_visibility="collapsed",
                key="result-way",
            )
            if way == "Chart" and any(numbers) and found.rows:
                _controls(found, numbers)
            if found.asked is not None and found.columns:
                st.space("stretch")
                _files(found.asked)
        if way == "Chart":
            _drawn(found, numbers)
        else:
            _table(found, numbers)


def _files(asked: int) -> None:
    base = f"/api/v1/tenants/{access.tenant()}/export/query/{asked}"
    for format, title in (("csv", "CSV"), ("parquet", "Parquet"), ("json", "JSON")):
        told = "Asks the query anew and gives all of its rows."
        if format == "csv":
            told += " Cells that look like formulas have an apostrophe before them."
        st.link_button(title, f"{base}?format={format}", help=told)


def _table(found: Any, numbers: list[bool]) -> None:
    rows = [
        Row(
            str(place),
            [
                figure(v) if type(v) in (int, float) else cell(short(v)[:300], hint=short(v)[:500], tone="muted" if v is None else "")
                for v in values
            ],
            go=False,
        )
        for place, values in enumerate(found.rows[:SHOWN])
    ]  # fmt: skip
    heads = [
        Column(name, right=right, sub=kind.lower())
        for name, right, kind in zip(found.columns, numbers, found.types, strict=True)
    ]
    listing("Result", heads, rows, key="sql-rows", height=440, none="No row fits.")
    if len(found.rows) > SHOWN:
        st.html(f'<div class="sp-pad m">Here the first {SHOWN:,}; the files have them all.</div>')


def _controls(found: Any, numbers: list[bool]) -> None:
    figures = [name for name, right in zip(found.columns, numbers, strict=True) if right]
    named = [name for name in found.columns if name not in figures] or list(found.columns)
    st.selectbox("Drawn as", ["Bars", "Line"], key="chart-kind", width=110, label_visibility="collapsed")
    st.selectbox("Along", [*named, *(f for f in figures if f not in named)], key="chart-x", width=190, label_visibility="collapsed")  # fmt: skip
    st.selectbox("Height", figures, key="chart-y", width=190, label_visibility="collapsed")


def _drawn(found: Any, numbers: list[bool]) -> None:
    if not any(numbers) or not found.rows:
        st.html('<div class="sp-pad m">A chart needs rows and a column of numbers, such as count(*).</div>')
        return
    x, y = st.session_state["chart-x"], st.session_state["chart-y"]
    across, up = found.columns.index(x), found.columns.index(y)
    points = []
    bars = st.session_state["chart-kind"] == "Bars"
    for row in found.rows:
        # A line has no place for what lies nowhere along it.
        if row[across] is None and not bars:
            continue
        try:
            points.append((short(row[across]) or "no value", float(row[up])))
        except (TypeError, ValueError):
            continue
    chart(f"{y} by {x}", "bar" if bars else "line", points, key="chart")
