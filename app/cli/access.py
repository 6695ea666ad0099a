"""Getting at things: the control plane of this installation, and a tenant's API wherever its worker runs."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.cli.chosen import remote, settings
from app.client import Client
from app.control import Control, open_control
from app.supervisor import Supervisor
from engine.errors import Stop
from storage.audit import ActionKind, Event, Head
from storage.control import control_audit, tenants

FIRST_TENANT = "default"


class NotFromHere(Stop):
    """This is done on the machine of the installation, not over the network."""


def me() -> str:
    """Who gives the command, as audit events name them."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"


@contextmanager
def control() -> Iterator[Control]:
    """The control plane; data folder, root key, database and the first tenant are made at first use."""
    if remote() is not None:
        raise NotFromHere(action="Unset SPIRE_URL, or use the browser.")
    opened = open_control(settings())
    try:
        with opened.database.write() as session:
            if not tenants.tenants(session, erased=True):
                tenants.create(session, opened.kek, FIRST_TENANT, "Default", opened.now())
        yield opened
    finally:
        opened.close()


@contextmanager
def changing(
    opened: Control, action: str, object: str = "", tenant: str = ""
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A transaction of the control database and its audit event; set `before` and `after` in the note."""
    note: dict[str, Any] = {}
    with opened.database.write() as session:
        yield session, note
        event = Event(
            ActionKind.SECURITY, me(), action, object, "done", note.get("before"), note.get("after")
        )
        control_audit.record(session, opened.keys, event, opened.now(), tenant)


@contextmanager
def tenant(name: str) -> Iterator[Client]:
    """A tenant's API: over https where `SPIRE_URL` is set, else by the worker that runs or one of our own."""
    elsewhere = remote()
    if elsewhere is not None:
        with Client.over_https(*elsewhere, tenant=name) as client:
            yield client
        return
    with control() as opened:
        supervisor = Supervisor(opened.settings, opened)
        try:
            socket = supervisor.socket(name)
            witness = _Witness()
            with Client.over_socket(
                socket, name, user=me().encode("ascii", "backslashreplace").decode()
            ) as client:
                client.listen(witness.heard)
                yield client
            witness.note(opened, name)
        finally:
            supervisor.stop_all()


class _Witness:
    """Remembers where the tenant's journal stood last, and notes it in the control database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = Head()

    def heard(self, answer: httpx.Response) -> None:
        count, _, hash = answer.headers.get("x-spire-audit", "").partition(":")
        if count.isdecimal() and len(hash) == 64:
            with self._lock:
                if int(count) > self._last.count:
                    self._last = Head(int(count), hash)

    def note(self, opened: Control, name: str) -> None:
        if not self._last.count:
            return
        chain = control_audit.tenant_chain(name)
        with opened.database.write() as session:
            if self._last.count > control_audit.head(session, opened.keys, chain).count:
                control_audit.advance(session, opened.keys, chain, self._last)
