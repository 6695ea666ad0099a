"""Settings: my account, people and roles, API keys, target models, tenants and the keys that guard them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.access import control
from app.widgets.listing import Column, Row, cell, listing
from app.widgets.models import models
from app.widgets.people import account, api_keys, people

LEVELS = {
    "minimal": "minimal: changes",
    "standard": "standard: and access",
    "comprehensive": "comprehensive: and every read",
}
KEYS = (
    "kek",
    "key_file",
    "passphrase_file",
    "data_dir",
    "database_url",
    "audit_level",
    "upload_limit",
    "worker_memory",
    "url_allow",
)


def tenants() -> None:
    """Tenants: each has a store, a key and a process of its own."""
    found: list[dict[str, Any]] = control("GET", "/tenants")
    rows = [
        Row(
            tenant["id"],
            [
                cell(tenant["name"] or tenant["id"], sub=tenant["id"], tone="b"),
                cell(tenant["role"] or "none", tone="" if tenant["role"] else "muted"),
                cell(LEVELS.get(tenant["audit_level"], tenant["audit_level"]), tone="muted"),
                cell(words.ago(made) if (made := words.moment(tenant["created"])) else "", tone="muted"),
                cell("open", chip="ok")
                if tenant["id"] == access.tenant()
                else cell("Open", act="open")
                if tenant["role"]
                else cell(""),
            ],
            go=False,
        )
        for tenant in found
    ]
    with frame.panel(
        "Tenants", "each with a store, a key and a process of its own", key="tenants", flush=True
    ):
        heads = [
            Column("Tenant"),
            Column("My role"),
            Column("Audit level"),
            Column("Made"),
            Column(right=True),
        ]
        chosen = listing("Tenants", heads, rows, key="tenant-list")
    if chosen.row:
        st.session_state["wanted-tenant"] = chosen.row
        st.rerun()
    off = access.why_not(Permission.INSTALL)
    left, right = st.columns(2, gap="small")
    with left, frame.panel("New tenant", key="new-tenant"), st.form("new-tenant", border=False):
        id = st.text_input(
            "Identifier", placeholder="north-desk", help="Small letters, digits and hyphens; it stays."
        )
        name = st.text_input("Name", placeholder="North desk")
        level = st.selectbox("Audit level", list(LEVELS), index=1, format_func=lambda v: LEVELS[v])
        if st.form_submit_button("Make the tenant", disabled=off is not None, help=off):
            control("POST", "/tenants", {"id": id, "name": name, "audit_level": level})
            frame.tell(f"{name or id} is there, with a key of its own.")
            st.rerun()
    with (
        right,
        frame.panel("Destroy a tenant", "there is no way back", key="destroy"),
        st.form("destroy", border=False),
    ):
        which = st.selectbox("Tenant", [tenant["id"] for tenant in found])
        typed = st.text_input("Type its identifier to confirm")
        st.caption("Destroys its key: its store and every payload can't be read by anybody again.")
        if st.form_submit_button("Destroy", disabled=off is not None, help=off):
            control("DELETE", f"/tenants/{which}", confirm=typed)
            frame.tell(f"{which} was destroyed.")
            st.rerun()


def keys() -> None:
    """What wraps the tenants' keys, and the settings in force. None of it is secret."""
    off = access.why_not(Permission.INSTALL)
    if off:
        st.caption(f"Kept by the installation. {off}")
        return
    found: dict[str, Any] = control("GET", "/settings")
    first = [name for name in KEYS if name in found]
    order = first + sorted(name for name in found if name not in first)
    rows = [
        Row(
            name,
            [
                cell(f"SPIRE_{name.upper()}", tone="mono"),
                cell("" if found[name] is None else str(found[name]), tone="mono"),
            ],
            go=False,
        )
        for name in order
    ]
    with frame.panel("Keys and settings", "one root key wraps a key per tenant", key="settings", flush=True):
        listing("Settings", [Column("Setting", width="30%"), Column("In force")], rows, key="setting-list")


def page() -> None:
    client: Client = access.client()
    frame.head("Settings", f"Tenant {access.tenant()}.")
    parts = {
        "Account": account,
        "People": people,
        "API keys": api_keys,
        "Target models": lambda: models(client),
        "Tenants": tenants,
        "Keys": keys,
    }
    wanted = frame.asked("part")
    part = st.segmented_control(
        "Part",
        list(parts),
        default=wanted if wanted in parts else "Account",
        label_visibility="collapsed",
        key="part",
    )
    part = part or "Account"
    st.query_params["part"] = part
    parts[part]()


frame.draw(page)
