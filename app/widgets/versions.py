"""The past of a pipeline: its versions and what changed between them, its text, and what a change would do to records."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, texts, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import text_of
from app.widgets.texts import PAST, TAKEN

DRAFT = 0
_MARKS = {"added": "+", "removed": "−", "changed": "~"}


def versions(client: Client, edited: Draft) -> None:
    """Draw versions with their differences, impact, and the text of the draft and of the pipeline at hand."""
    if st.session_state.pop(TAKEN, False):
        st.rerun()  # the whole page shows another draft now
    id = edited.now["pipeline"]
    if not id:
        texts.drafted(client, edited)
        st.caption("Save it once; then its versions, and what a change does to stored records, are here too.")
        return
    one, two, three = st.tabs(["Versions", "Impact on stored records", "YAML and SQL"])
    with one:
        _past(client, edited, id)
    with two:
        _impact(client, edited, id)
    with three:
        texts.drafted(client, edited)
        texts.kept(client, id)


def _past(client: Client, edited: Draft, id: str) -> None:
    found = client.pipeline_versions(id)
    newest = found[0].version if found else 0
    rows = [
        Row(
            str(version.version),
            [
                figure(version.version, sub="newest" if version.version == newest else ""),
                cell(
                    version.comment or "no reason given", tone="" if version.comment else "muted", wrap=True
                ),
                cell(version.author),
                cell(words.ago(version.at), tone="muted", hint=words.exact(version.at)),
            ],
            go=False,
        )
        for version in found
    ]
    heads = [
        Column("Version", right=True, width="72px"),
        Column("Why", fills=True),
        Column("Who"),
        Column("When", right=True),
    ]
    listing("Versions", heads, rows, key="version-list", height=190)
    _compare(client, edited, id, [version.version for version in found])


def _compare(client: Client, edited: Draft, id: str, known: list[int]) -> None:
    """What changed between any two of them, the draft among them, in words."""
    if not known:
        return
    changed = drafting.dirty(edited)
    places = [DRAFT, *known]
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
    after = row.selectbox(
        "What is new in", places, index=0 if changed or len(known) == 1 else 1, format_func=_named, key="compare-after", width=170,
    )  # fmt: skip
    older = [place for place in places if place != after and place != DRAFT] or known
    before = row.selectbox("against", older, format_func=_named, key=f"compare-before-{after}", width=170)
    if before != DRAFT:
        # In a callback: the dialog may be closed by the time the page runs again.
        row.button(
            f"Take back version {before}", key="take-back", on_click=access.attempt,
            args=(_take_back, client, edited, id, before),
        )  # fmt: skip
    found = access.attempt(client.difference, _of(client, edited, id, before), _of(client, edited, id, after))
    if found is None:
        frame.notice(st.session_state.pop("problem"))
        return
    if not found:
        st.html(f'<div class="m">{_named(after)} does what {_named(before).lower()} does.</div>')
        return
    several = len({change.target for change in found}) > 1
    lines = "".join(
        f'<li><span class="{change.how}" aria-label="{change.how}">{_MARKS[change.how]}</span>'
        f"<span>{escape(f'{change.target}: ' if several else '')}{escape(change.says)}</span></li>"
        for change in found
    )
    st.html(f'<ul class="sp-diff" aria-label="What changed">{lines}</ul>')


def _take_back(client: Client, edited: Draft, id: str, version: int) -> None:
    """Put a version into the draft, as one edit that can be undone."""
    edited.edit(mappings=_mappings(client, id, version), at=0)
    st.session_state[TAKEN] = True
    st.session_state.pop(PAST, None)
    frame.tell(f"Version {version} is in the draft now; undo takes that back. Save it to make it count.")


def _named(place: int) -> str:
    return f"Version {place}" if place else "The draft"


def _of(client: Client, edited: Draft, id: str, place: int) -> list[dict[str, Any]]:
    return _mappings(client, id, place) if place else list(edited.now["mappings"])


def _mappings(client: Client, id: str, version: int) -> list[dict[str, Any]]:
    past = client.pipeline(id, version).pipeline
    return [m.model_dump(mode="json", by_alias=True, exclude_defaults=True) for m in past.mappings]


def _impact(client: Client, edited: Draft, id: str) -> None:
    off = access.why_not(Permission.WORK) or (
        None if drafting.dirty(edited) else "The draft is what is saved, so nothing would differ."
    )
    key = f"impact-{id}"
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    if row.button("Compare with the records", disabled=off is not None, help=off):
        with st.spinner("Running the draft on the payloads of the last run. Nothing is kept."):
            st.session_state[key] = (repr(edited.now["mappings"]), access.attempt(client.impact, id, edited.now["mappings"], 20))  # fmt: skip
    row.html(
        '<span class="s m">Runs the draft on the payloads of the last run, on all rows, and keeps nothing.</span>'
    )
    mark, found = st.session_state.get(key, ("", None))
    if found is None:
        problem = st.session_state.pop("problem", None)
        if problem is not None:
            frame.notice(problem)
        return
    if mark != repr(edited.now["mappings"]):
        frame.warn("The draft has changed since; compare again.")
    said = f"These {found.different:,} records change" if found.different != 1 else "This one record changes"
    others = f"{found.same:,} stay the same, {found.new:,} are new, {found.gone:,} go"
    rejects = f"rejects {found.rejected_before:,} before, {found.rejected_after:,} after"
    st.html(f"<div><b>{said}.</b> Of the others {others}; {rejects}. <span class='m'>From {escape(found.extent)}.</span></div>")  # fmt: skip
    _changes(found)


def _changes(found: Any) -> None:
    left, right = st.columns([1, 3], gap="small")
    with left:
        most = max(found.by_field.values(), default=1)
        rows = [
            Row(name, [cell(name), figure(count), cell(bar=count / most, cls="", tone="grey")], go=False)
            for name, count in found.by_field.items()
        ]
        listing(
            "Fields that change", [Column("Field"), Column("Records", right=True), Column()], rows, key="impact-fields",
            height=300, none="No field changes.",
        )  # fmt: skip
    with right:
        shown = [
            Row(
                f"{place}-{name}",
                [
                    cell(", ".join(text_of(v) for v in each.key.values()) if not n else "", tone="b"),
                    cell(name),
                    cell(text_of(each.before.get(name)) or "no value", tone="muted"),
                    cell(text_of(each.after.get(name)) or "no value", cls="changed"),
                ],
                go=False,
            )
            for place, each in enumerate(found.examples)
            for n, name in enumerate(each.fields)
        ]
        listing(
            "Examples", [Column("Record"), Column("Field"), Column("Now"), Column("Then")], shown, key="impact-list",
            height=300, widest=180, none="No record changes.",
        )  # fmt: skip
