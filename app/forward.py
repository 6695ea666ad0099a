"""Forwarding: a request goes to the tenant's worker and its answer comes back, as streams both ways."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.supervisor import Supervisor, WorkerDown

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
# Credentials end at the gateway: a worker knows who asks, not how they proved it.
KEPT_HERE = HOP_BY_HOP | {b"host", b"cookie", b"authorization", b"x-csrf", b"expect"}
NOT_PASSED_BACK = HOP_BY_HOP | {b"server", b"date", b"set-cookie"}
OURS = b"x-spire-"
# Reading waits long: a dry run over millions of rows answers once, at its end.
TIMEOUT = httpx.Timeout(connect=5.0, write=120.0, read=900.0, pool=30.0)
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=30.0)


@dataclass(frozen=True)
class Caller:
    """For whom a request goes to a worker."""

    user: str
    role: str

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers a worker believes: the gateway alone may set them."""
        request = secrets.token_hex(8)
        return [
            (b"x-spire-user", self.user.encode("ascii", "backslashreplace")),
            (b"x-spire-role", self.role.encode()),
            (b"x-spire-request", request.encode()),
        ]


def passed_on(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers that may travel on: not hop-by-hop, not named by Connection, not ours."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for name, value in lowered if name == b"connection" for word in value.split(b",")
    }
    return [
        (name, value)
        for name, value in lowered
        if name not in dropped and name not in named and not name.startswith(OURS)
    ]


class _Body:
    """The request's body as it arrives, remembering whether any of it has been taken."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.taken = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.taken = True
        async for piece in self._request.stream():
            if piece:
                yield piece


class _Streamed(StreamingResponse):
    """Gives the worker's connection back whatever ends the answer, also a browser that left."""

    def __init__(self, upstream: httpx.Response) -> None:
        super().__init__(upstream.aiter_raw(), upstream.status_code)
        self.raw_headers = passed_on(upstream.headers.raw, NOT_PASSED_BACK)
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with suppress(httpx.TransportError):
                await asyncio.shield(self._upstream.aclose())


class Forwarder:
    """Carries requests to workers. One connection pool per socket; nothing is buffered.

    `audit_head(tenant, head)` is told where a tenant's audit chain stands, as its worker says.
    """

    def __init__(
        self, supervisor: Supervisor, audit_head: Callable[[str, bytes], None] | None = None
    ) -> None:
        self.supervisor = supervisor
        self._audit_head = audit_head
        self._transports: dict[Path, httpx.AsyncHTTPTransport] = {}

    async def forward(self, request: Request, tenant: str, target: bytes, caller: Caller) -> Response:
        """The worker's answer to this request. `target` is the raw path and query as the worker sees them.

        Raises NoSuchTenant, WorkerDown or WorkerBroken.
        """
        headers = passed_on(request.scope["headers"], KEPT_HERE)
        has_body = any(name in {"content-length", "transfer-encoding"} for name in request.headers)
        body = _Body(request)
        upstream = await self._send(
            tenant, request.method, target, headers + caller.headers(), body if has_body else None
        )
        return _Streamed(upstream)

    async def call(
        self,
        tenant: str,
        method: str,
        path: str,
        caller: Caller,
        json_body: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A whole, small exchange of our own (the scheduler's) with a tenant's worker."""
        query = f"?{httpx.QueryParams(dict(params))}" if params else ""
        headers = [(b"content-type", b"application/json"), *caller.headers()]
        content = json.dumps(json_body).encode() if json_body is not None else None
        target = httpx.URL(f"http://worker{path}{query}").raw_path
        answer = await self._send(tenant, method, target, headers, content)
        await answer.aread()
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    async def _send(
        self,
        tenant: str,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        content: _Body | bytes | None,
    ) -> httpx.Response:
        doubt = False
        while True:
            socket = await self.supervisor.socket_async(tenant, doubt=doubt)
            # The target goes as it came: httpx would normalise it, and two readings of one path differ.
            outgoing = httpx.Request(
                method,
                "http://worker/",
                headers=headers,
                content=content,
                extensions={"target": target, "timeout": TIMEOUT.as_dict()},
            )
            try:
                answer = await self._transport(socket).handle_async_request(outgoing)
            except (
                httpx.ConnectError,
                httpx.ReadError,
                httpx.WriteError,
                httpx.RemoteProtocolError,
            ) as error:
                taken = isinstance(content, _Body) and content.taken
                safe = isinstance(error, httpx.ConnectError) or method in {"GET", "HEAD"}
                if doubt or taken or not safe:
                    raise WorkerDown(tenant, action="Try again in a moment.") from error
                doubt = True
            except httpx.TimeoutException as error:
                raise WorkerDown(tenant, action="It took too long to answer.") from error
            except ClientDisconnect as error:
                raise WorkerDown(tenant, action="The upload was broken off.") from error
            else:
                if self._audit_head is not None and (head := answer.headers.get("x-spire-audit")):
                    self._audit_head(tenant, head.encode())
                return answer

    def _transport(self, socket: Path) -> httpx.AsyncHTTPTransport:
        if socket not in self._transports:
            self._transports[socket] = httpx.AsyncHTTPTransport(uds=str(socket), limits=LIMITS)
        return self._transports[socket]
