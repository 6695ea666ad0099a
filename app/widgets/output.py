"""Output beside input: what the mapping makes of a sample, changed cells tinted, failures red with their reason."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import streamlit as st

from app.widgets import words
from app.widgets.listing import Cell, Column, Row, cell, listing

SHOWN = 100


def text_of(value: Any) -> str:
    """A value as one line of text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def caught(preview: Any, target: str) -> dict[str, int]:
    """How many rows of the preview each rule of the mapping onto this target caught."""
    here = (row for row in preview.rows if row.target == target)
    return dict(Counter(check.get("rule", "") for row in here for check in row.failed))


def output(preview: Any, mapping: dict[str, Any], order: list[str], *, key: str) -> None:
    """Draw the table; a switch shows all rows, changed ones or failing ones."""
    origins = {f["field"]: f.get("from") for f in mapping["fields"]}
    names = [name for name in order if name in origins]
    # What another mapping of the pipeline takes is not this one's to show.
    here = [row for row in preview.rows if row.target in (None, mapping["target"])]
    elsewhere = len(preview.rows) - len(here)
    rows = [(row, _cells(row, names, origins)) for row in here]
    changed = sum(any(c.get("cls") == "changed" for c in cells) for _, cells in rows)
    failing = sum(row.outcome == "rejected" for row in here)
    options = {
        "all": f"All {len(rows):,}",
        "changed": f"Changed {changed:,}",
        "failing": f"Fail {failing:,}",
        "left": f"Left out {preview.filtered:,}",
    }
    pick = st.segmented_control(
        "Rows",
        list(options),
        format_func=lambda o: options[o],
        default="all",
        key=f"{key}-pick",
        label_visibility="collapsed",
    )
    if elsewhere:
        st.caption(f"{words.count(elsewhere, 'row')} of the sample go to other mappings of this pipeline.")
    shown = [
        Row(str(place), cells, go=False)
        for place, (row, cells) in enumerate(rows)
        if pick in (None, "all")
        or (pick == "changed" and any(c.get("cls") == "changed" for c in cells))
        or (pick == "failing" and row.outcome == "rejected")
        or (pick == "left" and row.outcome == "filtered")
    ]
    heads = [
        Column("Line", right=True),
        *(Column(name, hint=f"from {origins[name]}" if origins[name] else "") for name in names),
    ]
    listing("Output", heads, shown[:SHOWN], key=f"{key}-rows", height=380, widest=220, none="No rows here.")
    if len(shown) > SHOWN:
        st.caption(f"The first {SHOWN} of {words.count(len(shown), 'row')}.")


def _cells(row: Any, names: list[str], origins: dict[str, Any]) -> list[Cell]:
    reasons: dict[str, str] = {}
    other = ""
    for check in row.failed:
        name = check.get("field")
        told = str(check.get("message") or check.get("rule") or "")
        if name in names:
            reasons.setdefault(name, told)
        else:
            other = other or (f"{name}: {told}" if name else told)
    note = {"rejected": other or "to quarantine", "filtered": "left out", "warned": "noted"}.get(
        row.outcome, ""
    )
    line = cell(f"{row.line:,}", sub=note, tone="muted", wrap=True, hint=other)
    return [line, *(_cell(row, name, origins[name], reasons.get(name)) for name in names)]


def _cell(row: Any, name: str, origin: Any, reason: str | None) -> Cell:
    before = text_of(row.source.get(origin)) if origin else ""
    after = text_of(row.values.get(name))
    if reason:
        return cell(before or after or "no value", sub=reason, cls="failed", hint=reason)
    if row.outcome == "filtered":
        return cell(before, tone="muted", hint=before)
    if after != before and after:
        return cell(
            after,
            sub=before if origin else "",
            cls="changed" if origin else "",
            hint=f"{before} → {after}" if before else after,
        )
    return cell(after or "no value", tone="" if after else "muted", hint=after)
