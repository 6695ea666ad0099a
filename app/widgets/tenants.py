"""Tenants: made, renamed, opened, and destroyed with their key."""

from __future__ import annotations

from typing import Any, Literal

import streamlit as st

from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.access import control
from app.widgets.listing import Column, Row, cell, listing

LEVELS = {
    "minimal": "Minimal: changes, exports, sign-ins",
    "standard": "Standard: also runs and queries",
    "comprehensive": "Comprehensive: also every look",
}


def tenants() -> None:
    """Every tenant one may see; what can be done with the chosen one beside a new one."""
    found: list[dict[str, Any]] = control("GET", "/tenants")
    wanted = frame.asked("id")
    rows = [
        Row(
            tenant["id"],
            [
                cell(tenant["name"] or tenant["id"], sub=tenant["id"]),
                cell(tenant["role"] or "none", tone="" if tenant["role"] else "muted"),
                cell(tenant["audit_level"], tone="muted", hint=LEVELS[tenant["audit_level"]]),
                cell(
                    words.ago(made) if (made := words.moment(tenant["created"])) else "",
                    tone="muted",
                    hint=words.exact(made) if made else "",
                ),
                cell("open", chip="ok")
                if tenant["id"] == access.tenant()
                else cell("Open", act="open")
                if tenant["role"]
                else cell("no role in it", tone="muted"),
            ],
            href=access.address("settings", part="tenants", id=tenant["id"]),
        )
        for tenant in found
    ]
    heads = [Column("Tenant"), Column("My role"), Column("Audit level"), Column("Made"), Column(right=True)]
    with frame.panel(
        "Tenants", "each with a store, a key and a process of its own", key="tenants", flush=True
    ):
        chosen = listing("Tenants", heads, rows, key="tenant-list", selected=wanted)
    if chosen.row:
        st.session_state["wanted-tenant"] = chosen.row
        st.rerun()
    if chosen.opened:
        st.query_params["id"] = chosen.opened
        st.rerun()
    off = access.why_not(Permission.INSTALL)
    if off:
        st.caption(f"To make, rename or destroy one: {off[:1].lower()}{off[1:]}")
        return
    left, right = st.columns(2, gap="small")
    selected = next((tenant for tenant in found if tenant["id"] == wanted), None)
    with left:
        if selected:
            _change(selected)
            _destroy(selected)
        else:
            st.caption("Choose a tenant to rename it, to change its audit level, or to destroy it.")
    with right:
        _make()


def _make() -> None:
    with frame.panel("New tenant", key="new-tenant"), st.form("new-tenant", border=False):
        id = st.text_input(
            "Identifier", placeholder="north-desk", help="Small letters, digits and hyphens; it stays."
        )
        name = st.text_input("Name", placeholder="North desk")
        level = st.selectbox("Audit level", list(LEVELS), index=1, format_func=lambda v: LEVELS[v])
        kind: Literal["primary", "secondary"] = "secondary" if frame.asked("id") else "primary"
        if st.form_submit_button("Make the tenant", type=kind):
            access.attempt(control, "POST", "/tenants", {"id": id, "name": name, "audit_level": level})
            if not frame.refused():
                frame.tell(f"{name or id} is there, with a key of its own.")
                st.rerun()


def _change(tenant: dict[str, Any]) -> None:
    with (
        frame.panel(tenant["name"] or tenant["id"], tenant["id"], key="tenant"),
        st.form(f"tenant-{tenant['id']}", border=False),
    ):
        name = st.text_input("Name now", value=tenant["name"], max_chars=200)
        levels = list(LEVELS)
        level = st.selectbox(
            "Audit level from now on", levels, index=levels.index(tenant["audit_level"]),
            format_func=lambda v: LEVELS[v], help="Its worker starts anew to take this up; runs go on where they were.",
        )  # fmt: skip
        if st.form_submit_button("Save the tenant"):
            body = {"name": name, "audit_level": level}
            access.attempt(control, "PATCH", f"/tenants/{tenant['id']}", body)
            if not frame.refused():
                st.session_state.pop("tenant-names", None)
                frame.tell("The tenant was saved.")
                st.rerun()


def _destroy(tenant: dict[str, Any]) -> None:
    with frame.panel("Destroy it", "there is no way back", key="destroy"):
        st.caption(
            "Its key is destroyed: its store and every payload can't be read by anybody again, copies included. "
            "Its identifier is never used again."
        )
        with st.form(f"destroy-{tenant['id']}", border=False):
            typed = st.text_input(f"Type {tenant['id']} to confirm")
            if st.form_submit_button("Destroy the tenant"):
                access.attempt(control, "DELETE", f"/tenants/{tenant['id']}", confirm=typed)
                if not frame.refused():
                    st.query_params.pop("id", None)
                    frame.tell(f"{tenant['id']} was destroyed.")
                    st.rerun()
