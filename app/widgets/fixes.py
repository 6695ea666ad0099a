"""Which fix: one that was proposed, the edit made here, or a step of one's own; and what is done with it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, repairs
from app.widgets.form import form, missing


def choose(client: Client, cause: Any, reject: Any, changes: dict[str, Any]) -> dict[str, Any] | None:
    """Which fix: one that was proposed, the edit made here, or a step of one's own."""
    options = [str(n) for n in range(len(cause.proposals))]
    if changes.get("fields"):
        options.append("edit")
    if reject.fields:
        options.append("own")
    key = f"fix-{cause.first}"
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0] if options else None
    labels = {"edit": "The change made here, in all like it", "own": "A step of your own"}

    def label(option: str) -> str:
        if option in labels:
            return labels[option]
        proposal = cause.proposals[int(option)]
        return f"{proposal.title}: repairs {proposal.repairs:,} of {proposal.tried:,} tried"

    if not options:
        st.html(frame.heading("Proposed fix"))
        st.caption("No fix was found that makes these lines whole. Correct the line, or dismiss it.")
        return None
    st.html(frame.heading("Fix", "none is made before you apply it"))
    if not cause.proposals:
        st.caption("No fix was found that repairs them. Change the row, or take a step of your own.")
    pick = st.radio("Fix", options, key=key, format_func=label, label_visibility="collapsed")
    if pick == "edit":
        fields = changes["fields"]
        return {
            "kind": "edit",
            "changes": [{"field": n, "before": reject.fields[n], "after": v} for n, v in fields.items()],
        }
    if pick == "own":
        return own_fix(client, cause, list(reject.fields))
    fix: dict[str, Any] = cause.proposals[int(pick or 0)].fix.model_dump(mode="json", by_alias=True)
    return fix


def own_fix(client: Client, cause: Any, fields: list[str]) -> dict[str, Any] | None:
    """A fix written by hand: a step of the catalogue on a source field of all like rows."""
    catalogue = {each.name: each for each in client.steps() if each.takes == "text"}
    at = fields.index(cause.source_field) if cause.source_field in fields else 0
    field = st.selectbox("Source field", fields, index=at, key="own-field")
    name = st.selectbox(
        "Step", list(catalogue), index=None, placeholder="Choose a step",
        format_func=lambda n: catalogue[n].title, key="own-step",
    )  # fmt: skip
    if name is None:
        return None
    schema = catalogue[name].options
    st.caption(catalogue[name].summary)
    options = form(schema, {}, key=f"own-{name}", fields=fields)
    lacking = missing(schema, options)
    if lacking:
        st.caption(f"Needs: {', '.join(lacking)}.")
        return None
    return {"kind": "steps", "field": field, "steps": [{"step": name, "options": options}]}


def actions(
    client: Client, cause: Any, reject: Any, changes: dict[str, Any], row: Any, fix: dict[str, Any] | None,
    trial: Any, off: str | None,
) -> None:  # fmt: skip
    """What can be done with the fix that was chosen and the row that was edited."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        helps = off or (
            None
            if trial is not None and trial.repairs
            else "It repairs none of them."
            if trial
            else "Choose a fix first."
        )
        save = always = fix is not None and fix["kind"] == "mapping"
        may_save = fix is not None and fix["kind"] in ("steps", "map", "set", "edit")
        if may_save:
            save = bool(st.session_state.get("save-fix")) and access.may(Permission.BUILD)
        if (
            st.button(
                f"{apply_label(cause, trial)} `A`",
                type="primary",
                disabled=helps is not None,
                help=helps,
                key="apply",
            )
            and fix is not None
        ):
            access.attempt(repairs.repair, client, cause, fix, save=save)
            st.rerun(scope="app")
        if always:
            st.caption("Becomes part of the mapping.")
        elif may_save:
            st.checkbox(
                "Save as a step of the mapping",
                key="save-fix",
                disabled=not access.may(Permission.BUILD),
                help=access.why_not(Permission.BUILD) or "The next load is then read so from the start.",
            )
        if changes:
            label = "Save and replay this row"
            if st.button(label, disabled=off is not None, help=off, key="save-row"):
                access.attempt(repairs.save_one, client, reject, changes)
                st.session_state.pop(f"row-{reject.id}", None)
                st.rerun(scope="app")
        if reject.fixed is not None and st.button(
            "Drop the repair of this row", disabled=off is not None, help=off
        ):
            access.attempt(client.change_reject, reject.id, undo=True)
            st.rerun(scope="app")


def apply_label(cause: Any, trial: Any) -> str:
    """The button's words say on how many rows it acts."""
    if trial is None or not trial.repairs or trial.repairs == trial.tried:
        return f"Apply to all {cause.rows:,} alike"
    if trial.tried == trial.total:
        return f"Apply to the {trial.repairs:,} it repairs"
    return "Apply to those it repairs"
