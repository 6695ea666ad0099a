"""One target field: where its value comes from, the steps it goes through, and the rules on it."""

from __future__ import annotations

import hashlib
import json
from html import escape
from typing import Any

import streamlit as st

from app.widgets import frame
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from app.widgets.form import form, missing
from app.widgets.listing import Column, Row, cell, listing
from engine.rules import OPERATORS

SEVERITY = {"warn": "note it", "quarantine": "put the row into quarantine", "fail": "fail the run"}


def field_editor(edited: Draft, field: Any, catalogue: dict[str, Any], sources: list[str]) -> None:
    """Draw the editor of one target field."""
    mapped = drafting.field_of(edited, field.name)
    told = edited.now["suggested"].get(field.name) or {}
    kind = field.kind or field.vocabulary or ""
    st.html(
        f'<div class="s m">{escape(field.type)}{", " + escape(kind) if kind else ""}'
        f"{', required' if field.required else ''}. {escape(field.description or '')}</div>"
    )
    if told.get("choices"):
        _choices(edited, field.name, told)
    if mapped is None:
        st.caption("Not mapped. Choose where it comes from on the left.")
        return
    if mapped.get("sql") is not None:
        _text(edited, field.name, mapped, "sql", "Expression over source fields")
    elif mapped.get("from") is None:
        _text(edited, field.name, mapped, "constant", "Constant")
    steps = list(mapped.get("steps", []))
    for place, step in enumerate(steps):
        _step(edited, field.name, mapped, place, catalogue.get(step["step"]), sources)
    names = [name for name, entry in catalogue.items() if entry]
    key = f"add-step-{field.name}-{len(steps)}"
    st.selectbox(
        "Add a step", ["", *names], key=key, label_visibility="collapsed",
        format_func=lambda n: f"{catalogue[n].title}, {catalogue[n].group}" if n else "Add a step…",
        on_change=lambda: _with_steps(edited, field.name, [*steps, {"step": st.session_state[key]}]) if st.session_state[key] else None,
    )  # fmt: skip


def _step(
    edited: Draft, field: str, mapped: dict[str, Any], place: int, entry: Any, sources: list[str]
) -> None:
    steps = list(mapped["steps"])
    step = steps[place]
    options = step.get("options", {})
    title = entry.title if entry else step["step"]
    mark = hashlib.sha256(json.dumps([field, place, step], sort_keys=True).encode()).hexdigest()[:10]
    with st.expander(
        f"{place + 1}. {title}{_brief(options)}",
        expanded=bool(entry) and bool(missing(entry.options, options)),
    ):
        if entry is not None:
            st.caption(entry.summary)
        if entry is not None and entry.options.get("properties"):
            with st.form(f"step-{mark}", border=False):
                changed = form(entry.options, options, key=mark, fields=sources)
                if st.form_submit_button("Apply"):
                    made = [*steps[:place], {"step": step["step"], "options": changed}, *steps[place + 1 :]]
                    _with_steps(edited, field, made)
                    st.rerun()
        row = st.container(horizontal=True, gap="small")
        others = [*steps[:place], *steps[place + 1 :]]
        row.button(
            "Remove", key=f"rm-{mark}", type="tertiary", on_click=_with_steps, args=(edited, field, others)
        )
        if place:
            moved = [*steps[: place - 1], step, steps[place - 1], *steps[place + 1 :]]
            row.button(
                "Move up",
                key=f"up-{mark}",
                type="tertiary",
                on_click=_with_steps,
                args=(edited, field, moved),
            )


def _brief(options: dict[str, Any]) -> str:
    words = ", ".join(str(value) for value in options.values() if not isinstance(value, dict | list))
    return f": {words[:40]}" if words else ""


def _with_steps(edited: Draft, field: str, steps: list[dict[str, Any]]) -> None:
    mapped = dict(drafting.field_of(edited, field) or {"field": field})
    drafting.put(edited, field, {**mapped, "steps": steps})


