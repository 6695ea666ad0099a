"""Target models: the built-in ones to look at, and those a tenant defines."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing

TYPES = ["text", "integer", "decimal", "boolean", "timestamp", "date", "json", "text[]"]


def models(client: Client) -> None:
    """Every target model, one of them field by field, and a form for a new one."""
    found = client.targets()
    rows = [
        Row(
            view.target.name,
            [
                cell(view.target.title or view.target.name, sub=view.target.name),
                cell(view.target.summary, tone="muted", hint=view.target.summary),
                figure(len(view.target.fields)),
                figure(view.records),
                cell("built in", tone="muted")
                if view.target.builtin or not view.version
                else cell(f"yours, version {view.version.version}"),
            ],
        )
        for view in found
    ]
    left, right = st.columns([6, 5], gap="small")
    heads = [
        Column("Model"),
        Column("What it holds"),
        Column("Fields", right=True),
        Column("Records", right=True),
        Column(),
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
    with st.expander("Define a model of your own"):
        _define(client)


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


def _define(client: Client) -> None:
    one, two = st.columns(2, gap="small")
    name = one.text_input("Name", placeholder="vendor-ticket", key="model-name")
    title = two.text_input("Title", placeholder="Vendor ticket", key="model-title")
    kinds = [kind.name for kind in client.kinds()]
    blank = {
        "name": "",
        "type": "text",
        "key": False,
        "required": False,
        "kind": None,
        "sensitive": False,
        "pii": False,
        "title": "",
    }
    table = st.data_editor(
        [{**blank, "name": "id", "key": True, "required": True}],
        num_rows="dynamic",
        key="model-editor",
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn("Field", required=True),
            "type": st.column_config.SelectboxColumn("Type", options=TYPES, default="text"),
            "kind": st.column_config.SelectboxColumn("Kind", options=kinds),
            "key": st.column_config.CheckboxColumn("Key"),
            "required": st.column_config.CheckboxColumn("Required"),
            "sensitive": st.column_config.CheckboxColumn("Sensitive"),
            "pii": st.column_config.CheckboxColumn("PII"),
            "title": st.column_config.TextColumn("Title"),
        },
    )
    fields = [
        {k: v for k, v in row.items() if k != "key" and v not in (None, "", False)}
        for row in table
        if row.get("name")
    ]
    key = [row["name"] for row in table if row.get("name") and row.get("key")]
    off = access.why_not(Permission.BUILD) or (
        None if name and key else "Needs a name and at least one key field."
    )
    if st.button("Define it", disabled=off is not None, help=off):
        client.create_target({"name": name, "title": title, "fields": fields, "key": key})
        frame.tell(f"{title or name} is a target model now.")
        st.query_params["model"] = name
        st.rerun()
