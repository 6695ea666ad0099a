"""TAXII 2.0 and 2.1 collections, page by page, so that nothing added while we read is missed.

The watermark is the time at which the *server* added objects, never a time inside them. It moves only once a
collection's last page is through, and each round asks again for the last minute before it: objects added
together share a time stamp, and a page may have ended between them. What comes twice is found unchanged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import checked
from connectors.registry import Reach, connector
from connectors.web import Fetched, Turned, Web, origin, port_of, refuse, shown, tls
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

PAGE_BYTES = 64 << 20
RESTARTS = 3
# What stands in for an empty last page, which servers write in many ways: it only carries the cursor.
NO_OBJECTS = b'{"objects": []}'
_ACCEPT = {
    "2.1": ("application/taxii+json;version=2.1", "application/taxii+json;version=2.1"),
    "2.0": (
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/vnd.oasis.stix+json; version=2.0",
    ),
}
_DISCOVERY = {"2.1": "/taxii2/", "2.0": "/taxii/"}


class NotTaxii(Stop):
    """What answers at this address is no TAXII server."""


class NoCollection(Stop):
    """This server has no such collection that we may read."""


class Unfollowable(Stop):
    """The server says there is more and gives no way to it, so what it has beyond is not taken for read."""


class NotReady(Retry):
    """The server's answer was not whole. We will try again at the next run."""


@connector("taxii", title="TAXII server", summary="Collections of a TAXII 2.0 or 2.1 server")
class Config(BaseModel):
    """Where the server is, how to sign in, and what to read."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        title="Address",
        description="Address of the server, its discovery document or one API root.",
        max_length=4000,
    )
    collections: list[str] = Field(
        default=[], description="Ids, aliases or titles of collections; none means all that may be read."
    )
    version: Literal["auto", "2.1", "2.0"] = Field(
        json_schema_extra={"further": True}, default="auto", description="Version of TAXII to speak."
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
        title="Begin at",
        default=None,
        description="Read only what was added after this time; none means everything.",
    )
    page_size: int = Field(
        json_schema_extra={"further": True},
        default=1000,
        ge=1,
        le=50_000,
        description="Objects to ask for at a time.",
    )
    overlap: float = Field(
        json_schema_extra={"further": True},
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds before the last round's end to read again.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give a whole http or https address")
        if parts.username or parts.password:
            raise ValueError("put the account into its own fields, not into the address")
        return value


@dataclass(frozen=True)
class Server:
    """A TAXII server as far as we know it: its version and the API roots at its own origin."""

    web: Web
    version: str
    roots: tuple[str, ...]

    def ask(self, url: str, *, objects: bool = False, headers: Mapping[str, str] | None = None) -> Fetched:
        accept = _ACCEPT[self.version][objects]
        return self.web.fetch(url, {"accept": accept, **(headers or {})}, most=PAGE_BYTES)


@dataclass(frozen=True)
class Collection:
    """A collection that may be read."""

    id: str
    title: str
    alias: str
    url: str


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, collections, first page; each failure with what to do."""
    web = _web(config, reach)
    host = urlsplit(config.url).hostname or ""
    stage = "name"
    try:
        addresses = checked(host, port_of(config.url), reach.hosts, web.resolver)
        yield Stage("name", True, f"{host} is {addresses[0]}")
        stage = "sign-in"
        server = _server(config, web)
        yield Stage("sign-in", True, f"TAXII {server.version}, {len(server.roots)} API roots")
        stage = "collections"
        chosen = _collections(server, config)
        yield Stage("collections", True, ", ".join(c.title or c.id for c in chosen)[:500])
        stage = "first page"
        # A few objects are enough to see that reading works.
        little = config.model_copy(update={"page_size": 10})
        count = next((page.objects for page in _round(server, little, chosen[0], None)), 0)
        yield Stage("first page", True, f"{count:,} objects" if count else "nothing in it yet")
    except SpireError as error:
        yield Stage(stage, False, f"{error.title} {error.where}".strip(), error.action or _ADVICE[stage])


_ADVICE = {
    "name": "Check the address.",
    "sign-in": "Check the address, the account and the certificate.",
    "collections": "Check what this account may read.",
    "first page": "Try again, or ask the server's operator.",
}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """Each page of each collection, untouched, with the cursor after it: by collection, the time read up to."""
    server = _server(config, _web(config, reach))
    begin = _stamp(config.since) if config.since else None
    marks = dict(cast(dict[str, str | None], (since or {}).get("collections", {})))
    for collection in _collections(server, config):
        after = marks.get(collection.id) or begin
        for number, page in enumerate(_round(server, config, collection, after), 1):
            marks[collection.id] = page.after
            cursor: Cursor = {"collections": {id: mark for id, mark in marks.items() if mark}}
            name = f"{collection.title or collection.id}, page {number}"
            yield Payload(name[:200], io.BytesIO(page.body), cursor, "application/taxii+json")


# ── finding the way ──────────────────────────────────────────────────────────────────────────────────


def _server(config: Config, web: Web) -> Server:
    """The server behind the address: a discovery document, an API root, or a host that has one."""
    versions = ["2.1", "2.0"] if config.version == "auto" else [config.version]
    bare = urlsplit(config.url).path in ("", "/")
    refused: SpireError | None = None
    for version in versions:
        server = Server(web, version, ())
        for url in (config.url, urljoin(config.url, _DISCOVERY[version])) if bare else (config.url,):
            try:
                found = _json(server.ask(_closed(url)))
            except (Turned, NotTaxii) as error:
                refused = error
                continue
            if roots := _roots(found, url, config.url):
                return replace(server, roots=roots)
    raise refused or NotTaxii(
        shown(config.url), action="Give the address of the server's discovery document."
    )