def _choices(edited: Draft, field: str, told: dict[str, Any]) -> None:
    """A reading only a person can decide: both are offered."""
    frame.warn("<b>These values read two ways.</b> Choose what is meant.")
    for place, steps in enumerate(told["choices"]):
        label = _reading(steps) or f"Reading {place + 1}"
        st.button(label, key=f"choice-{field}-{place}", on_click=_choose, args=(edited, field, told, steps))


def _reading(steps: list[dict[str, Any]]) -> str:
    for step in steps:
        options = step.get("options", {})
        if "day_first" in options:
            return "Day first: 03/04 is 3 April" if options["day_first"] else "Month first: 03/04 is 4 March"
        if "formats" in options:
            return f"Read as {options['formats'] if isinstance(options['formats'], str) else ', '.join(options['formats'])}"
    return ""


def _choose(edited: Draft, field: str, told: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    drafting.put(edited, field, {"field": field, "from": told["best"]["source"], "steps": steps})


def _text(edited: Draft, field: str, mapped: dict[str, Any], name: str, label: str) -> None:
    key = f"{edited.now['subject']}-{name}-{field}"
    st.session_state[key] = str(mapped.get(name) or "")
    st.text_area(
        label, key=key, height=72,
        on_change=lambda: drafting.put(edited, field, {**mapped, name: st.session_state[key]}),
    )  # fmt: skip


def rules(edited: Draft, target: Any, selected: str, caught: dict[str, int]) -> None:
    """The rules of the mapping at hand, with how many rows of the preview each caught, and a form for one more."""
    kept = list(drafting.mapping_of(edited).get("rules", []))
    rows = [
        Row(
            str(place),
            [
                cell(
                    rule.get("message") or OPERATORS[rule["operator"]].title,
                    sub=f"{rule.get('field') or 'run'}, {rule.get('severity', 'quarantine')}",
                    tone="b",
                ),
                cell(f"{caught.get(rule['id'], 0):,}", tone="bad" if caught.get(rule["id"]) else "muted"),
                cell("Remove", act="remove"),
            ],
            go=False,
        )
        for place, rule in enumerate(kept)
    ]
    chosen = listing(
        "Rules",
        [Column(), Column(right=True), Column(right=True)],
        rows,
        key="rule-list",
        none="Besides types, kinds and required fields: none.",
    )
    if chosen.row:
        drafting.change(edited, rules=[rule for place, rule in enumerate(kept) if str(place) != chosen.row])
        st.rerun()
    # Another key once one is added, so that it closes over what it hid.
    with st.popover("Add a rule", key=f"add-rule-{len(kept)}"):
        _new_rule(edited, target, selected, kept)


def _new_rule(edited: Draft, target: Any, selected: str, kept: list[dict[str, Any]]) -> None:
    operator = st.selectbox(
        "It", list(OPERATORS), format_func=lambda name: OPERATORS[name].title, key="rule-operator"
    )
    entry = OPERATORS[operator]
    st.caption(entry.summary)
    names = [f.name for f in target.fields]
    field = (
        st.selectbox(
            "Field", names, index=names.index(selected) if selected in names else 0, key="rule-field"
        )
        if entry.needs_field
        else None
    )
    schema = entry.options.model_json_schema()
    value = form(schema, {}, key=f"rule-{operator}")
    severity = st.selectbox(
        "Where it does not hold",
        list(SEVERITY),
        index=1,
        format_func=lambda s: SEVERITY[s],
        key="rule-severity",
    )
    message = st.text_input("Message", key="rule-message", placeholder=entry.title)
    lacking = missing(schema, value)
    if st.button(
        "Add the rule", disabled=bool(lacking), help=f"Needs: {', '.join(lacking)}." if lacking else None
    ):
        base = f"{operator.replace('_', '-')}-{field or 'run'}".replace("_", "-").lower()
        taken = {rule["id"] for rule in kept}
        id = next(name for name in (base, *(f"{base}-{n}" for n in range(2, 1000))) if name not in taken)
        rule = {
            "id": id,
            "operator": operator,
            "field": field,
            "value": value or None,
            "severity": severity,
            "message": message,
        }
        drafting.change(edited, rules=[*kept, {k: v for k, v in rule.items() if v not in (None, "")}])
        st.rerun()
