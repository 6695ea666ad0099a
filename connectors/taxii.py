"""TAXII 2.0 and 2.1 collections, page by page, so that nothing added while we read is missed.

The watermark is the time at which the *server* added objects, never a time inside them. It moves only once a
collection's last page is through, and each round asks again for the last minute before it: objects added
together share a time stamp, and a page may have ended between them. What comes twice is found unchanged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, cast

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors import taxii_handing, taxii_withdrawing
from connectors.moments import in_utc, moment_of
from connectors.registry import Reach, connector
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.taxii_wire import (
    Collection,
    NoCollection,
    NotReady,
    NotTaxii,
    Server,
    Unfollowable,
    chosen,
    collections_of,
    server_at,
    turn,
)
from connectors.web import Fetched, Web, shown, tls, web_address
from engine.errors import SpireError
from engine.ports import Cursor, Delivered, Outgoing, Payload, Stage

__all__ = ["Config", "NoCollection", "NotReady", "NotTaxii", "Unfollowable", "check", "read", "write"]

RESTARTS = 3
# What stands in for an empty last page, which servers write in many ways: it only carries the cursor.
NO_OBJECTS = b'{"objects": []}'


@connector(
    "taxii",
    title="TAXII server",
    summary="Collections of a TAXII 2.0 or 2.1 server",
    capabilities=("incremental", "write"),
)
class Config(BaseModel):
    """Where the server is, how to sign in, and what to read."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        title="Address",
        description="Address of the server, its discovery document or one API root.",
        max_length=4000,
    )
    collections: list[str] = Field(
        default=[],
        description="Ids, aliases or titles of collections; none means all that may be read. Name one to publish to.",
    )
    version: Literal["auto", "2.1", "2.0"] = Field(
        json_schema_extra={"meanings": {"auto": "ask the server"}, "further": True},
        default="auto",
        description="Version of TAXII to speak.",
    )
    username: str = Field(default="", description="Account, where the server asks for one.")
    password: SecretStr = Field(default=SecretStr(""), description="The account's password.")
    token: SecretStr = Field(
        default=SecretStr(""), description="A token or API key, where the server takes one instead."
    )
    token_header: str = Field(
        json_schema_extra={"further": True},
        default="Authorization",
        description="Header that carries the token.",
        pattern=r"^[\w-]+$",
    )
    certificate: SecretStr = Field(
        json_schema_extra={"further": True, "lines": 4},
        default=SecretStr(""),
        description="Our certificate and its key (PEM), where the server asks for one.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    since: datetime | None = Field(
        json_schema_extra={"reading": True},
        title="Begin at",
        default=None,
        description="Read only what was added after this time; none means everything.",
    )
    page_size: int = Field(
        json_schema_extra={"further": True, "reading": True},
        default=1000,
        ge=1,
        le=50_000,
        description="Objects to ask for at a time.",
    )
    overlap: float = Field(
        json_schema_extra={"further": True, "reading": True},
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds before the last round's end to read again.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, sign-in, collections, first page; each failure with what to do."""
    web = _web(config, reach)
    stage = "name"
    try:
        sent = CREDENTIAL if web.headers or web.auth else ""
        yield from led_to(config.url, reach, sent=sent, context=web.context)
        stage = "sign-in"
        server = server_at(web, config.url, config.version)
        roots = f"{len(server.roots)} API root{'s' if len(server.roots) != 1 else ''}"
        yield Stage("sign-in", True, f"TAXII {server.version}, {roots}")
        stage = "collections"
        usable = chosen([c for c in collections_of(server) if c.readable or c.writable], config.collections)
        yield Stage("collections", True, ", ".join(map(_told, usable))[:500])
        stage = "first page"
        readable = [c for c in usable if c.readable]
        if not readable:
            yield Stage("first page", True, "it may be published to, and not read")
            return
        # A few objects are enough to see that reading works.
        little = config.model_copy(update={"page_size": 10})
        count = next((page.objects for page in _round(server, little, readable[0], None)), 0)
        yield Stage("first page", True, f"{count:,} objects" if count else "nothing in it yet")
    except SpireError as error:
        yield failed(stage, error, _ADVICE[stage])


def _told(collection: Collection) -> str:
    return f"{collection.name} (may be published to)" if collection.writable else collection.name


_ADVICE = {
    "name": "Check the address.",
    "sign-in": "Check the address, the account and the certificate.",
    "collections": "Check what this account may read.",
    "first page": "Try again, or ask the server's operator.",
}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """Each page of each collection, untouched, with the cursor after it: by collection, the time read up to."""
    server = server_at(_web(config, reach), config.url, config.version)
    begin = _stamp(config.since) if config.since else None
    marks = dict(cast(dict[str, str | None], (since or {}).get("collections", {})))
    for collection in chosen([c for c in collections_of(server) if c.readable], config.collections):
        after = marks.get(collection.id) or begin
        for number, page in enumerate(_round(server, config, collection, after), 1):
            marks[collection.id] = page.after
            cursor: Cursor = {"collections": {id: mark for id, mark in marks.items() if mark}}
            name = f"{collection.name}, page {number}"
            yield Payload(name[:200], io.BytesIO(page.body), cursor, "application/taxii+json")


def write(config: Config, outgoing: Outgoing, reach: Reach) -> Iterator[Delivered]:
    """STIX objects into the one collection that is named, each part once the server has taken it in; then what is gone."""
    server = server_at(_web(config, reach), config.url, config.version)
    writable = [c for c in collections_of(server) if c.writable]
    into = chosen(writable, config.collections)
    if len(into) > 1:
        there = ", ".join(c.name for c in into)
        raise NoCollection("more than one", action=f"Name the one to publish to: {there}.")
    yield from taxii_handing.hand_in(server, into[0], outgoing.objects())
    if outgoing.gone:
        yield from taxii_withdrawing.withdraw(server, into[0], outgoing.gone)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Page:
    """A page as it came, unless it is empty; how many objects it holds, and the time of adding up to which all is read after it."""

    body: bytes
    objects: int
    after: str | None


@dataclass
class Watermark:
    """The time of adding up to which all is read: `after` at first, and what the server says of each page."""

    after: str | None
    begun: str = ""
    reached: str = ""
    ordered: bool = True

    def saw(self, found: Fetched) -> None:
        """Take note of a page."""
        first, last = (found.headers.get(f"x-taxii-date-added-{end}", "") for end in ("first", "last"))
        self.begun = self.begun or _asked_at(found)
        self.ordered = self.ordered and not _later(self.reached, first or last)
        self.reached = last if _later(last, self.reached) else self.reached

    @property
    def so_far(self) -> str | None:
        """In the middle of a round: only where pages come in order of adding does one say anything of those before."""
        return self.reached if self.reached and self.ordered else self.after

    @property
    def at_end(self) -> str | None:
        """After the last page; of a server that tells no times, when it answered the round's first request."""
        return self.reached or self.begun or self.after


def _round(server: Server, config: Config, collection: Collection, after: str | None) -> Iterator[Page]:
    """The pages of one round that hold anything; the last one, whatever it holds, where others came before.

    Where a round is interrupted, the next one begins at the time the last page had reached, and not at the
    server's `next`: a server may have counted a page as read that never arrived.
    """
    overlap = timedelta(seconds=config.overlap)
    mark, pages, place, restarts, seen = Watermark(after), 0, "", 0, set[bytes]()
    while True:
        since = _earlier(mark.after, overlap)
        answer = turn(server, collection, config.page_size, place, {"added_after": since} if since else {})
        if answer is None:
            restarts += 1
            if restarts > RESTARTS:
                raise NotReady(f"{shown(collection.url)}: it forgets where we are. Ask for larger pages.")
            mark, place, seen = Watermark(mark.so_far), "", set()
            continue
        look = hashlib.sha256(answer.found.body).digest()
        if answer.next is not None and look in seen:
            raise Unfollowable(f"{shown(collection.url)}: the same page comes again and again.")
        seen.add(look)
        mark.saw(answer.found)
        last = answer.next is None
        if answer.objects or (pages and last):
            pages += 1
            body = answer.found.body if answer.objects else NO_OBJECTS
            yield Page(body, answer.objects, mark.at_end if last else mark.so_far)
        if answer.next is None:
            return
        place = answer.next


def _asked_at(found: Fetched) -> str:
    """When the server answered, by its own clock; empty where it does not say."""
    try:
        return _stamp(parsedate_to_datetime(found.headers.get("date", "")))
    except (TypeError, ValueError):
        return ""


def _later(one: str | None, other: str | None) -> bool:
    """Whether the first of two times is later. What is no time is never later, and always earlier."""
    first, second = moment_of(one), moment_of(other)
    return first is not None and (second is None or first > second)


def _stamp(moment: datetime) -> str:
    return in_utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _earlier(after: str | None, overlap: timedelta) -> str | None:
    moment = moment_of(after)
    return _stamp(moment - overlap) if moment else None


# ── signing in ───────────────────────────────────────────────────────────────────────────────────────


def _web(config: Config, reach: Reach) -> Web:
    token = config.token.get_secret_value()
    headers = {}
    if token:
        plain = config.token_header.lower() == "authorization" and " " not in token
        headers[config.token_header] = f"Bearer {token}" if plain else token
    auth = httpx.BasicAuth(config.username, config.password.get_secret_value()) if config.username else None
    context = tls(config.authority, config.certificate.get_secret_value())
    return Web(config.url, reach, headers, auth, context)
