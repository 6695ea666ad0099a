"""A mapping as text: the draft as YAML or SQL to read, edit and take over, and the saved pipeline to carry elsewhere."""

from __future__ import annotations

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, drafts, frame
from app.widgets.drafts import Draft

# Where the session keeps whose past is open, and that another state was just taken into the draft.
PAST, TAKEN = "past-of", "took-back"
FORMS = {"yaml": "YAML", "sql": "SQL"}
SAYS = {
    "yaml": "All of the draft. What you change here is taken over as one edit that can be undone.",
    "sql": "Edit the inner SELECT and its WHERE: a line becomes an expression of its field. Rules stand there to be read.",
}


def drafted(client: Client, edited: Draft) -> None:
    """The draft as text, to be edited in place."""
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    form = row.segmented_control(
        "Form", list(FORMS), format_func=FORMS.__getitem__, default="yaml", key="text-form", label_visibility="collapsed",
    )  # fmt: skip
    form = form or "yaml"
    row.html(f'<span class="s m">{SAYS[form]}</span>')
    off = access.why_not(Permission.WORK)
    text = None if off else access.attempt(client.mappings_text, edited.now["mappings"], form)
    if text is None:
        problem = st.session_state.pop("problem", None)
        if problem is not None:
            frame.notice(problem)
        else:
            st.caption(str(off))
        return
    # A form sends what is typed with the press of its button, so that no key struck just before is lost.
    with st.form(f"text-{form}", border=False):
        key = f"draft-text-{form}-{edited.subject}-{edited.revision}"
        given = st.text_area(
            f"The draft as {FORMS[form]}", value=text, height=260, key=key, label_visibility="collapsed"
        )
        taken = st.form_submit_button("Take it into the draft")
    if not taken:
        return
    found = access.attempt(client.read_mappings, given)
    if found is None:
        frame.notice(st.session_state.pop("problem"))
        return
    made = [mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True) for mapping in found]
    if made == edited.now["mappings"]:
        st.caption("It says what the draft says.")
        return
    edited.edit(mappings=made)
    edited.look(at=min(edited.now["at"], len(made) - 1))
    st.session_state.pop(PAST, None)
    frame.tell("The text is in the draft now; undo takes that back.")
    st.rerun()


def kept(client: Client, id: str) -> None:
    """The pipeline as it is saved, as a file; and one that another installation gave."""
    base = f"/api/v1/tenants/{access.tenant()}/pipelines/{id}/export"
    with st.expander("The pipeline as it is saved"):
        row = st.container(horizontal=True, gap="small", vertical_alignment="center")
        for form, word in FORMS.items():
            row.link_button(f"Open as {word}", f"{base}?format={form}")
        row.html('<span class="s m">Both come back the same, here or in another tenant.</span>')
        off = access.why_not(Permission.BUILD)
        with st.form("import-pipeline", border=False):
            text = st.text_area(
                "Import YAML or SQL", height=110, key="import-text", placeholder="Paste what an export gave."
            )
            asked = st.form_submit_button("Import as a new version", disabled=off is not None, help=off)
        if not asked or not text.strip():
            return
        made = access.attempt(client.import_pipeline, text)
        if made is None:
            frame.notice(st.session_state.pop("problem"))
            return
        drafts.end(f"pipeline:{made.pipeline.id}")
        frame.tell(f"Imported {made.pipeline.name} as version {made.version}.")
        frame.go("mapping", pipeline=made.pipeline.id)
