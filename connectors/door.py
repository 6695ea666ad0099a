"""The door of a vendor's own client: it speaks requests, and what it asks goes through our web and to one host.

So the client is held to what holds for every source: checked addresses, our trust, waiting where a server says
so, whole answers of a bounded size, and no environment variable that leads elsewhere.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from connectors.addresses import Resolve, resolve
from connectors.registry import Reach
from connectors.web import Fetched, Turned, Web, origin, port_of, shown

ANSWER_BYTES = 256 << 20


class Elsewhere(Turned):
    """The client was to be led to another host, which this source does not name."""


@dataclass
class Door:
    """The way to the origin of `home`, and the last answer that came through it, to the byte."""

    home: str
    reach: Reach
    context: ssl.SSLContext | None = None
    resolver: Resolve = resolve
    last: Fetched | None = field(default=None, repr=False)

    def fit(self, session: requests.Session) -> None:
        """Make it the session's only way out."""
        session.trust_env = False
        session.adapters.clear()
        session.mount("https://", _Adapter(self))
        session.mount("http://", _Adapter(self))
        session.headers["Accept-Encoding"] = "identity"

    def fetch(self, url: str, headers: Mapping[str, str], content: bytes | None) -> Fetched:
        """A GET, or a POST of the content. Errors: Elsewhere, and those of `Web.fetch`."""
        if origin(url) != origin(self.home):
            raise Elsewhere(shown(url))
        web = Web(self.home, self.reach, headers, context=self.context, resolver=self._here)
        self.last = web.fetch(url, None, content, most=ANSWER_BYTES)
        return self.last

    def _here(self, host: str, port: int) -> list[str]:
        """Addresses of our own host only, wherever a redirect points."""
        if (host, port) != ((urlsplit(self.home).hostname or "").rstrip(".").lower(), port_of(self.home)):
            raise Elsewhere(f"{host}:{port}")
        return self.resolver(host, port)

    @property
    def clock(self) -> float | None:
        """When the server gave its last answer, by its own clock, in seconds since 1970."""
        try:
            return parsedate_to_datetime((self.last.headers if self.last else {}).get("date", "")).timestamp()
        except (TypeError, ValueError):
            return None


class _Adapter(BaseAdapter):
    """What requests sends by; the time limits are ours, and so is who is trusted."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """The answer to a request, held whole."""
        body = request.body or b""
        content = body if isinstance(body, bytes) else str(body).encode()
        headers = {
            name: str(value) for name, value in request.headers.items() if name.lower() != "content-length"
        }
        found = self.door.fetch(str(request.url), headers, None if request.method == "GET" else content)
        response = requests.Response()
        response.status_code, response.url, response.request = found.status, found.url, request
        response.headers = CaseInsensitiveDict(found.headers)
        response.encoding = "utf-8"
        response.raw = io.BytesIO(found.body)
        return response

    def close(self) -> None:
        """Nothing is held open."""
