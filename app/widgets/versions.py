"""The past of a pipeline: its versions, its text as YAML and SQL, and what a change would do to stored records."""

from __future__ import annotations

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, drafts, frame, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import text_of


def versions(client: Client, edited: Draft) -> None:
    """Draw versions, export, import and impact of the pipeline at hand."""
    id = edited.now["pipeline"]
    if not id:
        st.caption("Save it once; then its versions, its YAML and its SQL are here.")
        return
    one, two, three = st.tabs(["Versions", "As YAML and SQL", "Impact on stored records"])
    with one:
        _list(client, edited, id)
    with two:
        _texts(client, id)
    with three:
        _impact(client, edited, id)


def _list(client: Client, edited: Draft, id: str) -> None:
    rows = [
        Row(
            str(version.version),
            [
                figure(version.version),
                cell(version.comment or "", tone="muted"),
                cell(version.author),
                cell(words.ago(version.at), hint=words.exact(version.at)),
                cell("Take back", act="restore"),
            ],
            go=False,
        )
        for version in client.pipeline_versions(id)
    ]
    heads = [Column("Version", right=True), Column("Why"), Column("Who"), Column("When"), Column(right=True)]
    chosen = listing("Versions", heads, rows, key="version-list")
    if chosen.row:
        past = client.pipeline(id, int(chosen.row)).pipeline
        mappings = [m.model_dump(mode="json", by_alias=True, exclude_defaults=True) for m in past.mappings]
        edited.edit(mappings=mappings, at=0)
        frame.tell(f"Version {chosen.row} is in the draft now. Save it to make it count.")
        st.rerun()


def _texts(client: Client, id: str) -> None:
    base = f"/api/v1/tenants/{access.tenant()}/pipelines/{id}/export"
    row = st.container(horizontal=True, gap="small")
    row.link_button("Open as YAML", f"{base}?format=yaml")
    row.link_button("Open as SQL", f"{base}?format=sql")
    st.code(client.export_pipeline(id), language="yaml", height=260)
    text = st.text_area(
        "Import YAML", height=120, key="import-yaml", placeholder="Paste what an export gave."
    )
    off = access.why_not(Permission.BUILD)
    if st.button("Import", disabled=off is not None or not text.strip(), help=off):
        made = client.import_pipeline(text)
        drafts.end(f"pipeline:{made.pipeline.id}")
        frame.tell(f"Imported {made.pipeline.name} as version {made.version}.")
        frame.go("mapping", pipeline=made.pipeline.id)


def _impact(client: Client, edited: Draft, id: str) -> None:
    st.caption("Which stored records would differ if the draft were run on the payloads of the last run.")
    if not st.button(
        "Compare",
        disabled=not drafting.dirty(edited),
        help=None if drafting.dirty(edited) else "The draft is what is saved.",
    ):
        return
    found = client.impact(id, edited.now["mappings"])
    st.write(
        f"Of {found.read:,} rows: {found.different:,} records would differ, {found.new:,} would be new, {found.gone:,} would be gone, "
        f"{found.same:,} stay the same. Rejects: {found.rejected_before:,} before, {found.rejected_after:,} after."
    )
    rows = [
        Row(
            f"{place}-{name}",
            [
                cell(", ".join(text_of(v) for v in each.key.values()), tone="b"),
                cell(name),
                cell(text_of(each.before.get(name)), tone="muted"),
                cell(text_of(each.after.get(name)), cls="changed"),
            ],
            go=False,
        )
        for place, each in enumerate(found.examples)
        for name in each.fields
    ]
    listing(
        "Examples",
        [Column("Record"), Column("Field"), Column("Now"), Column("Then")],
        rows,
        key="impact-list",
        none="No examples.",
    )