def _roots(found: dict[str, Any], url: str, home: str) -> tuple[str, ...]:
    """The API roots a document names, as far as they are at the origin the source names."""
    if "api_roots" in found or "default" in found:
        named = [*found.get("api_roots", ()), *([found["default"]] if not found.get("api_roots") else ())]
        roots = dict.fromkeys(_closed(urljoin(_closed(url), str(root))) for root in named)
        own = tuple(root for root in roots if origin(root) == origin(home))
        if roots and not own:
            raise Turned(
                f"{shown(home)} names API roots at other hosts only.",
                action=f"If you trust it, give that address instead: {shown(next(iter(roots)))}",
            )
        return own
    return (_closed(url),) if "versions" in found or "max_content_length" in found else ()


def _collections(server: Server, config: Config) -> list[Collection]:
    found, refused = list[Collection](), None
    for root in server.roots:
        try:
            listed = _json(server.ask(urljoin(root, "collections/"))).get("collections") or []
        except Turned as error:
            refused = error
            continue
        for each in listed:
            if each.get("can_read", True) and each.get("id"):
                url = urljoin(root, f"collections/{each['id']}/objects/")
                found.append(
                    Collection(str(each["id"]), str(each.get("title", "")), str(each.get("alias", "")), url)
                )
    if not found and refused is not None:
        raise refused
    wanted = {name.strip().lower() for name in config.collections if name.strip()}
    chosen = [c for c in found if not wanted or wanted & {c.id.lower(), c.title.lower(), c.alias.lower()}]
    missing = wanted - {name for c in chosen for name in (c.id.lower(), c.title.lower(), c.alias.lower())}
    if missing or not chosen:
        there = ", ".join(c.title or c.id for c in found) or "none"
        raise NoCollection(", ".join(sorted(missing)), action=f"There are: {there}.")
    return chosen


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Page:
    """A page as it came, unless it is empty; how many objects it holds, and the time of adding up to which all is read after it."""

    body: bytes
    objects: int
    after: str | None


@dataclass(frozen=True)
class Turn:
    """One answer: its page, and where the round goes on; None where it is over."""

    found: Fetched
    objects: int
    next: str | None


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
    turn = _turn21 if server.version == "2.1" else _turn20
    overlap = timedelta(seconds=config.overlap)
    mark, pages, place, restarts, seen = Watermark(after), 0, "", 0, set[bytes]()
    while True:
        answer = turn(server, config.page_size, collection, place, _earlier(mark.after, overlap))
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


def _turn21(server: Server, size: int, collection: Collection, place: str, after: str | None) -> Turn | None:
    """One page of TAXII 2.1 (§5.4): `more` and `next` lead on. None where `next` is refused."""
    params = {"limit": str(size), "match[version]": "all"}
    params |= {"added_after": after} if after else {}
    params |= {"next": place} if place else {}
    found = server.ask(f"{collection.url}?{urlencode(params)}", objects=True)
    if place and found.status in (400, 404, 410, 416, 422):
        return None
    envelope = _json(found)
    more, token = bool(envelope.get("more")), envelope.get("next")
    if more and not token:
        raise Unfollowable(shown(collection.url), action="Tell its operator: `more` without `next`.")
    return Turn(found, len(envelope.get("objects") or ()), str(token) if more else None)


def _turn20(server: Server, size: int, collection: Collection, place: str, after: str | None) -> Turn | None:
    """One page of TAXII 2.0 (§3.5), a range of items. What came counts, not what was asked for or announced."""
    start = int(place or 0)
    params = {"match[version]": "all", **({"added_after": after} if after else {})}
    # The specification writes `items 0-9`, the HTTP it rests on `items=0-9`; servers take one or the other.
    for unit in ("items=", "items "):
        wanted = {"range": f"{unit}{start}-{start + size - 1}"}
        found = server.ask(f"{collection.url}?{urlencode(params)}", objects=True, headers=wanted)
        if found.status != 400:
            break
    # The collection has just been listed: a 404 means that it has no objects in this range.
    if found.status in (404, 416):
        return Turn(found, 0, None)
    objects = len(_json(found).get("objects") or ())
    whole = found.status != 206 and "content-range" not in found.headers
    return Turn(found, objects, str(start + objects) if objects and not whole else None)


def _asked_at(found: Fetched) -> str:
    """When the server answered, by its own clock; empty where it does not say."""
    try:
        return _stamp(parsedate_to_datetime(found.headers.get("date", "")))
    except (TypeError, ValueError):
        return ""


def _later(one: str | None, other: str | None) -> bool:
    """Whether the first of two times is later. What is no time is never later, and always earlier."""
    first, second = _time(one or ""), _time(other or "")
    return first is not None and (second is None or first > second)


def _json(found: Fetched) -> dict[str, Any]:
    refuse(found.status, found.url)
    try:
        value = orjson.loads(found.body or b"{}")
    except orjson.JSONDecodeError as error:
        if "json" in found.headers.get("content-type", ""):
            raise NotReady(f"{shown(found.url)}: broken JSON at byte {error.pos:,}.") from error
        raise NotTaxii(shown(found.url), action="Give the address of the server's API.") from error
    if not isinstance(value, dict):
        raise NotTaxii(shown(found.url), action="Give the address of the server's API.")
    return value


def _closed(url: str) -> str:
    """The address with the slash at its end that TAXII's addresses have."""
    return url if url.endswith("/") or "?" in url else url + "/"


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _earlier(after: str | None, overlap: timedelta) -> str | None:
    moment = _time(after) if after else None
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
