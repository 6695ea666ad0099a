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
from app.widgets.texts import TAKEN

# Where the session keeps for whose draft the templates are open.
TEMPLATES = "templates-of"


def offer_templates(client: Client, edited: Draft) -> None:
    """Templates to begin with, and how much of each this source can feed."""
    if st.session_state.pop(TAKEN, False):
        st.rerun()  # the whole page shows another draft now
    found = {view.template.id: (view, made) for view, made in drafting.applied(client, edited.now["source"])}
    if not found:
        st.caption("None yet. Keep a mapping as one, under More on its page.")
        return
    id = st.selectbox(
        "Template", list(found), key="template",
        format_func=lambda id: f"{found[id][0].template.name}, feeds {found[id][1].matched}",
    )  # fmt: skip
    made = found[id][1]
    if not made.matched:
        st.html('<div class="m">This source has none of its fields; fields are matched by name.</div>')
    else:
        st.html(
            f"<div>Feeds <b>{words.count(made.matched, 'target field')}</b>; fields are matched by name.</div>"
        )
    if made.matched and made.missing:
        lacks = ", ".join(f"{m.field} (needs {', '.join(m.lacks)})" for m in made.missing[:6])
        st.html(
            f'<div class="s m">Stays unmapped: {escape(lacks)}{"…" if len(made.missing) > 6 else ""}</div>'
        )
    mappings = [drafting.plain(mapping) for mapping in made.mappings]
    frame.act(
        "Begin with it", _begin, edited, mappings, key="template-begin",
        off=None if made.matched else "This source has none of its fields.",
    )  # fmt: skip


def _begin(edited: Draft, mappings: list[dict[str, Any]]) -> None:
    """As one edit, which undo takes back."""
    edited.edit(mappings=mappings, notes=[])
    edited.look(at=0)
    if st.session_state.pop(TEMPLATES, None):
        st.session_state[TAKEN] = True


def begin(client: Client, edited: Draft, source: Any, models: dict[str, Any]) -> None:
    """The three ways to begin, side by side."""
    off = access.why_not(Permission.WORK)
    if off is not None:
        told = frame.link("See what the source holds", "sources", source=source.source.id)
        st.html(f'<span class="m">Mapping it {off[0].lower()}{off[1:]}</span> {told}')
        return
    one, two, three = st.columns(3, gap="small")
    with one, frame.panel("A target model", key="begin-model"):
        st.caption("Those that fit best come first.")
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
