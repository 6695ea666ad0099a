"""People and API keys: who may do what, and the keys programs use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app.roles import Permission, Role
from app.widgets import access, frame, words
from app.widgets.access import control
from app.widgets.listing import Column, Row, cell, listing
from storage.control.people import covers

ROLES = {
    Role.VIEWER: "Viewer, sees everything in the tenant",
    Role.ANALYST: "Analyst, adds sources, runs and repairs",
    Role.ENGINEER: "Engineer, also saves pipelines and schedules",
    Role.ADMINISTRATOR: "Administrator, everything",
    Role.AUDITOR: "Auditor, sees everything and reads the audit log",
}


def people() -> None:
    """Accounts and their roles in this tenant; for administrators of the installation."""
    off = access.why_not(Permission.INSTALL)
    if off:
        frame.warn(f"Accounts are kept by the installation. {off}")
        return
    found: list[dict[str, Any]] = control("GET", "/users")
    rows = [
        Row(
            user["id"],
            [
                cell(user["name"] or user["login"], sub=user["login"]),
                cell(
                    user["tenants"].get(access.tenant(), "no role here"),
                    tone="" if access.tenant() in user["tenants"] else "muted",
                ),
                cell(", ".join(t for t in user["tenants"] if t != access.tenant()), tone="muted"),
                cell(f"{user['role']} of the installation" if user["role"] else "", tone="muted"),
                cell("open", chip="ok") if user["active"] else cell("closed", chip="neutral"),
            ],
        )
        for user in found
    ]
    heads = [
        Column("Person"),
        Column("Role here"),
        Column("Other tenants"),
        Column("Installation"),
        Column("Account"),
    ]
    with frame.panel("People", words.count(len(found), "account"), key="people", flush=True):
        chosen = listing("People", heads, rows, key="people-list", selected=frame.asked("person"))
    if chosen.opened:
        st.query_params["person"] = chosen.opened
        st.rerun()
    selected = next((user for user in found if user["id"] == frame.asked("person")), None)
    left, right = st.columns(2, gap="small")
    with right, frame.panel("Add a person", key="add-person"):
        _add()
    with left:
        if not selected:
            st.caption("Choose a person to change their role or password, or to close the account.")
    if selected:
        with left, frame.panel(selected["name"] or selected["login"], selected["login"], key="person"):
            _change(selected)


def _add() -> None:
    # A new form for the next person; one that was refused keeps what was typed.
    with st.form(f"add-person-{st.session_state.get('people-added', 0)}", border=False):
        login = st.text_input("Account")
        name = st.text_input("Name")
        password = st.text_input(
            "First password", type="password", help="At least 12 characters. They should change it."
        )
        role = st.selectbox("Role in this tenant", list(ROLES), format_func=lambda r: ROLES[r])
        asked = st.form_submit_button("Add", type="secondary" if frame.asked("person") else "primary")
    if asked:
        body = {"login": login, "name": name, "password": password, "tenants": {access.tenant(): str(role)}}
        access.attempt(control, "POST", "/users", body)
        if not frame.refused():
            st.session_state["people-added"] = st.session_state.get("people-added", 0) + 1
            frame.tell(f"{login} can sign in now.")
            st.rerun()


def _change(user: dict[str, Any]) -> None:
    here = user["tenants"].get(access.tenant())
    options: list[Role | None] = [None, *ROLES]
    role = st.selectbox(
        "Role in this tenant", options, index=options.index(Role(here)) if here else 0,
        format_func=lambda r: ROLES[r] if r else "None", key=f"role-{user['id']}",
    )  # fmt: skip
    row = st.container(horizontal=True, gap="small")
    place = f"/users/{user['id']}/memberships/{access.tenant()}"
    same = "Choose another role first." if (role or None) == (here or None) else None
    if row.button("Save the role", disabled=same is not None, help=same):
        if role:
            access.attempt(control, "PUT", place, {"role": str(role)})
        else:
            access.attempt(control, "DELETE", place)
        if not frame.refused():
            frame.tell("The role was saved; it counts at once.")
            st.rerun()
    if row.button("Sign out everywhere"):
        ended = access.attempt(control, "POST", f"/users/{user['id']}/sign-out-everywhere")
        if not frame.refused():
            frame.tell(f"{words.count(ended['ended'], 'sign-in')} ended.")
            st.rerun()
    if row.button("Close the account" if user["active"] else "Open the account"):
        access.attempt(control, "PATCH", f"/users/{user['id']}", {"active": not user["active"]})
        if not frame.refused():
            frame.tell(
                f"{user['name'] or user['login']} {'can sign in no more' if user['active'] else 'can sign in again'}."
            )
            st.rerun()
    with st.form(f"reset-{user['id']}", border=False, clear_on_submit=True):
        new = st.text_input("New password", type="password", help="At least 12 characters.")
        setting = st.form_submit_button("Set the password")
    if setting:
        access.attempt(control, "POST", f"/users/{user['id']}/password", {"new": new})
        if not frame.refused():
            frame.tell("The password was set; their sign-ins have ended.")
            st.rerun()


def api_keys(mine: str = "") -> None:
    """Keys for programs, with at most one's own role; those of one person if named.

    A key's text is shown once, at its making.
    """
    made = st.session_state.pop("made-key", None)
    if made:
        st.html(
            '<div class="sp-notice ok" role="status"><b>This is the key. It is shown now and never again.</b></div>'
        )
        st.code(made, language=None)
    found: list[dict[str, Any]] = control("GET", "/api-keys")
    if mine:
        found = [key for key in found if key["created_by"] == mine]
    found.sort(key=lambda key: key["revoked"] is not None)
    rows = []
    for key in found:
        used, ends = words.moment(key["last_used"]), words.moment(key["expires"])
        over = ends is not None and ends < datetime.now(UTC)
        state = (
            cell("revoked", chip="neutral") if key["revoked"]
            else cell("ended", chip="neutral") if over else cell("works", chip="ok")
        )  # fmt: skip
        rows.append(
            Row(
                key["id"],
                [
                    cell(key["name"], sub=key["prefix"], tone="b"),
                    cell(key["tenant"] or "the installation"),
                    cell(key["role"]),
                    cell(words.ago(used) if used else "never", tone="muted"),
                    cell(
                        words.ago(ends) if ends else "never",
                        tone="muted",
                        hint=words.exact(ends) if ends else "",
                    ),
                    state,
                    cell("") if key["revoked"] or over else cell("Revoke", act="revoke"),
                ],
                go=False,
            )
        )
    heads = [
        Column("Key"),
        Column("Tenant"),
        Column("Role"),
        Column("Last used"),
        Column("Ends"),
        Column("State"),
        Column(right=True),
    ]
    title = "Your API keys" if mine else "API keys"
    with frame.panel(title, "for programs; the text is shown once", key="keys", flush=True):
        chosen = listing("API keys", heads, rows, key="key-list", none="None yet.")
    if chosen.row:
        control("DELETE", f"/api-keys/{chosen.row}")
        frame.tell("The key was revoked.")
        st.rerun()
    own = access.principal().role_in(access.tenant())
    offered = [role for role in ROLES if own and covers(own, role)]
    if not offered:
        return
    with (
        frame.panel("New key", f"for {access.named(access.tenant())}, with at most your role", key="new-key"),
        st.form("new-key", border=False),
    ):
        one, two, three = st.columns(3, gap="small")
        name = one.text_input("What it is for")
        role = two.selectbox("Role", offered, format_func=lambda r: ROLES[r])
        days = three.number_input("Days it works", value=90, min_value=1, max_value=3650, step=1)
        if st.form_submit_button("Make the key", type="primary"):
            body = {"name": name, "tenant": access.tenant(), "role": str(role), "days": int(days)}
            made = access.attempt(control, "POST", "/api-keys", body)
            if not frame.refused():
                st.session_state["made-key"] = made["key"]
                st.rerun()
