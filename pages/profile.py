"""Profile: my name, my password, where I am signed in, my API keys, and how the app looks to me."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.widgets import access, frame, words
from app.widgets.access import control
from app.widgets.listing import Column, Row, cell, listing
from app.widgets.people import ROLES, api_keys
from app.widgets.theme import theme


def myself() -> None:
    """Name and roles."""
    who = access.principal()
    with frame.panel("You", f"account {who.user}", key="me"):
        with st.form("name", border=False):
            row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
            name = row.text_input("Name", value=who.name, help="As others see it.", max_chars=200)
            if row.form_submit_button("Save the name"):
                access.attempt(control, "PATCH", "/me", {"name": name})
                if not frame.refused():
                    frame.tell("Your name was saved.")
                    st.rerun()
        here = who.role_in(access.tenant())
        if here:
            st.caption(words.plain(f"Here: {ROLES[here][:1].lower()}{ROLES[here][1:]}."))
        roles = [f"{role} in {words.listed(tenants)}" for role, tenants in by_role(who.roles).items()]
        if who.installation:
            roles.append(f"{who.installation} of the installation")
        told = f"Your roles: {', '.join(roles)}." if roles else "You have no role yet. Ask an administrator."
        st.caption(words.plain(told))


def by_role(roles: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the tenants in which one has each role."""
    found: dict[str, list[str]] = {}
    for tenant, role in sorted(roles.items()):
        found.setdefault(str(role), []).append(access.named(tenant))
    return found


def password() -> None:
    with (
        frame.panel("Password", "every sign-in of yours ends, this one too", key="password"),
        st.form("password", border=False),
    ):
        one, two, three = st.columns(3, gap="small")
        old = one.text_input("Old password", type="password", autocomplete="current-password")
        new = two.text_input(
            "New password", type="password", autocomplete="new-password", help="At least 12 characters."
        )
        again = three.text_input("New password again", type="password", autocomplete="new-password")
        if st.form_submit_button("Change the password"):
            if new != again:
                st.html('<div class="sp-notice" role="alert"><b>The two new passwords differ.</b></div>')
            else:
                access.attempt(control, "POST", "/me/password", {"old": old, "new": new})
                if not frame.refused():
                    st.rerun()


def sign_ins() -> None:
    """Where I am signed in."""
    found: list[dict[str, Any]] = control("GET", "/me/sessions")
    rows = []
    for one in found:
        began, seen, ends = (words.moment(one[name]) for name in ("created", "seen", "expires"))
        rows.append(
            Row(
                one["id"],
                [
                    cell(one["address"], tone="b"),
                    cell(words.ago(began) if began else "", hint=words.exact(began) if began else ""),
                    cell("now" if one["here"] else words.ago(seen) if seen else "", tone="muted"),
                    cell(
                        words.ago(ends) if ends else "", tone="muted", hint=words.exact(ends) if ends else ""
                    ),
                    cell("this one", chip="ok") if one["here"] else cell("End it", act="end"),
                ],
                go=False,
            )
        )
    heads = [
        Column("From"), Column("Began"), Column("Last used"), Column("Ends at the latest"), Column(right=True),
    ]  # fmt: skip
    with frame.panel("Signed in", words.count(len(found), "place"), key="sign-ins", flush=True):
        chosen = listing("Sign-ins", heads, rows, key="sign-in-list")
        if st.button("Sign out everywhere", key="me-everywhere", help="This one too."):
            control("POST", "/me/sign-out-everywhere")
            st.rerun()
    if chosen.row:
        control("DELETE", f"/me/sessions/{chosen.row}")
        frame.tell("That sign-in has ended; its pages closed.")
        st.rerun()


def page() -> None:
    who = access.principal()
    frame.head("Profile", "What is yours alone. Roles are given by an administrator.")
    left, right = st.columns(2, gap="small")
    with left:
        myself()
    with right, frame.panel("Look", "of this browser", key="look"):
        theme(["/", *(f"/{path.stem}" for path in frame.PAGES.glob("[a-z]*.py"))])
        zone = str(words.zone())
        st.caption(
            "Times are shown in UTC, which is the zone of this browser too."
            if zone == "UTC"
            else f"Times are shown in {zone.replace('_', ' ')}, the zone of this browser, and in UTC."
        )
    password()
    sign_ins()
    api_keys(mine=who.id)


frame.draw(page)
