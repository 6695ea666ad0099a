"""The Streamlit entry: who is here, and the pages. It runs inside the gateway's process."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from html import escape
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from app.auth import Principal, cookie_name  # noqa: E402
from app.gateway.application import current  # noqa: E402
from app.roles import Permission  # noqa: E402
from app.widgets import access, waiting  # noqa: E402
from engine.errors import SpireError, Stop  # noqa: E402


class NotYours(Stop):
    """You have no role in this tenant."""


# File, title and icon of each page. Flat: a sidebar in sections breaks the rules for lists.
PAGES = (
    ("home", "Home", ":material/home:"),
    ("sources", "Sources", ":material/database:"),
    ("mapping", "Mapping", ":material/cable:"),
    ("runs", "Runs", ":material/play_circle:"),
    ("quarantine", "Quarantine", ":material/rule:"),
    ("explorer", "Explorer", ":material/search:"),
    ("schedules", "Schedules", ":material/schedule:"),
    ("audit", "Audit", ":material/history:"),
    ("settings", "Settings", ":material/settings:"),
)
# Reached from the sidebar's foot.
HIDDEN = (("profile", "Profile", ":material/person:"),)
NAMES_FOR = 60.0


def who() -> Principal | None:
    """Whom the sign-in cookie of this page belongs to, now."""
    services = current()
    cookie = st.context.cookies.get(cookie_name(services.settings.https))
    return services.accounts.identify(cookie, None) if cookie else None


def signed_out() -> None:
    """The one thing to do without a sign-in."""
    st.title("You are signed out")
    st.html('<a href="/sign-in" target="_self">Sign in</a>')
    st.stop()


def names(tenants: list[str]) -> dict[str, str]:
    """What tenants are called; asked anew once a minute, and where one is not known yet."""
    asked, known = st.session_state.get("tenant-names", (0.0, {}))
    if time.monotonic() - asked > NAMES_FOR or any(tenant not in known for tenant in tenants):
        known = {tenant["id"]: tenant["name"] or tenant["id"] for tenant in access.control("GET", "/tenants")}
        st.session_state["tenant-names"] = (time.monotonic(), known)
    return {tenant: known.get(tenant, tenant) for tenant in tenants}


def choose_tenant(tenants: list[str], called: dict[str, str]) -> None:
    """The tenant to look at: what a page asked for, else what the address says, else the one from before."""
    before, written = st.session_state.get("tenant"), st.session_state.get("tenant-written")
    told = st.query_params.get("tenant", "")
    # What stands in the address counts where somebody else than this function wrote it.
    named = told if told and told != written else before
    wanted = st.session_state.pop("wanted-tenant", named)
    if told and named == told and told not in tenants:
        st.session_state["problem"] = NotYours(told, action="Ask an administrator for a role in it.")
    st.session_state["tenant"] = wanted if wanted in tenants else next(iter(tenants), "")
    if len(tenants) > 1:
        # Nothing of one tenant is there in another: its pages begin anew.
        st.selectbox(
            "Tenant",
            tenants,
            key="tenant",
            on_change=st.query_params.clear,
            format_func=lambda t: called.get(t, t),
        )
    st.session_state["tenant-written"] = st.query_params["tenant"] = st.session_state["tenant"]


def counts() -> None:
    """What waits, beside the pages where it is seen to. A page is drawn without where they can't be had."""
    tenant = st.session_state["tenant"]
    if tenant and access.may(Permission.READ):
        with suppress(SpireError):
            waiting.beside(tenant, lambda: access.client().counts())


def foot(principal: Principal, called: dict[str, str]) -> None:
    """Which tenant this is and that it is sealed, who is here, and the ways out and on."""
    tenant = st.session_state["tenant"]
    name = f"<b>{escape(called[tenant])}</b>" if len(called) == 1 else ""
    sealed = "<span>Tenant store sealed</span>" if tenant else ""
    # A link in markdown would open another tab.
    st.html(
        f'<div class="sp-me">{name}{sealed}'
        f'<span class="who"><a class="me" href="{access.address("profile")}" target="_self" title="Profile of '
        f'{escape(principal.name)}">{escape(principal.name)}</a><a href="/auth/logout" target="_self">Sign out</a></span>'
        '<a class="sp-help" href="/help" target="_self">Help <kbd>?</kbd></a></div>'
    )


def main() -> None:
    """Draw the frame and the page."""
    st.set_page_config(page_title="Phantom Spire", page_icon=str(ROOT / "app/static/mark.png"), layout="wide")
    principal = who()
    if principal is None:
        signed_out()
        return
    st.session_state["principal"] = principal
    pages = [
        st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, default=name == "home")
        for name, title, icon in PAGES
        if (ROOT / "pages" / f"{name}.py").exists()
    ]
    pages += [
        st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, visibility="hidden")
        for name, title, icon in HIDDEN
    ]
    tenants = sorted(principal.roles)
    called = names(tenants)
    with st.sidebar:
        choose_tenant(tenants, called)
    if not pages:
        st.title("Phantom Spire")
        st.write("Signed in. The API is described at [/api-docs](/api-docs).")
        return
    page = st.navigation(pages)
    with st.sidebar:
        counts()
        foot(principal, called)
    page.run()


main()
