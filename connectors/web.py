"""Asking a web server on a source's behalf: checked addresses only, redirects one by one, limits, plain errors.

A name is resolved once and the connection goes to a checked address. Credentials go to the origin they were
given for and nowhere else, whatever a redirect says.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from connectors.addresses import Resolve, checked, resolve
from connectors.hurried import Hurried
from connectors.pieces import stream_of
from connectors.registry import Reach
from connectors.unwritten import unwritten
from engine.errors import Retry, Stop

# It writes whole addresses into its log, and an address may hold a key.
logging.getLogger("httpx").setLevel(logging.WARNING)

REDIRECTS = 5
TRIES = 4
# A server may ask us to wait; longer than this the run ends and the next one goes on.
PATIENCE = 120.0
_CONNECT = 15.0
_READ = 60.0


class Unreachable(Retry):
    """The source did not answer. We will try again at the next run."""


class Turned(Stop):
    """The source refused the request."""


class TooMuch(Stop):
    """The source sent more than this source's limit allows."""


class TooSlow(Retry):
    """The source took longer than this source's limit allows. We will try again at the next run."""


@dataclass(frozen=True)
class Web:
    """How one source's server is asked: `headers` and `auth` go to the origin of `home` only.

    `context` is the TLS context; None means the system's trust. `resolver` finds addresses. `within` so many
    seconds an answer must have been given to its end, where that is said.
    """

    home: str
    reach: Reach
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: httpx.Auth | None = None
    context: ssl.SSLContext | None = None
    resolver: Resolve = resolve
    within: float | None = None

    @contextmanager
    def answer(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        method: str = "",
    ) -> Iterator[httpx.Response]:
        """The final answer to a GET (or `method`), or to a POST of `content`, after redirects, each hop checked anew.

        Its body is still to be read. Errors: Unreachable, Turned, NotAllowed, NoSuchHost.
        """
        first = urlsplit(self.home)
        given = url
        for _ in range(REDIRECTS + 1):
            here = urlsplit(url)
            if here.scheme not in ("http", "https") or (first.scheme == "https" and here.scheme != "https"):
                raise Turned(f"{shown(url)}: redirected to an address that is not safe to follow.")
            sent = {"accept-encoding": "identity", "user-agent": "phantom-spire", **(headers or {})}
            ours = origin(url) == origin(self.home)
            if ours and (self.headers or self.auth):
                self.reach.carries(here.hostname or "", port_of(url))
            addresses = checked(here.hostname or "", port_of(url), self.reach.hosts, self.resolver)
            context = self.context if ours or self.context is None else _without_certificate(self.context)
            try:
                with (
                    httpx.Client(
                        transport=_transport(addresses, context, self.within),
                        timeout=httpx.Timeout(_READ, connect=_CONNECT),
                    ) as client,
                    client.stream(
                        method or ("GET" if content is None else "POST"),
                        url,
                        content=content,
                        headers={**sent, **(self.headers if ours else {})},
                        auth=self.auth if ours else None,
                        follow_redirects=False,
                    ) as response,
                ):
                    if response.is_redirect and content is not None:
                        raise Turned(
                            f"{shown(url)}: it redirects what is posted.", action="Give its new address."
                        )
                    if response.is_redirect and "location" in response.headers:
                        url = urljoin(url, response.headers["location"])
                        continue
                    yield response
                    return
            except (
                httpx.TimeoutException,
                httpx.TransportError,
                httpcore.NetworkError,
                ssl.SSLError,
            ) as error:
                raise Unreachable(f"{shown(url)}: {_said(error)}.") from error
            except httpx.InvalidURL as error:
                raise Turned(shown(url)) from error
        raise Turned(f"{shown(given)}: more than {REDIRECTS} redirects.")

    @contextmanager
    def patient(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> Iterator[httpx.Response]:
        """As `answer`, but where the server asks us to wait we do, and ask again."""
        for attempt in range(TRIES):
            with self.answer(url, headers, method=method) as response:
                pause = _asked_to_wait(response, attempt)
                if pause is None or pause > PATIENCE or attempt == TRIES - 1:
                    yield response
                    return
            time.sleep(pause)

    def fetch(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        *,
        most: int,
        method: str = "",
    ) -> Fetched:
        """A whole answer of at most `most` bytes, to what `answer` asks. Waits and asks again where the server says so or breaks off.

        Any status under 400, and what `refuse` lets through, comes back. Errors as `answer`, and TooMuch.
        """
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                with self.answer(url, headers, content, method) as response:
                    pause = _asked_to_wait(response, attempt)
                    if pause is not None and not last and pause <= PATIENCE:
                        time.sleep(pause)
                        continue
                    body = _all_of(response, most, url)
                    return Fetched(response.status_code, response.headers, body, str(response.url))
            except Unreachable:
                if last:
                    raise
                time.sleep(min(2.0**attempt, PATIENCE))
        raise Unreachable(f"{shown(url)}: it asks us to wait.")


@dataclass(frozen=True)
class Fetched:
    """An answer held whole."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str


def refuse(status: int, url: str) -> None:
    """Raise what a failing status means; let every other pass."""
    if status == 429 or status >= 500:
        raise Unreachable(f"{shown(url)}: status {status}.")
    if status >= 400:
        action = "Check the credentials." if status in (401, 403) else "Check the address."
        raise Turned(f"{shown(url)}: status {status}.", action=action)


def body_of(response: httpx.Response, size: int, seconds: float) -> BinaryIO:
    """The answer's body as a stream of at most `size` bytes in at most `seconds`."""
    return stream_of(_Body(response.iter_raw(1 << 20), size, time.monotonic() + seconds).following)


def tls(authority: str, certificate: str) -> ssl.SSLContext | None:
    """TLS that trusts a private authority and shows our certificate (both PEM); None where neither is given."""
    if not authority and not certificate:
        return None
    try:
        context = ssl.create_default_context(cadata=authority or None)
        if certificate:
            with unwritten(certificate) as path:
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise Turned(
            "The certificate or the authority's certificate can't be read.",
            action="Paste them as PEM text: BEGIN CERTIFICATE … END CERTIFICATE, and the key after it.",
        ) from error
    return context


@cache
def _trusted() -> ssl.SSLContext:
    """The system's trust, read once: reading it takes longer than many an answer."""
    return ssl.create_default_context()


def web_address(value: str) -> str:
    """The address, if it is a whole one of the web and holds no credentials; ValueError says what is wrong."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give a whole http or https address")
    if parts.username or parts.password:
        raise ValueError("put credentials into their own fields, not into the address")
    return value


def _without_certificate(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same trust, and the system's, without our certificate: it is shown to the host it was given for only."""
    plain = ssl.create_default_context()
    for authority in context.get_ca_certs(binary_form=True):
        plain.load_verify_locations(cadata=authority)
    return plain


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: who gets to see a credential."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), port_of(url)


def port_of(url: str) -> int:
    """The port an address names or means."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def shown(url: str) -> str:
    """The address without its query and user, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _asked_to_wait(response: httpx.Response, attempt: int) -> float | None:
    """Seconds the server wants us to wait before asking again; None where it answered."""
    if response.status_code not in (429, 502, 503, 504):
        return None
    told = response.headers.get("retry-after", "")
    if told.isdigit():
        return float(told)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    return 2.0**attempt


def _all_of(response: httpx.Response, most: int, url: str) -> bytes:
    held = bytearray()
    try:
        for piece in response.iter_bytes(1 << 18):
            held += piece
            if len(held) > most:
                raise TooMuch(f"{shown(url)}: more than {most:,} bytes in one answer.")
    except httpx.HTTPError as error:
        raise Unreachable(f"{shown(url)}: the connection broke ({type(error).__name__}).") from error
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and "content-encoding" not in response.headers and len(held) != int(announced):
        raise Unreachable(f"{shown(url)}: it broke off after {len(held):,} of {int(announced):,} bytes.")
    return bytes(held)


def _said(error: Exception) -> str:
    """What an error of the transport means, in words."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not trusted"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "nobody answers there"
    return type(error).__name__


class _Pinned(httpcore.NetworkBackend):
    """Connects to an address that was checked, whatever the name would resolve to by now."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first checked address that answers."""
        for address in self.addresses[:-1]:
            try:
                return self.inner.connect_tcp(address, port, timeout, local_address)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self.inner.connect_tcp(self.addresses[-1], port, timeout, local_address)


def _transport(
    addresses: list[str], context: ssl.SSLContext | None, within: float | None
) -> httpx.HTTPTransport:
    trusted = context or _trusted()
    pinned = _Pinned(addresses)
    backend = pinned if within is None else Hurried(pinned, within)
    transport = httpx.HTTPTransport(verify=trusted, trust_env=False)
    # httpx has no setting for the backend; without it the name would be resolved a second time, unchecked.
    transport._pool = httpcore.ConnectionPool(ssl_context=trusted, network_backend=backend)
    return transport


@dataclass
class _Body:
    """The answer's bytes as they come, as many and as long as allowed."""

    pieces: Iterator[bytes]
    left: int
    deadline: float

    def following(self) -> bytes:
        try:
            piece = next(filter(None, self.pieces), b"")
        except httpx.HTTPError as error:
            raise Unreachable(f"The connection broke: {type(error).__name__}.") from error
        self.left -= len(piece)
        if self.left < 0:
            raise TooMuch(action="Raise the source's size limit if the file is meant to be that large.")
        if piece and time.monotonic() > self.deadline:
            raise TooSlow
        return piece
