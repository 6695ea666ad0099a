"""A bucket: how it is reached, what lies in it, and what the storage means by its errors."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import urlsplit

import s3fs
from aiobotocore.session import AioSession
from aiohttp.abc import AbstractResolver, ResolveResult
from botocore.exceptions import BotoCoreError, ClientError, SSLError
from pydantic import SecretStr
from s3fs.utils import FileExpired

from connectors.addresses import Resolve, checked
from connectors.pieces import stream_of
from connectors.registry import Reach
from connectors.remote import Changed, File, Gone, Pattern
from connectors.unwritten import unwritten
from connectors.web import port_of
from engine.errors import Retry, SpireError, Stop

# They write what they ask and what is answered into their logs, records and all.
for _logger in ("aiobotocore", "botocore", "s3fs"):
    logging.getLogger(_logger).setLevel(logging.WARNING)

_CONNECT = 15.0
_READ = 60.0
_TRIES = 4
_WINDOW = 4 << 20
_T = TypeVar("_T")


class Place(Protocol):
    """Which bucket, where it is, and how to sign in."""

    bucket: str
    folder: str
    key_id: str
    secret: SecretStr
    token: SecretStr
    endpoint: str
    region: str
    path_style: bool
    authority: str


class Unreachable(Retry):
    """The storage did not answer. We will try again at the next run."""


class Turned(Stop):
    """The storage refused us."""


class NoBucket(Stop):
    """The storage has no such bucket."""


@dataclass(frozen=True)
class Bucket:
    """The bucket below its folder."""

    system: s3fs.S3FileSystem
    config: Place

    def files(self, pattern: Pattern) -> Iterator[File]:
        begin, mark = f"{pattern.begin}/" if pattern.begin else "", ""
        while True:
            found = self.page(begin, mark, 1000)
            for entry in found.get("Contents", ()):
                path = str(entry["Key"])[len(self._root) :]
                if not path.endswith("/"):
                    yield _file(path, entry["Size"], entry["ETag"], entry["LastModified"])
            if not found.get("IsTruncated"):
                return
            mark = str(found["NextContinuationToken"])

    def page(self, begin: str, mark: str, most: int) -> dict[str, Any]:
        """A page of the bucket's list (ListObjectsV2)."""
        following = {"ContinuationToken": mark} if mark else {}
        return self._asked(
            lambda: self.system.call_s3(
                "list_objects_v2",
                Bucket=self.config.bucket,
                Prefix=self._root + begin,
                MaxKeys=most,
                **following,
            )
        )

    def now(self, file: File) -> File:
        found = self._asked(
            lambda: self.system.call_s3("head_object", Bucket=self.config.bucket, Key=self._root + file.path)
        )
        return _file(file.path, found["ContentLength"], found["ETag"], found["LastModified"])

    def open(self, file: File) -> BinaryIO:
        key = f"{self.config.bucket}/{self._root}{file.path}"
        opened = self._asked(lambda: self.system.open(key, "rb", cache_type="none"))
        if opened.details.get("ETag") != file.mark:
            raise Changed(file.path)
        return stream_of(lambda: self._window(opened))

    def _window(self, opened: s3fs.core.S3File) -> bytes:
        """The next bytes of a file, asked for as those of the one that was opened (If-Match)."""
        data: bytes = self._asked(lambda: opened.read(_WINDOW))
        return data

    @property
    def _root(self) -> str:
        return f"{self.config.folder}/" if self.config.folder else ""

    def _asked(self, ask: Callable[[], _T]) -> _T:
        """What the storage answers; its errors in our words. Raises Unreachable, Gone, Turned, NoBucket, Changed."""
        place = f"{self.config.endpoint}, {self.config.bucket}"
        try:
            return ask()
        except FileExpired as error:
            raise Changed(place) from error
        except (OSError, BotoCoreError, ClientError) as error:
            raise _told(error, place) from None


def _file(path: str, size: int, tag: str, at: datetime) -> File:
    return File(path, int(size), tag, at.timestamp())


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────


class _Pinned(AbstractResolver):
    """Leads to checked addresses of our own host, and nowhere for any other name."""

    def __init__(self, names: set[str], reach: Reach, resolver: Resolve) -> None:
        self.names, self.reach, self.resolver = names, reach, resolver
        self.known: dict[str, list[str]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host not in self.names:
            raise OSError(f"{host} is another host")
        if host not in self.known:
            self.known[host] = checked(host, port, self.reach.hosts, self.resolver)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.known[host]
        ]

    def socket(self, found: tuple[Any, Any, Any, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for an address, if it is one that was checked: where a redirect gives one, nobody resolves it."""
        family, kind, protocol, _, place = found
        if place[0] not in {address for each in self.known.values() for address in each}:
            raise OSError(f"{place[0]} was not checked")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing is held open."""


# The client's ways of finding settings and keys outside of what it is given, closed.
_OUTSIDE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, "/dev/null", None),
    "credentials_file": (None, None, "/dev/null", None),
}


@contextmanager
def connected(config: Place, reach: Reach, resolver: Resolve) -> Iterator[Bucket]:
    host = (urlsplit(config.endpoint).hostname or "").lower()
    if config.key_id:
        reach.carries(host, port_of(config.endpoint))
    pinned = _Pinned({host, f"{config.bucket}.{host}".lower()}, reach, resolver)
    # A literal address is never resolved, and what is refused is refused before anything is made.
    pinned.known[host] = checked(host, port_of(config.endpoint), reach.hosts, resolver)
    settings = {
        "connect_timeout": _CONNECT,
        "read_timeout": _READ,
        "retries": {"mode": "standard", "total_max_attempts": _TRIES},
        "s3": {"addressing_style": "path" if config.path_style else "virtual"},
        "proxies": {},
        "connector_args": {"resolver": pinned, "socket_factory": pinned.socket},
    }
    with ExitStack() as stack:
        # Said outright, so that no environment variable chooses whom to trust.
        trusted = stack.enter_context(unwritten(config.authority)) if config.authority else True
        system = s3fs.S3FileSystem(
            anon=not config.key_id,
            key=config.key_id or None,
            secret=config.secret.get_secret_value() or None,
            token=config.token.get_secret_value() or None,
            endpoint_url=config.endpoint,
            client_kwargs={"region_name": config.region, "verify": trusted},
            config_kwargs=settings,
            session=AioSession(session_vars=_OUTSIDE),
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        system.retries = 1  # the client's own way of trying again knows more
        yield Bucket(system, config)


def _told(error: Exception, place: str) -> SpireError:
    """What an error of the client means. Its own text may hold anything, so it is not passed on."""
    cause = error if isinstance(error, ClientError) else error.__cause__
    answer: dict[str, Any] = dict(cause.response) if isinstance(cause, ClientError) else {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(answer.get("Error", {}).get("Code", ""))
    if code == "NoSuchBucket":
        return NoBucket(place, action="Check the bucket's name and the endpoint.")
    if status in (301, 307) or code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
        return Turned(
            f"{place}: it is in another region.", action="Give its region and that region's endpoint."
        )
    if status == 404 or isinstance(error, FileNotFoundError):
        return Gone(place)
    if status == 412:
        return Changed(place)
    if 400 <= status < 500 and status != 429:
        return Turned(f"{place}: {code or status}.", action="Check the access key and what it may read.")
    if status:
        return Unreachable(f"{place}: status {status}.")
    if isinstance(error, SSLError):
        return Turned(
            f"{place}: its certificate is not trusted.", action="Give its authority's certificate (PEM)."
        )
    return Unreachable(f"{place}: {type(error).__name__}.")
