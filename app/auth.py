"""Who asks: a principal, found from a sign-in cookie or an API key, and what it may do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Literal

from app.roles import Permission, Role, allows

PLAIN_COOKIE = "spire"
# With this prefix a browser insists on https, on this very host, and on the whole path.
SECURE_COOKIE = "__Host-spire"


@dataclass(frozen=True)
class Principal:
    """Someone who has proved who they are.

    `user` is the name the audit log writes; `installation` a role over the installation, which most have
    none of and which opens no tenant. `session` names the sign-in a request came with, None for API keys.
    """

    user: str
    id: str
    name: str
    via: Literal["cookie", "key"]
    roles: Mapping[str, Role] = field(default_factory=dict)
    installation: Role | None = None
    session: str | None = None

    def role_in(self, tenant: str) -> Role | None:
        """The role in a tenant; None for those who don't belong to it."""
        return self.roles.get(tenant)

    def may(self, permission: Permission, tenant: str | None = None) -> bool:
        """Whether a route that asks for this permission, in this tenant, is open."""
        if permission is Permission.SELF:
            return True
        if permission is Permission.INSTALL:
            return self.installation is Role.ADMINISTRATOR
        if permission is Permission.INSTALL_AUDIT:
            return self.installation in {Role.ADMINISTRATOR, Role.AUDITOR}
        return tenant is not None and allows(permission, self.role_in(tenant))


def cookie_name(https: bool) -> str:
    """The name of the sign-in cookie."""
    return SECURE_COOKIE if https else PLAIN_COOKIE


def cookie_of(headers: Mapping[bytes, bytes], https: bool) -> str | None:
    """The sign-in cookie's value, None where there is none."""
    try:
        jar = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return None
    morsel = jar.get(cookie_name(https))
    return morsel.value if morsel is not None else None


def bearer_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The API key of the Authorization header, None where there is none."""
    scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


class Live:
    """Open websockets by sign-in, so that ending a sign-in ends them at once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    @contextmanager
    def watch(self, session: str) -> Iterator[asyncio.Event]:
        """An event that is set when this sign-in ends."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._open.setdefault(session, set()).add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                entries = self._open.get(session, set())
                entries.discard(entry)
                if not entries:
                    self._open.pop(session, None)

    def close(self, session: str) -> None:
        """Set the events of one sign-in."""
        with self._lock:
            entries = list(self._open.get(session, ()))
        for loop, gone in entries:
            loop.call_soon_threadsafe(gone.set)

    def count(self) -> int:
        """How many websockets are open."""
        with self._lock:
            return sum(len(entries) for entries in self._open.values())
