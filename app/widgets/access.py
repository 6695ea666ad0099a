"""A page's way to the API: the client, as the person who is signed in, through the gateway's own door."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

import httpx
import streamlit as st

from app.auth import Principal, cookie_name
from app.client import Client
from app.gateway.application import current
from app.roles import Permission
from app.settings import Settings
from app.widgets import waiting
from engine.errors import SpireError

TIMEOUT = httpx.Timeout(connect=10.0, read=960.0, write=120.0, pool=30.0)
NEEDS = {
    Permission.WORK: "Needs the analyst role.",
    Permission.BUILD: "Needs the engineer role.",
    Permission.ADMINISTER: "Needs the administrator role.",
    Permission.AUDIT: "Needs the auditor role.",
    Permission.INSTALL: "Needs an administrator of the installation.",
}


def principal() -> Principal:
    """Who is signed in. main.py finds out anew at every run."""
    who: Principal = st.session_state["principal"]
    return who


def tenant() -> str:
    """The tenant being looked at."""
    return str(st.session_state.get("tenant", ""))


def named(tenant: str) -> str:
    """What a tenant is called, as far as main.py has found out."""
    _, known = st.session_state.get("tenant-names", (0.0, {}))
    return str(known.get(tenant, tenant))


def address(page: str, **params: object) -> str:
    """The address of a page in this tenant, for links that open it anew."""
    given = {name: str(value) for name, value in params.items() if value is not None}
    return f"/{page}?{urlencode({**given, 'tenant': tenant()})}"


def may(permission: Permission) -> bool:
    """Whether to offer something. The API decides again when it is asked."""
    return principal().may(permission, tenant())


def why_not(permission: Permission) -> str | None:
    """The words of a button that is off, None where it is on."""
    return None if may(permission) else NEEDS.get(permission, "Not allowed.")


def client() -> Client:
    """The tenant's API, with this person's rights."""
    made = Client(_http(), f"/api/v1/tenants/{tenant()}")
    made.listen(partial(waiting.heard, tenant()))
    return made


def control(method: str, path: str, body: Any = None, **params: Any) -> Any:
    """One request to the installation's own API (accounts, keys, schedules); its answer as plain data."""
    answer = Client(_http(), "/api/v1").request(method, path, json=body, params=params)
    return answer.json() if answer.content else None


def attempt(action: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Do something in a callback; what stood in its way is shown at the head of the page."""
    try:
        return action(*args, **options)
    except SpireError as problem:
        st.session_state["problem"] = problem
        return None


def _http() -> httpx.Client:
    settings = current().settings
    cookie = cookie_name(settings.https)
    public = httpx.URL(settings.url)
    return httpx.Client(
        base_url=_address(settings),
        transport=_transport(settings),
        timeout=TIMEOUT,
        headers={
            "cookie": f"{cookie}={st.context.cookies.get(cookie, '')}",
            "origin": settings.url,
            "host": public.netloc.decode("ascii"),
        },
    )


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    literal = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_cert else 'http'}://{literal}:{settings.port}"


@lru_cache(maxsize=1)
def _transport(settings: Settings) -> httpx.BaseTransport:
    """One pool for all pages. Over TLS it trusts our own certificate and no other, whatever name it bears."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    if settings.tls_cert is None:
        return _Kept(httpx.HTTPTransport(limits=limits))
    context = ssl.create_default_context(cafile=str(settings.tls_cert))
    context.check_hostname = False
    return _Kept(httpx.HTTPTransport(verify=context, limits=limits))


class _Kept(httpx.BaseTransport):
    """Stays open when one client on it is closed."""

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)
