"""Before every API route: is it in the table, who asks, may they; then to the control plane or the worker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth import Principal
from app.forward import Caller, Forwarder
from app.problems import Problem, problem_from, problem_of
from app.roles import Permission, find
from engine.errors import SpireError
from storage.audit import ActionKind, Event

BODY_LIMIT = 1 << 20
_TENANT = re.compile(r"/api/v1/tenants/([a-z][a-z0-9_-]{0,62})(/.+)")
_SCOPED = {Permission.READ, Permission.WORK, Permission.BUILD, Permission.ADMINISTER, Permission.AUDIT}

Record = Callable[[Event, str], None]


class Authorise:
    """ASGI: answers 401, 403 and 404 for the API; passes on what may be asked.

    `record` writes refusals to the audit log; `verify` has a worker check its audit chain against our witness.
    """

    def __init__(
        self,
        control: ASGIApp,
        forwarder: Forwarder,
        record: Record,
        verify: Callable[[str, Caller], Awaitable[Response]],
    ) -> None:
        self._control = control
        self._forwarder = forwarder
        self._record = record
        self._verify = verify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            answer = await self._decide(request)
        except SpireError as error:
            answer = problem_of(error)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._control(scope, _bounded(receive), send)

    async def _decide(self, request: Request) -> Response | None:
        """An answer, or None: the control plane's route may be asked."""
        path: str = request.scope["path"]
        who: Principal | None = request.state.principal
        if who is None:
            headers = {"www-authenticate": 'Bearer realm="Phantom Spire"'}
            raise Problem(401, "Sign in first, or send an API key.", headers=headers)
        segments = path.split("/")[1:]
        if any(part in {"", ".", ".."} for part in segments) or not path.isprintable() or "\\" in path:
            raise Problem(400, "This path can't be read in one way only.")
        tenant = _TENANT.fullmatch(path)
        if tenant is not None:
            return await self._to_worker(request, who, tenant[1], tenant[2])
        entry = find("control", request.method, path)
        if entry is None:
            raise Problem(404, "There is no such route.", action="See /api-docs.")
        concerned = None
        if entry.permission in _SCOPED:
            concerned = path.split("/")[4] if "{tenant}" in entry.path else request.query_params.get("tenant")
            if concerned is None:
                raise Problem(400, "Name the tenant.", action="Add ?tenant=… to the address.")
        await self._demand(request, who, entry.permission, concerned)
        return None

    async def _to_worker(self, request: Request, who: Principal, tenant: str, rest: str) -> Response:
        entry = find("tenant", request.method, rest)
        if entry is None:
            raise Problem(404, "There is no such route.", action="See /api-docs.")
        await self._demand(request, who, entry.permission, tenant)
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        target = b"/" + raw.split(b"/", 5)[5]
        if request.scope["query_string"]:
            target += b"?" + request.scope["query_string"]
        caller = Caller(who.user, who.role_in(tenant) or "")
        if rest == "/audit/verify":
            return await self._verify(tenant, caller)
        return await self._forwarder.forward(request, tenant, target, caller)

    async def _demand(
        self, request: Request, who: Principal, permission: Permission, tenant: str | None
    ) -> None:
        if who.may(permission, tenant):
            return
        event = Event(
            ActionKind.SECURITY,
            who.user,
            f"{request.method} {request.scope['path']}"[:300],
            outcome="refused",
        )
        await asyncio.to_thread(self._record, event, tenant or "")
        raise Problem(
            403,
            "Your role does not allow this.",
            detail=f"It needs the permission to {permission.value}." if tenant else "",
            action="Ask an administrator for the role.",
            where=tenant or "",
        )


def _bounded(receive: Receive) -> Receive:
    """The body as it comes, up to what any control route needs; then as if the client had left."""
    left = BODY_LIMIT

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return bounded


def unknown(request: Request) -> Response:
    """The answer for addresses that are none."""
    return problem_from(404, "There is no such page.", where=request.url.path[:200])
