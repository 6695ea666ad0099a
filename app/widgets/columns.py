"""What the columns of a source hold: one line each, and one of them in full."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.widgets import frame, words
from app.widgets.listing import Column, Row, cell, figure, listing


def profile_list(profile: Any, selected: str) -> str:
    """One line a column: type with evidence, empty, distinct, its commonest values. Gives the one chosen."""
    rows = []
    for column in profile.columns:
        empty = column.rows - column.filled
        top = ", ".join(value.value for value in column.top[:3])
        mask = column.masks[0].mask if column.masks else ""
        spark = (
            list(column.numbers.bins)
            if column.numbers and column.numbers.bins
            else [v.count for v in column.top[:10]]
        )
        rows.append(
            Row(
                column.name,
                [
                    cell(column.name, sub=mask, hint=column.name),
                    cell(column.evidence, chip="wait" if column.outliers else "neutral"),
                    cell(spark=spark) if spark else cell(""),
                    cell(words.percent(empty, column.rows), tone="muted"),
                    figure(column.distinct),
                    cell(top, tone="muted", hint=top),
                ],
            )
        )
    heads = [
        Column("Field", width="22%"),
        Column("Holds"),
        Column("Spread"),
        Column("Empty", right=True),
        Column("Distinct", right=True),
        Column("Commonest"),
    ]
    chosen = listing(
        "Fields", heads, rows, key="profile-list", selected=selected, height=420, none="No fields."
    )
    return chosen.opened


def column_detail(column: Any) -> None:
    """One column: its values, masks, outliers and dates."""
    marks = []
    if column.ambiguous_dates:
        marks.append("Some dates read two ways (day or month first): choose on the mapping page.")
    if column.leading_zeros:
        marks.append(f"{words.count(column.leading_zeros, 'value')} with leading zeros; they stay text.")
    if column.mangled:
        marks.append(
            f"{words.count(column.mangled, 'value')} a spreadsheet has mangled (such as 1.9E+18). They are not repaired."
        )
    for mark in marks:
        frame.warn(mark)
    rows = [
        Row(
            f"v{i}",
            [
                cell(v.value, tone="mono", hint=v.value),
                figure(v.count),
                cell(words.percent(v.count, column.rows), tone="muted"),
            ],
            go=False,
        )
        for i, v in enumerate(column.top[:10])
    ]
    st.html(frame.heading("Commonest values", f"{column.distinct:,} distinct"))
    listing(
        "Values", [Column(), Column(right=True), Column(right=True)], rows, key="values", none="No values."
    )
    if column.outlier_examples:
        st.html(frame.heading("Outliers", words.count(column.outliers, "value")))
        rows = [
            Row(
                f"o{i}",
                [cell(o.value, tone="mono", hint=o.value), cell(f"row {o.row + 1:,}", tone="muted")],
                go=False,
            )
            for i, o in enumerate(column.outlier_examples[:8])
        ]
        listing("Outliers", [Column(), Column(right=True)], rows, key="outliers")
    if column.masks:
        st.html(frame.heading("Patterns", f"of {column.masks_of:,} rows"))
        rows = [
            Row(f"m{i}", [cell(m.mask, tone="mono"), figure(m.count)], go=False)
            for i, m in enumerate(column.masks[:6])
        ]
        listing("Patterns", [Column(), Column(right=True)], rows, key="masks")
