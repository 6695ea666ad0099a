"""The routes before the app: set-up, sign-in, sign-out, and the few files their pages need."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.accounts import Accounts
from app.auth import Principal, cookie_name
from app.gateway import markup
from app.problems import problem_from
from app.settings import Settings
from engine.errors import Stop
from storage.control.installation import SetupRefused
from storage.control.sessions import LockedOut, SignInRefused

STATIC = Path(__file__).resolve().parent.parent / "static"
FILES = {
    "tokens.css": "text/css",
    "door.css": "text/css",
    "mark.svg": "image/svg+xml",
    "mark.png": "image/png",
    "fonts/inter.woff2": "font/woff2",
}
FORM_LIMIT = 16 << 10
Form = dict[str, str]


def local_path(wanted: str) -> str:
    """Where to go after signing in: a path of ours, or the start page. Never another site."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/auth", "/sign-in"))
    return wanted if plain and wanted.isprintable() and "\\" not in wanted else "/"


def address_of(request: Request) -> str:
    """The address a request came from, behind trusted proxies the one they name."""
    return request.client.host if request.client else "unix"


async def _form(request: Request) -> Form | None:
    # Small, and read by hand: a form parser would spool what it doesn't expect to disk.
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_LIMIT:
            return None
    found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in found.items()}


def _ended() -> Response:
    text = (
        "A set-up link can be used once, within a day, and only while there is no account. "
        "Start Phantom Spire again for a new link, or sign in."
    )
    return markup.message("This link has ended", text, "/sign-in", "Sign in", 410)


def _span(seconds: int) -> str:
    """A time to wait in words, never shorter than it is."""
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"


class Door:
    """Set-up, sign-in and sign-out over HTTP. Forms need an exact Origin: a browser always sends it."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings

    def routes(self) -> list[BaseRoute]:
        """The routes, for the gateway's own router."""
        return [
            Route("/assets/{file:path}", self.asset),
            Route("/sign-in", self.sign_in_page),
            Route("/auth/login", self.sign_in, methods=["POST"]),
            Route("/auth/logout", self.sign_out, methods=["POST"]),
            Route("/auth/logout", self.sign_out_page, methods=["GET"]),
            Route("/auth/logout-everywhere", self.sign_out_everywhere, methods=["POST"]),
            Route("/setup", self.set_up_page),
            Route("/setup", self.set_up, methods=["POST"]),
        ]

    async def asset(self, request: Request) -> Response:
        """One of the files of these pages, and no other."""
        name = request.path_params["file"]
        if name not in FILES:
            return problem_from(404, "There is no such file.")
        return FileResponse(STATIC / name, media_type=FILES[name], headers={"cache-control": "max-age=3600"})

    async def sign_in_page(self, request: Request) -> Response:
        """The form, or the app for who is signed in already."""
        after = local_path(request.query_params.get("next", "/"))
        if request.state.principal is not None:
            return RedirectResponse(after, 303)
        ended = (
            "Your sign-in has ended. Sign in to go on where you were."
            if "ended" in request.query_params
            else ""
        )
        return markup.sign_in(ended, after=after)

    async def sign_in(self, request: Request) -> Response:
        """Check name and password; a new sign-in replaces the browser's old one."""
        refused = self._foreign(request)
        form = None if refused else await _form(request)
        if refused or form is None:
            return refused or markup.sign_in("The form was too large.", status=413)
        login, after = form.get("login", ""), local_path(form.get("next", "/"))
        try:
            cookie = await asyncio.to_thread(
                self._accounts.sign_in,
                login,
                form.get("password", ""),
                address_of(request),
                self._who(request),
            )
        except SignInRefused:
            return markup.sign_in("The account or the password is not right.", login, after, 401)
        except LockedOut as error:
            answer = markup.sign_in(
                f"Too many failed sign-ins. Try again in {_span(error.seconds)}.", login, after, 429
            )
            answer.headers["retry-after"] = str(error.seconds)
            return answer
        return self._entered(cookie, after)

    async def sign_out_page(self, request: Request) -> Response:
        """A page with the button: a link alone, which anybody can plant, ends nothing."""
        body = (
            '<form method="post" action="/auth/logout"><button>Sign out</button></form>'
            '<form method="post" action="/auth/logout-everywhere"><button class="second">Sign out everywhere</button></form>'
            '<p><a href="/">Back</a></p>'
        )
        return markup.page("Sign out?", body)

    async def sign_out(self, request: Request) -> Response:
        """End this sign-in; its open pages close."""
        if refused := self._foreign(request):
            return refused
        who = self._who(request)
        if who is not None:
            await asyncio.to_thread(self._accounts.sign_out, who)
        return self._left()

    async def sign_out_everywhere(self, request: Request) -> Response:
        """End every sign-in of this account; all its open pages close."""
        if refused := self._foreign(request):
            return refused
        who = self._who(request)
        if who is not None and who.session is not None:
            await asyncio.to_thread(self._accounts.sign_out_everywhere, who.id, who.user)
        return self._left()

    async def set_up_page(self, request: Request) -> Response:
        """The form for the first administrator, or why this link makes none. It is spent by the form alone."""
        token = request.query_params.get("token", "")
        if not await asyncio.to_thread(self._accounts.set_up_works, token):
            return _ended()
        return markup.set_up(token)

    async def set_up(self, request: Request) -> Response:
        """Make the first administrator and sign them in."""
        refused = self._foreign(request)
        form = None if refused else await _form(request)
        if refused or form is None:
            return refused or markup.message("Set-up", "The form was too large.", "/setup", "Back", 413)
        token, login, name = (form.get(key, "") for key in ("token", "login", "name"))
        if form.get("password", "") != form.get("again", ""):
            return markup.set_up(token, "The two passwords differ.", login, name, 400)
        try:
            cookie = await asyncio.to_thread(
                self._accounts.set_up, token, login, form.get("password", ""), name, address_of(request)
            )
        except SetupRefused:
            return _ended()
        except Stop as error:
            return markup.set_up(token, str(error), login, name, 400)
        return self._entered(cookie, "/")

    @staticmethod
    def _who(request: Request) -> Principal | None:
        return request.state.principal

    @staticmethod
    def _foreign(request: Request) -> Response | None:
        # The guard has compared Origin where there is one; here there must be one.
        site = request.headers.get("sec-fetch-site", "same-origin")
        if "origin" in request.headers and site == "same-origin":
            return None
        return markup.message(
            "Not from here", "This form was not sent from our page.", "/sign-in", "Sign in", 403
        )

    def _entered(self, cookie: str, after: str) -> Response:
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            cookie_name(self._settings.https),
            cookie,
            httponly=True,
            samesite="lax",
            secure=self._settings.https,
            path="/",
            max_age=int(self._settings.sign_in_length),
        )
        return answer

    def _left(self) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(
            cookie_name(self._settings.https),
            path="/",
            secure=self._settings.https,
            httponly=True,
            samesite="lax",
        )
        return answer
