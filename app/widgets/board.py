"""The mapping board: a row for each target field, where it comes from, and how sure that is."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.widgets import mapping_draft as drafting
from app.widgets.access import attempt
from app.widgets.drafts import Draft
from app.widgets.mapping_draft import CONSTANT, NONE, SQL

WORDS = {NONE: "Not mapped", CONSTANT: "A constant…", SQL: "An expression…"}


def board(edited: Draft, target: Any, sources: list[str], selected: str) -> None:
    """Draw the rows: required fields first, then what is mapped or suggested; the rest can be added."""
    mapped = {f["field"] for f in drafting.mapping_of(edited)["fields"]}
    suggested = set(drafting.waiting(edited, drafting.LIKELY))
    shown = [f for f in target.fields if f.required]
    shown += [f for f in target.fields if not f.required and f.name in mapped]
    shown += [f for f in target.fields if not f.required and f.name not in mapped and f.name in suggested]
    if selected and selected not in {f.name for f in shown}:
        shown += [f for f in target.fields if f.name == selected]
    with st.container(height=336, border=False, key="board-rows"):
        for field in shown:
            _row(edited, field, sources, selected)
    rest = [f.name for f in target.fields if f not in shown]
    if rest:
        subject = edited.now["subject"]
        st.selectbox(
            "Map another field", ["", *rest], label_visibility="collapsed", key=f"{subject}-more", format_func=lambda n: n or f"Map another field, one of {len(rest)}",
            on_change=lambda: _select(st.session_state[f"{subject}-more"]),
        )  # fmt: skip


def _row(edited: Draft, field: Any, sources: list[str], selected: str) -> None:
    mapped = drafting.field_of(edited, field.name)
    told = edited.now["suggested"].get(field.name) or {}
    origin = drafting.origin_of(mapped)
    left, middle, right, last = st.columns([4, 5, 6, 3], gap="small", vertical_alignment="center")
    with left:
        _name(field, origin, bool(told.get("best")))
    with middle:
        key = f"{edited.now['subject']}-{edited.now['at']}-from-{field.name}"
        options = [NONE, *sources, CONSTANT, SQL]
        if origin not in options:
            options.insert(1, origin)
        st.session_state[key] = origin
        st.selectbox(
            f"Where {field.name} comes from", options, key=key, label_visibility="collapsed",
            format_func=lambda name: WORDS.get(name, name),
            on_change=lambda: attempt(drafting.set_origin, edited, field.name, st.session_state[key]),
        )  # fmt: skip
    with right:
        st.html(_why(told, origin, mapped))
    with last:
        if origin == NONE and told.get("best"):
            st.button(
                "Accept",
                key=f"accept-{field.name}",
                type="tertiary",
                on_click=drafting.accept,
                args=(edited, [field.name]),
            )
        else:
            steps = len((mapped or {}).get("steps", []))
            words = f"{steps} step{'s' if steps != 1 else ''}" if steps else "Edit" if mapped else "Open"
            on = "Editing" if field.name == selected else words
            st.button(on, key=f"open-{field.name}", type="tertiary", on_click=_select, args=(field.name,))


def _select(name: str) -> None:
    if name:
        st.query_params["field"] = name


def _name(field: Any, origin: str, suggested: bool) -> None:
    dot = "on" if origin != NONE else "sug" if suggested else "wait" if field.required else ""
    note = ' <span class="s m" style="font-weight:400">required</span>' if field.required else ""
    hint = escape(field.description or field.title or field.name)
    st.html(
        f'<div class="sp-field" title="{hint}"><span class="dot {dot}"></span><span>{escape(field.name)}{note}</span></div>'
    )


def _why(told: dict[str, Any], origin: str, mapped: dict[str, Any] | None) -> str:
    best, second = told.get("best"), told.get("runner_up")
    if origin == CONSTANT:
        value = (mapped or {}).get("constant")
        return f'<div class="sp-why"><span>always “{escape(str(value))}”</span></div>'
    if origin == SQL:
        return f'<div class="sp-why"><span>{escape(str((mapped or {}).get("sql")))}</span></div>'
    if told.get("choices") and best and origin in (NONE, best["source"]):
        chip = '<span class="chip wait">reads two ways</span>'
        return f'<div class="sp-why">{chip}<span>Open it and choose.</span></div>'
    if not best:
        return (
            '<div class="sp-why"><span>No source field fits.</span></div>'
            if origin == NONE
            else '<div class="sp-why"></div>'
        )
    reasons = [str(reason) for reason in best.get("reasons", [])]
    runner = f" Runner-up: {second['source']}, {second['score']} %." if second else ""
    hint = escape("; ".join(reasons) + "." + runner)
    if origin not in (NONE, best["source"]):
        return f'<div class="sp-why" title="{hint}"><span>your choice; suggested was {escape(best["source"])}, {best["score"]} %</span></div>'
    tone = "acc" if best["score"] >= drafting.SURE else "wait"
    name = f"{escape(best['source'])}: " if origin == NONE else ""
    return (
        f'<div class="sp-why" title="{hint}"><span class="chip {tone}">{best["score"]} %</span>'
        f"<span>{name}{escape('; '.join(reasons[:2]))}</span></div>"
    )
