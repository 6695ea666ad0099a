"""How a target field begins: what is suggested where nothing is mapped onto it, and readings only a person can choose."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.widgets import access, frame, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from app.widgets.field_answers import remembered
from app.widgets.mapping_draft import CONSTANT, SQL
from engine.errors import SpireError

Data = dict[str, Any]


def unmapped(edited: Draft, field: Any, told: Data) -> None:
    """What is suggested for a field that nothing is mapped onto, and other ways to begin."""
    kind = f", {field.kind or field.vocabulary}" if field.kind or field.vocabulary else ""
    need = ", required" if field.required else ""
    about = f" {field.description}" if field.description else ""
    st.html(f'<div class="s m">Stored as {escape(field.type)}{escape(kind)}{need}.{escape(about)}</div>')
    best = None if told.get("choices") else told.get("best")
    if best:
        reasons = "; ".join(str(reason) for reason in best.get("reasons", []))
        st.html(
            f"<div><b>{escape(best['source'])}</b> suggested, {best['score']} %</div>"
            f'<div class="s m">{escape(reasons[:1].upper() + reasons[1:])}</div>'
        )
    elif not told.get("choices"):
        st.html('<div class="m">Not mapped. Choose a source field for it, or begin with:</div>')
    row = st.container(horizontal=True, gap="small")
    if best:
        row.button(
            "Accept",
            key=f"take-{field.name}",
            on_click=access.attempt,
            args=(drafting.accept, edited, [field.name]),
        )
    for label, origin in (("A constant", CONSTANT), ("SQL", SQL)):
        row.button(
            label, key=f"origin-{field.name}-{label}", type="tertiary" if best else "secondary",
            on_click=access.attempt, args=(drafting.set_origin, edited, field.name, origin),
        )  # fmt: skip


def choose(edited: Draft, field: Any, told: Data, mapped: Data | None) -> None:
    """A reading only a person can decide: real values of this source in each, side by side."""
    origin, choices = told["best"]["source"], told["choices"]
    taken = next((n for n, steps in enumerate(choices) if mapped and mapped.get("steps") == steps), None)
    labels = [_reading(steps) or f"Reading {n + 1}" for n, steps in enumerate(choices)]
    if taken is not None:
        row = st.container(horizontal=True, gap="small", vertical_alignment="center")
        row.html(f'<span class="s m">Read {escape(labels[taken].lower())}.</span>')
        others = [n for n in range(len(choices)) if n != taken]
    else:
        target = drafting.mapping_of(edited)["target"]
        found = remembered(
            ("readings", field.name), edited,
            lambda: access.client().readings(edited.now["source"], target, field.name, origin, choices),
        )  # fmt: skip
        frame.warn(f"<b>{escape(origin)} reads two ways.</b> {_differ(found)} Which is meant?")
        if not isinstance(found, SpireError):
            st.html(_table(origin, labels, found))
        row = st.container(horizontal=True, gap="small")
        others = list(range(len(choices)))
    for n in others:
        row.button(
            labels[n], key=f"choice-{field.name}-{n}", type="tertiary" if taken is not None else "secondary",
            on_click=access.attempt,
            args=(drafting.put, edited, field.name, {"field": field.name, "from": origin, "steps": choices[n]}),
        )  # fmt: skip


def _differ(found: Any) -> str:
    if isinstance(found, SpireError):
        return ""
    return f"{words.count(found.differ, 'row')} of the {found.extent} would become another day."


def _table(origin: str, labels: list[str], found: Any) -> str:
    heads = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    rows = "".join(
        f'<tr><td class="mono">{escape(each.value)}</td>'
        + "".join(f"<td>{escape(_day(value))}</td>" for value in each.read)
        + "</tr>"
        for each in found.values
    )
    return f'<table class="sp-read"><thead><tr><th scope="col">{escape(origin)}</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _day(value: Any) -> str:
    """A date so that nobody takes its month for its day."""
    moment = words.moment(value) if isinstance(value, str) else None
    if moment is None:
        return "not a date"
    return f"{moment:%-d %b %Y}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%-d %b %Y %H:%M}"


def _reading(steps: list[Data]) -> str:
    for step in steps:
        given = step.get("options", {})
        if "day_first" in given:
            return "Day first" if given["day_first"] else "Month first"
        formats = given.get("formats")
        first = formats if isinstance(formats, str) else formats[0] if formats else ""
        if first.startswith("%d"):
            return "Day first"
        if first.startswith("%m"):
            return "Month first"
        if first:
            return f"Read as {first}"
    return ""
