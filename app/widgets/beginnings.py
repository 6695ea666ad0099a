"""What a mapping begins with where nothing fits by itself: a target model, a template, or a model of its own."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft


def offer_templates(client: Client, edited: Draft) -> None:
    """Templates to begin with, and how much of each this source can feed."""
    found = client.templates()
    if not found:
        st.caption("None yet. Keep a mapping as one, under More on its page.")
        return
    names = {view.template.id: view.template.name for view in found}
    id = st.selectbox("Template", list(names), format_func=lambda id: names[id], key="template")
    made = client.apply_template(id, edited.now["source"])
    st.html(
        f"<div>Feeds <b>{words.count(made.matched, 'target field')}</b>; fields are matched by name.</div>"
    )
    if made.missing:
        lacks = ", ".join(f"{m.field} (needs {', '.join(m.lacks)})" for m in made.missing[:6])
        st.html(
            f'<div class="s m">Stays unmapped: {escape(lacks)}{"…" if len(made.missing) > 6 else ""}</div>'
        )
    mappings = [drafting.plain(mapping) for mapping in made.mappings]
    frame.act(
        "Begin with it", lambda: edited.edit(mappings=mappings, notes=[]), key="template-begin",
        off=None if made.matched else "This source has none of its fields.",
    )  # fmt: skip


def begin(client: Client, edited: Draft, source: Any, models: dict[str, Any]) -> None:
    """The three ways to begin, side by side."""
    off = access.why_not(Permission.WORK)
    if off is not None:
        told = frame.link("See what the source holds", "sources", source=source.source.id)
        st.html(f'<span class="m">Mapping it {off[0].lower()}{off[1:]}</span> {told}')
        return
    one, two, three = st.columns(3, gap="small")
    with one, frame.panel("A target model", key="begin-model"):
        choose_target(client, edited, models)
    with two, frame.panel("A template", key="begin-template"):
        offer_templates(client, edited)
    with three, frame.panel("A model of its own", key="begin-new"):
        st.caption("Made from what this source holds: names, types and a key are proposed.")
        if st.button("New target model from this source"):
            frame.go("settings", part="target-models", source=source.source.id)


def choose_target(client: Client, edited: Draft, models: dict[str, Any]) -> None:
    fits = edited.now.get("fits") or {}
    names = sorted(models, key=lambda name: (-fits.get(name, 0), name))
    key = f"{edited.subject}-target"

    def chosen() -> None:
        if st.session_state[key]:
            access.attempt(drafting.choose_target, client, edited, st.session_state[key])

    st.selectbox(
        "Target model", names, key=key, index=None, placeholder="Choose a target model", on_change=chosen,
        format_func=lambda n: f"{models[n].title or n} ({fits[n]} % fit)" if n in fits else models[n].title or n,
    )  # fmt: skip


def templating(client: Client, edited: Draft) -> None:
    """Keep this mapping for other sources like it."""
    off = access.why_not(Permission.BUILD)
    with st.form("template-form", border=False, clear_on_submit=True):
        name = st.text_input("Keep as a template, under the name", disabled=off is not None, help=off)
        kept = st.form_submit_button("Keep as a template", disabled=off is not None, help=off)
    if kept and name:
        client.create_template(name=name, mappings=edited.now["mappings"])
        frame.tell(f"{name} is a template now.")
        st.rerun()
