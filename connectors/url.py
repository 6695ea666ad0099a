"""A file at a URL, fetched when it has changed. http and https only; redirects are checked one by one."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote, urljoin, urlsplit

import httpcore
import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import NoSuchHost, NotAllowed, Resolve, checked, resolve
from connectors.registry import Reach, connector
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

REDIRECTS = 5
_CONNECT = 15.0


class Unreachable(Retry):
    """The source did not answer. We will try again at the next run."""


class Turned(Stop):
    """The source refused the request."""


class TooMuch(Stop):
    """The source sent more than this source's limit allows."""


class TooSlow(Retry):
    """The source took longer than this source's limit allows. We will try again at the next run."""


@connector(
    "url", title="Web address", summary="A file at an http or https address, fetched when it has changed"
)
class Config(BaseModel):
    """What to fetch and how much of it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="The file's address, http or https.", max_length=4000)
    header: str = Field(
        default="", description="Name of a header to send, such as Authorization.", pattern=r"^[\w-]*$"
    )
    secret: SecretStr = Field(default=SecretStr(""), description="The header's value; kept as a credential.")
    size_limit: int = Field(default=10 << 30, gt=0, description="Most bytes to take.")
    time_limit: float = Field(default=3600.0, gt=0, description="Most seconds to take.")

    @field_validator("url")
    @classmethod
    def _web(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give a whole http or https address")
        if parts.username or parts.password:
            raise ValueError("put credentials into the header, not into the address")
        return value


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, address, answer."""
    host = urlsplit(config.url).hostname or ""
    try:
        addresses = checked(host, _port(config.url), reach.hosts)
    except (NotAllowed, NoSuchHost) as error:
        yield Stage("address", False, error.title + " " + error.where, error.action)
        return
    yield Stage("address", True, f"{host} is {addresses[0]}")
    try:
        with _answer(config, None, reach, resolve) as response:
            size = response.headers.get("content-length", "unknown")
            yield Stage(
                "answer", True, f"{response.status_code}, {size} bytes, {_media(response) or 'no type given'}"
            )
    except SpireError as error:
        yield Stage(
            "answer",
            False,
            f"{error.title} {error.where}",
            error.action or "Check the address and the header.",
        )


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """The file, unless the server says it is the one we have."""
    with _answer(config, since, reach, resolver) as response:
        if response.status_code == 304:
            return
        cursor: Cursor = {
            name: response.headers[header]
            for name, header in (("etag", "etag"), ("modified", "last-modified"))
            if header in response.headers
        }
        body = _Body(response.iter_raw(1 << 20), config.size_limit, time.monotonic() + config.time_limit)
        stream = cast(BinaryIO, io.BufferedReader(body, 1 << 20))
        yield Payload(_name(str(response.url), config.url), stream, cursor, _media(response))


@contextmanager
def _answer(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve
) -> Iterator[httpx.Response]:
    """The final answer, after redirects; every hop is resolved and checked anew."""
    url, first = config.url, urlsplit(config.url)
    for _ in range(REDIRECTS + 1):
        here = urlsplit(url)
        if here.scheme not in ("http", "https") or (first.scheme == "https" and here.scheme != "https"):
            raise Turned(f"{_shown(url)}: redirected to an address that is not safe to follow.")
        headers = {"accept-encoding": "identity", "user-agent": "phantom-spire"}
        if (here.scheme, here.hostname, _port(url)) == (first.scheme, first.hostname, _port(config.url)):
            headers |= _known(since) | (
                {config.header: config.secret.get_secret_value()} if config.header else {}
            )
        addresses = checked(here.hostname or "", _port(url), reach.hosts, resolver)
        try:
            with (
                httpx.Client(
                    transport=_transport(addresses), timeout=httpx.Timeout(60.0, connect=_CONNECT)
                ) as client,
                client.stream("GET", url, headers=headers, follow_redirects=False) as response,
            ):
                if response.is_redirect and "location" in response.headers:
                    url = urljoin(url, response.headers["location"])
                    continue
                _refuse(response, url)
                yield response
                return
        except (httpx.TimeoutException, httpx.TransportError, httpcore.NetworkError, ssl.SSLError) as error:
            raise Unreachable(f"{_shown(url)}: {type(error).__name__}.") from error
        except httpx.InvalidURL as error:
            raise Turned(_shown(url)) from error
    raise Turned(f"{_shown(config.url)}: more than {REDIRECTS} redirects.")


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


def _transport(addresses: list[str]) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(trust_env=False)
    # httpx has no setting for the backend; without it the name would be resolved a second time, unchecked.
    transport._pool = httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(), network_backend=_Pinned(addresses)
    )
    return transport


class _Body(io.RawIOBase):
    """The answer's bytes as they come, as many and as long as allowed."""

    def __init__(self, pieces: Iterator[bytes], size: int, deadline: float) -> None:
        self.pieces, self.left, self.deadline, self.held = pieces, size, deadline, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while not self.held:
            try:
                self.held = next(self.pieces)
            except StopIteration:
                return 0
            except httpx.HTTPError as error:
                raise Unreachable(f"The connection broke: {type(error).__name__}.") from error
            self.left -= len(self.held)
            if self.left < 0:
                raise TooMuch(action="Raise the source's size limit if the file is meant to be that large.")
            if time.monotonic() > self.deadline:
                raise TooSlow
        size = min(len(buffer), len(self.held))
        buffer[:size] = self.held[:size]
        self.held = self.held[size:]
        return size


def _known(since: Cursor | None) -> dict[str, str]:
    """The request headers that ask for news only."""
    found = {}
    for name, header in (("etag", "if-none-match"), ("modified", "if-modified-since")):
        if since and isinstance(since.get(name), str):
            found[header] = str(since[name])
    return found


def _refuse(response: httpx.Response, url: str) -> None:
    code = response.status_code
    if code == 429 or code >= 500:
        raise Unreachable(f"{_shown(url)}: status {code}.")
    if code >= 400:
        action = "Check the header and its value." if code in (401, 403) else "Check the address."
        raise Turned(f"{_shown(url)}: status {code}.", action=action)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _shown(url: str) -> str:
    """The address without its query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _name(final: str, given: str) -> str:
    for url in (given, final):
        name = unquote(PurePosixPath(urlsplit(url).path).name)
        if name:
            return name[:200]
    return urlsplit(given).hostname or "download"


def _media(response: httpx.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip()
