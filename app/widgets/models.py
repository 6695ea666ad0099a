"""Target models: the built-in ones to look at, and those a tenant defines, from a source or from nothing."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing

TYPES = ["text", "integer", "decimal", "boolean", "timestamp", "date", "json", "text[]"]


def models(client: Client) -> None:
    """Every target model, one of them field by field, and a new one: made from a source, or from nothing."""
    found = client.targets()
    rows = [
        Row(
            view.target.name,
            [
                cell(view.target.title or view.target.name, sub=f"{view.target.name}, {_whose(view)}"),
                cell(view.target.summary, tone="muted", wrap=True),
                figure(len(view.target.fields)),
                figure(view.records),
            ],
        )
        for view in found
    ]
    source = frame.asked("source")
    if source:
        with frame.panel("New target model", key="new-model"):
            _define(client, source)
    left, right = st.columns([6, 5], gap="small")
    heads = [
        Column("Model"),
        Column("What it holds"),
        Column("Fields", right=True),
        Column("Records", right=True),
    ]
    with left, frame.panel("Target models", key="models", flush=True):
        chosen = listing(
            "Target models", heads, rows, key="model-list", selected=frame.asked("model"), height=520
        )
    if chosen.opened:
        st.query_params["model"] = chosen.opened
        st.rerun()
    view = next((view for view in found if view.target.name == frame.asked("model")), found[0])
    with right:
        _fields(view.target)
    if not source:
        with st.expander("New target model"):
            _define(client, "")


def _whose(view: Any) -> str:
    return "built in" if view.target.builtin or not view.version else f"yours, version {view.version.version}"


def _fields(model: Any) -> None:
    rows = [
        Row(
            field.name,
            [
                cell(
                    field.name,
                    sub=field.title if field.title.lower().replace(" ", "_") != field.name else "",
                    tone="b",
                ),
                cell(
                    field.type
                    + (f", {field.kind or field.vocabulary}" if field.kind or field.vocabulary else "")
                ),
                cell(
                    ", ".join(
                        word
                        for word, on in (
                            ("key", field.name in model.key),
                            ("required", field.required),
                            ("sensitive", field.sensitive),
                            ("PII", field.pii),
                        )
                        if on
                    ),
                    tone="muted",
                ),
            ],
            go=False,
        )
        for field in model.fields
    ]
    with frame.panel(
        model.title or model.name, words.count(len(rows), "field"), key="model-fields", flush=True
    ):
        listing(
            "Fields", [Column("Field"), Column("Type"), Column("")], rows, key="model-field-list", height=520
        )


def _define(client: Client, source: str) -> None:
    """A form for a model. What a source proposes stands in it, to be edited before it is saved."""
    sources = {view.source.id: view.source.name for view in client.sources()}
    one, two, three = st.columns([2, 2, 3], gap="small")
    begun = one.selectbox(
        "Begin with", ["", *sources], index=[*["", *sources]].index(source) if source in sources else 0,
        format_func=lambda id: sources[id] if id else "an empty form", key=f"model-from-{source}",
    )  # fmt: skip
    proposed = _proposed(client, begun) if begun else None
    name = two.text_input(
        "Name",
        value=proposed.model.name if proposed else "",
        placeholder="vendor-ticket",
        key=f"model-name-{begun}",
    )
    title = three.text_input(
        "Title",
        value=proposed.model.title if proposed else "",
        placeholder="Vendor ticket",
        key=f"model-title-{begun}",
    )
    if proposed:
        st.html(f'<div class="s m">Proposed from {escape(proposed.extent)} of {escape(sources[begun])}. Change what you like; nothing is saved yet.</div>')  # fmt: skip
    table = st.data_editor(
        _rows(proposed),
        num_rows="dynamic",
        key=f"model-editor-{begun}",
        hide_index=True,
        column_config=_columns(client),
    )
    fields = [
        {k: v for k, v in row.items() if k not in ("key", "from", "why") and v not in (None, "", False)}
        for row in table
        if row.get("name")
    ]
    key = [row["name"] for row in table if row.get("name") and row.get("key")]
    lacking = None if name and key else "Needs a name and at least one key field."
    off = access.why_not(Permission.BUILD) or lacking
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    if row.button(
        "Define it", type="primary" if proposed else "secondary", disabled=off is not None, help=off
    ):
        version = (
            proposed.model.version
            if proposed and proposed.model.version in {f["name"] for f in fields}
            else None
        )
        made = {"name": name, "title": title, "fields": fields, "key": key, "version": version}
        if access.attempt(client.create_target, made) is None:
            frame.notice(st.session_state.pop("problem"))
            return
        frame.tell(f"{title or name} is a target model now.")
        st.query_params.pop("source", None)
        st.query_params["model"] = name
        st.rerun()
    if key:
        row.html(f'<span class="s m">Records are told apart by {escape(words.listed(key))}.</span>')


def _proposed(client: Client, source: str) -> Any:
    """What a source proposes, asked once for as long as it is looked at."""
    kept = st.session_state.get("model-proposed")
    if kept is None or kept[0] != (access.tenant(), source):
        kept = st.session_state["model-proposed"] = (
            (access.tenant(), source),
            access.attempt(client.propose_target, source),
        )
        if kept[1] is None:
            frame.notice(st.session_state.pop("problem"))
    return kept[1]


def _rows(proposed: Any) -> list[dict[str, Any]]:
    blank = {
        "name": "", "from": "", "type": "text", "key": False, "required": False, "kind": None, "vocabulary": None,
        "sensitive": False, "pii": False, "title": "", "why": "",
    }  # fmt: skip
    if proposed is None:
        return [{**blank, "name": "id", "key": True, "required": True}]
    return [
        {
            **blank,
            "name": f.name, "from": proposed.sources[f.name], "type": f.type.value, "key": f.name in proposed.model.key,
            "required": f.required, "kind": f.kind, "vocabulary": f.vocabulary, "title": f.title,
            "why": proposed.reasons[f.name],
        }
        for f in proposed.model.fields
    ]  # fmt: skip


def _columns(client: Client) -> dict[str, Any]:
    kinds = ["indicator", *(kind.name for kind in client.kinds() if kind.name != "indicator")]
    vocabularies = sorted(vocabulary.name for vocabulary in client.vocabularies())
    return {
        "name": st.column_config.TextColumn("Field", required=True),
        "from": st.column_config.TextColumn("From", disabled=True),
        "type": st.column_config.SelectboxColumn("Type", options=TYPES, default="text", width="small"),
        "kind": st.column_config.SelectboxColumn("Kind", options=kinds, width="small"),
        "vocabulary": st.column_config.SelectboxColumn("Vocabulary", options=vocabularies, width="small"),
        "key": st.column_config.CheckboxColumn("Key", width="small"),
        "required": st.column_config.CheckboxColumn("Required", width="small"),
        "sensitive": st.column_config.CheckboxColumn("Sensitive", width="small"),
        "pii": st.column_config.CheckboxColumn("PII", width="small"),
        "title": st.column_config.TextColumn("Title"),
        "why": st.column_config.TextColumn("Why", disabled=True),
    }
