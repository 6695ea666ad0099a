"""The witness of the tenants' audit chains: where each stood last, kept apart from the tenant's own file.

A worker tells the head of its chain in its answers (`X-Spire-Audit: count:hash`); the gateway notes it in
the control database, and holds it against the chain when that is verified. So a tail cut off shows.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from starlette.responses import Response

from app.control import Control
from app.forward import Caller, Forwarder
from engine.errors import SpireError
from storage.audit import Head
from storage.control import control_audit

log = logging.getLogger(__name__)


def parsed(value: bytes) -> Head | None:
    """A head as the header carries it, `count:hash`; None where it isn't one."""
    count, _, hash = value.decode("latin-1").partition(":")
    return Head(int(count), hash) if count.isdecimal() and len(hash) == 64 else None


class Witness:
    """Notes heads and gives them back. Thread-safe."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def seen(self, tenant: str, value: bytes) -> None:
        """Note the head a worker told, later and elsewhere: no answer waits for it."""
        head = parsed(value)
        with self._lock:
            if head is None or head.count <= self._last.get(tenant, 0):
                return
            self._last[tenant] = head.count
        task = asyncio.get_running_loop().run_in_executor(None, self._note, tenant, head)
        task.add_done_callback(_told)

    async def verify(self, forwarder: Forwarder, tenant: str, caller: Caller) -> Response:
        """Have the worker check its chain against what we witnessed; what it then stands at is noted."""
        head = await asyncio.to_thread(self._head, tenant)
        witness = {"count": head.count, "hash": head.hash}
        answer = await forwarder.call(tenant, "POST", "/audit/verify", caller, witness)
        if answer.is_success and (body := answer.json()).get("ok"):
            self.seen(tenant, f"{body['count']}:{body['hash']}".encode())
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    def _head(self, tenant: str) -> Head:
        with self._control.database.read() as session:
            return control_audit.head(session, self._control.keys, control_audit.tenant_chain(tenant))

    def _note(self, tenant: str, head: Head) -> None:
        with self._control.database.write() as session:
            chain = control_audit.tenant_chain(tenant)
            # Answers overtake each other: an older head that comes late is no news.
            if head.count > control_audit.head(session, self._control.keys, chain).count:
                control_audit.advance(session, self._control.keys, chain, head)


def _told(task: asyncio.Future[None]) -> None:
    error = task.exception() if not task.cancelled() else None
    if isinstance(error, SpireError):
        log.warning("audit witness: %s", error)
