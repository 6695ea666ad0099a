"""The outermost layer: who may knock at all, and what every answer carries.

Nothing reaches Streamlit or our routes without an exact Host, an exact Origin where a browser sends one,
and, but for the few open paths, a sign-in. Our own routes are answered here, before Streamlit's
middleware: its gzip and its cookie have no business in the API's streams.

Against forged requests (CSRF): every unsafe method that a cookie proves needs an Origin that is exactly
ours and, where the browser says so, `Sec-Fetch-Site: same-origin`; the cookie is SameSite=Lax besides.
Browsers send Origin with every unsafe request and no script can set it, so a token would add nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth import Live, Principal, bearer_of, cookie_of
from app.gateway import markup
from app.gateway.policy import headers_for
from app.problems import problem_from
from app.settings import Settings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset(
    {"api", "api-docs", "assets", "auth", "health", "help", "metrics", "set-up", "setup", "sign-in"}
)
OPEN = frozenset({"assets", "health", "setup", "sign-in"})
# Of Streamlit's own endpoints only what a page needs. upload_file would hold files in memory and spool
# them to disk in the clear; agent is a second way into scripts; metrics tells who is here.
STREAMLIT = ("stream", "health", "host-config", "allowed-message-origins", "bidi-components")
SCREENS = frozenset(path.stem for path in (Path(__file__).resolve().parents[2] / "pages").glob("[a-z]*.py"))
RECHECK = 15.0
ENDED = 4401

Identify = Callable[[str | None, str | None], Principal | None]


def _nowhere(path: str, first: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a browser was led to a page that there is not; Streamlit would show its first one under a notice."""
    asked = b"text/html" in headers.get(b"accept", b"")
    return asked and bool(first) and path.strip("/") == first and first not in OURS | SCREENS


class Guard:
    """ASGI middleware. `identify(cookie, bearer)` gives the principal; it may block and is called in a thread,
    unless `believed`, which never blocks, knows it still.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ours: ASGIApp,
        settings: Settings,
        identify: Identify,
        believed: Identify,
        live: Live,
    ) -> None:
        self._app = app
        self._ours = ours
        self._settings = settings
        self._identify = identify
        self._believed = believed
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["path"].split("/", 2)[1] if scope["path"].startswith("/") else ""
        headers = dict(scope["headers"])
        nowhere = _nowhere(scope["path"], first, headers)
        ours = first in OURS
        carried = headers_for(ours or nowhere, self._settings.https)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in carried}
                kept = [(k, v) for k, v in message["headers"] if k.lower() not in names]
                message = {**message, "headers": kept + carried}
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            cookie, bearer = cookie_of(headers, self._settings.https), bearer_of(headers)
            principal = await self._who(cookie, bearer)
            scope.setdefault("state", {})["principal"] = principal
            if principal is not None and principal.via == "cookie":
                refusal = self._forged(scope, headers)
            if refusal is None and not ours:
                refusal = self._not_for_streamlit(scope, headers, principal)
            if refusal is None and nowhere:
                refusal = markup.message("No such page", "Nothing is at this address.", "/", "Home", 404)
        answer: ASGIApp = refusal or (self._ours if ours else self._app)
        await answer(scope, receive, send_with_headers)

    async def _who(self, cookie: str | None, bearer: str | None) -> Principal | None:
        if cookie is None and bearer is None:
            return None
        # A thread is a wait for the interpreter, behind every page that is being drawn.
        known = self._believed(cookie, bearer)
        return known or await asyncio.to_thread(self._identify, cookie, bearer)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._settings.hosts:
            return problem_from(
                421, "This address is not ours.", action="Add it to SPIRE_ALLOWED_HOSTS.", where=host[:100]
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._ours_is(origin):
            return problem_from(
                403,
                "This request comes from another site.",
                action="Add the site to SPIRE_ALLOWED_ORIGINS if it is yours.",
            )
        return None

    def _ours_is(self, origin: bytes) -> bool:
        return origin.decode("latin-1").lower() in self._settings.origins

    @staticmethod
    def _forged(scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        if scope["method"] in SAFE:
            return None
        site = headers.get(b"sec-fetch-site", b"same-origin")
        if b"origin" in headers and site == b"same-origin":
            return None
        return problem_from(
            403, "This request does not come from our pages.", action="Use an API key outside the browser."
        )

    @staticmethod
    def _not_for_streamlit(
        scope: Scope, headers: dict[bytes, bytes], principal: Principal | None
    ) -> Response | None:
        path: str = scope["path"]
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("Not allowed", 405)
        if path.startswith("/_stcore/") and path.split("/")[2] not in STREAMLIT:
            return PlainTextResponse("Not found", 404)
        if principal is not None and principal.via == "cookie":
            return None
        if b"text/html" in headers.get(b"accept", b""):
            asked = scope["query_string"].decode("latin-1")
            wanted = f"{path}?{asked}" if asked else path
            return RedirectResponse(f"/sign-in?next={quote(wanted)}" if wanted != "/" else "/sign-in", 303)
        return PlainTextResponse("Sign in first", 401)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        cookie = cookie_of(headers, self._settings.https)
        principal = None
        if (
            self._refusal(scope, headers) is None
            and self._ours_is(headers.get(b"origin", b""))
            and scope["path"] == "/_stcore/stream"
        ):
            principal = await self._who(cookie, None)
        if principal is None or principal.session is None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        with self._live.watch(principal.session) as gone:
            # It may have ended between the look and the watch.
            if await self._who(cookie, None) is None:
                gone.set()
            await self._while_signed_in(scope, receive, send, cookie, gone)

    async def _while_signed_in(
        self, scope: Scope, receive: Receive, send: Send, cookie: str | None, gone: asyncio.Event
    ) -> None:
        app = asyncio.ensure_future(self._app(scope, receive, send))
        ended = asyncio.ensure_future(self._ended(cookie, gone))
        try:
            await asyncio.wait({app, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not app.done():
                # Cancelled, not asked: its queue of callbacks must not run another one.
                app.cancel()
                await asyncio.wait({app})
                await send({"type": "websocket.close", "code": ENDED})
            elif not app.cancelled():
                app.result()
        finally:
            ended.cancel()
            app.cancel()

    async def _ended(self, cookie: str | None, gone: asyncio.Event) -> None:
        # Another process may have ended the sign-in, or time has.
        while not gone.is_set():
            try:
                await asyncio.wait_for(gone.wait(), RECHECK)
            except TimeoutError:
                if await self._who(cookie, None) is None:
                    return
