"""Pages that a feed's entries link to: asked for one after the other, and only where they may be.

Links are a stranger's words. They lead to the feed's own host and to those that a person named, through redirects
as well, and nowhere else. What can't be had is no error here: it is missed, and why is told.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from connectors.addresses import NoSuchHost, NotAllowed, Resolve
from connectors.credential_hosts import place, written
from connectors.formats.followed import Page
from connectors.formats.markup import PACKINGS, PAGE_BYTES
from connectors.web import TooMuch, Turned, Unreachable, Web, origin, port_of, web_address
from engine.errors import SpireError, Stop

PAGE_SECONDS = 30.0
# Seconds between two requests to one host.
PAUSE = 1.0
# A host that gave no answer so often in a row is left alone until the next run.
SILENT = 2
READABLE = ("", "text/html", "application/xhtml+xml", "text/plain")
LATER = "left for the next run"


class Elsewhere(Stop):
    """This host is not among those that may be followed."""


# Why a page did not come, and whether it may at the next run.
_REASONS: tuple[tuple[type[SpireError], str, bool], ...] = (
    (Unreachable, "there was no answer in time, or it broke off", True),
    (NoSuchHost, "its host is not known", True),
    (TooMuch, f"larger than {PAGE_BYTES >> 20} MiB", False),
    (NotAllowed, "it is inside a private network", False),
    (Elsewhere, "it leads to a host that is not followed", False),
    (Turned, "it leads where it is not safe to follow", False),
)


@dataclass(frozen=True)
class Missed:
    """Why a page is not there, and whether it may be at the next run. `asked` says that its server was asked."""

    why: str
    again: bool = False
    asked: bool = True


@dataclass(frozen=True)
class Link:
    """Where an entry's page is; or "" with the host its link names, if any, and why nobody goes there."""

    url: str = ""
    host: str = ""
    why: str = ""


def places(home: str, named: Iterable[str]) -> frozenset[str]:
    """Where pages may be: the feed's own host, and those that were named; at the web's ports unless one is said."""
    found = set()
    for text in (_place(home), *map(written, named)):
        parts = urlsplit(f"//{text}")
        ports = (80, 443) if parts.port in (None, 80, 443) else (parts.port,)
        found |= {place(parts.hostname or "", port) for port in ports}
    return frozenset(found)


def link(text: str, base: str, home: str, allowed: Collection[str]) -> Link:
    """Where a link leads that stands in a feed found at `base`, of a source whose address is `home`."""
    if not text:
        return Link(why="it has no link")
    try:
        url = web_address(urldefrag(urljoin(base, text.strip())).url)
        parts, port = urlsplit(url), port_of(url)
    except ValueError:
        return Link(why="its link is no web address")
    if parts.scheme == "http" and home.startswith("https:"):
        # What comes encrypted is not followed into the clear; old links of sites that moved lead there too.
        parts = parts._replace(scheme="https", netloc=parts.netloc.removesuffix(":80"))
        url, port = parts.geturl(), 443 if port == 80 else port
    host = parts.hostname or ""
    if place(host, port) not in allowed:
        return Link(host=host, why=f"{host} is not followed")
    return Link(url, host)


@dataclass
class Asking:
    """Asks for pages on behalf of a feed's source until its time is up, no host more than once in a while."""

    web: Web
    allowed: Collection[str]
    deadline: float
    _last: dict[str, float] = field(default_factory=dict)
    _silent: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._resolver = _only(self.allowed, self.web.resolver)
        self._last[_place(self.web.home)] = time.monotonic()

    def page(self, url: str, entries: Sequence[int]) -> Page | Missed:
        """The page as it came, for the entries of these numbers."""
        host = _place(url)
        if self._silent.get(host, 0) >= SILENT or time.monotonic() > self.deadline:
            return Missed(LATER, again=True, asked=False)
        time.sleep(max(0.0, self._last.get(host, -PAUSE) + PAUSE - time.monotonic()))
        try:
            found = self._fetched(url, entries)
        except SpireError as error:
            why, again = next((why, again) for kind, why, again in _REASONS if isinstance(error, kind))
            found = Missed(why, again)
            self._silent[host] = self._silent.get(host, 0) + again
        except ValueError:  # an address that a redirect gave and nobody can read
            found = Missed("it leads to no web address")
        else:
            if isinstance(found, Page) or not found.again:
                self._silent[host] = 0
        self._last[host] = time.monotonic()
        return found

    def _fetched(self, url: str, entries: Sequence[int]) -> Page | Missed:
        ours = origin(url) == origin(self.web.home)
        asked = self.web if ours else Web(url, self.web.reach)
        web = replace(asked, resolver=self._resolver, within=PAGE_SECONDS)
        with web.answer(url, {"accept": "text/html, application/xhtml+xml, text/plain;q=0.9"}) as response:
            status, headers = response.status_code, response.headers
            if status in (429, 503):
                self._silent[_place(url)] = SILENT
            if status != 200:
                return Missed(f"status {status}", again=status == 429 or status >= 500)
            media, packing = (
                headers.get("content-type", ""),
                headers.get("content-encoding", "").strip().lower(),
            )
            kind = media.partition(";")[0].strip().lower()
            if kind not in READABLE:
                return Missed(f"{kind[:60]} is no page of text")
            if packing not in PACKINGS:
                return Missed(f"it is packed as {packing[:20]}")
            return Page(tuple(entries), str(response.url), media[:200], packing, _body(response))


def _body(response: httpx.Response) -> bytes:
    """The answer as it comes, up to what a page may hold."""
    held = bytearray()
    for piece in response.iter_raw():
        held += piece
        if len(held) > PAGE_BYTES:
            raise TooMuch
    return bytes(held)


def _only(allowed: Collection[str], resolver: Resolve) -> Resolve:
    """The resolver, for these places only: every hop of every redirect asks it."""
    known = cache(resolver)

    def resolve(host: str, port: int) -> list[str]:
        if place(host, port) not in allowed:
            raise Elsewhere(host)
        return known(host, port)

    return resolve


def _place(url: str) -> str:
    return place(urlsplit(url).hostname or "", port_of(url))
