"""The wire of TAXII 2.0 and 2.1: the way to a server and its collections, one page of objects, one part handed in."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import orjson

from connectors.web import Fetched, Turned, Web, origin, refuse, shown
from engine.errors import Retry, SpireError, Stop

PAGE_BYTES = 64 << 20
_TAXII = {"2.1": "application/taxii+json;version=2.1", "2.0": "application/vnd.oasis.taxii+json; version=2.0"}
# Objects travel in an envelope of TAXII's in 2.1, and in a bundle of STIX in 2.0.
_OBJECTS = {"2.1": _TAXII["2.1"], "2.0": "application/vnd.oasis.stix+json; version=2.0"}
_DISCOVERY = {"2.1": "/taxii2/", "2.0": "/taxii/"}


class NotTaxii(Stop):
    """What answers at this address is no TAXII server."""


class NoCollection(Stop):
    """This server has no such collection that we may use."""


class Unfollowable(Stop):
    """The server says there is more and gives no way to it, so what it has beyond is not taken for read."""


class NotReady(Retry):
    """The server's answer was not whole. We will try again at the next run."""


@dataclass(frozen=True)
class Server:
    """A TAXII server as far as we know it: its version and the API roots at its own origin."""

    web: Web
    version: str
    roots: tuple[str, ...] = ()

    def ask(self, url: str, *, objects: bool = False, headers: Mapping[str, str] | None = None) -> Fetched:
        accept = (_OBJECTS if objects else _TAXII)[self.version]
        return self.web.fetch(url, {"accept": accept, **(headers or {})}, most=PAGE_BYTES)

    def hand_in(self, url: str, body: bytes) -> Fetched:
        """The answer to objects posted to a collection: a status, or a refusal."""
        headers = {"accept": _TAXII[self.version], "content-type": _OBJECTS[self.version]}
        return self.web.fetch(url, headers, body, most=PAGE_BYTES)

    def remove(self, url: str) -> Fetched:
        """The answer to the removal of an object."""
        return self.web.fetch(url, {"accept": _TAXII[self.version]}, most=PAGE_BYTES, method="DELETE")


@dataclass(frozen=True)
class Collection:
    """A collection, the API root it is under, and what we may do with it. `media` are the types it takes."""

    id: str
    title: str
    alias: str
    url: str
    root: str
    readable: bool
    writable: bool
    media: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.title or self.id


def server_at(web: Web, url: str, version: str) -> Server:
    """The server behind an address: a discovery document, an API root, or a host that has one."""
    versions = ["2.1", "2.0"] if version == "auto" else [version]
    bare = urlsplit(url).path in ("", "/")
    refused: SpireError | None = None
    for each in versions:
        server = Server(web, each)
        for place in (url, urljoin(url, _DISCOVERY[each])) if bare else (url,):
            try:
                found = json_of(server.ask(_closed(place)))
            except (Turned, NotTaxii) as error:
                refused = error
                continue
            if roots := _roots(found, place, url):
                return replace(server, roots=roots)
    raise refused or NotTaxii(shown(url), action="Give the address of the server's discovery document.")


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


def collections_of(server: Server) -> list[Collection]:
    """Every collection of a server's API roots that an account sees; those it may only write to among them."""
    found, refused = list[Collection](), None
    for root in server.roots:
        try:
            listed = json_of(server.ask(urljoin(root, "collections/"))).get("collections") or []
        except Turned as error:
            refused = error
            continue
        found += [_collection(each, root) for each in listed if each.get("id")]
    if not found and refused is not None:
        raise refused
    return found


def _collection(told: dict[str, Any], root: str) -> Collection:
    return Collection(
        id=str(told["id"]),
        title=str(told.get("title", "")),
        alias=str(told.get("alias", "")),
        url=urljoin(root, f"collections/{told['id']}/objects/"),
        root=root,
        readable=bool(told.get("can_read", True)),
        writable=bool(told.get("can_write", False)),
        media=tuple(map(str, told.get("media_types") or ())),
    )


def chosen(found: list[Collection], names: Names[str]) -> list[Collection]:
    """Those of the collections that are named by id, title or alias, or all where none is; NoCollection."""
    wanted = {name.strip().lower() for name in names if name.strip()}
    known = [({c.id.lower(), c.title.lower(), c.alias.lower()}, c) for c in found]
    taken = [c for called, c in known if not wanted or wanted & called]
    missing = wanted.difference(*(called for called, _ in known))
    if missing or not taken:
        there = ", ".join(c.name for c in found) or "none"
        raise NoCollection(", ".join(sorted(missing)), action=f"There are: {there}.")
    return taken


def moment_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as STIX has its versions."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Turn:
    """One answer: its page, how many objects it holds, and where the round goes on; None where it is over."""

    found: Fetched
    objects: int
    next: str | None


def turn(
    server: Server, collection: Collection, size: int, place: str, asked: Mapping[str, str]
) -> Turn | None:
    """The page at a place (empty for the first) of the objects asked for. None where the place is refused."""
    asked = {"match[version]": "all", **asked}
    one = _turn21 if server.version == "2.1" else _turn20
    return one(server, collection, size, place, asked)


def _turn21(
    server: Server, collection: Collection, size: int, place: str, asked: Mapping[str, str]
) -> Turn | None:
    """TAXII 2.1 §5.4: `more` and `next` lead on."""
    params = {"limit": str(size), **asked, **({"next": place} if place else {})}
    found = server.ask(f"{collection.url}?{urlencode(params)}", objects=True)
    if place and found.status in (400, 404, 410, 416, 422):
        return None
    envelope = json_of(found)
    more, token = bool(envelope.get("more")), envelope.get("next")
    if more and not token:
        raise Unfollowable(shown(collection.url), action="Tell its operator: `more` without `next`.")
    return Turn(found, len(envelope.get("objects") or ()), str(token) if more else None)


def _turn20(
    server: Server, collection: Collection, size: int, place: str, asked: Mapping[str, str]
) -> Turn | None:
    """TAXII 2.0 §3.5, a range of items. What came counts, not what was asked for or announced."""
    start = int(place or 0)
    # The specification writes `items 0-9`, the HTTP it rests on `items=0-9`; servers take one or the other.
    for unit in ("items=", "items "):
        wanted = {"range": f"{unit}{start}-{start + size - 1}"}
        found = server.ask(f"{collection.url}?{urlencode(asked)}", objects=True, headers=wanted)
        if found.status != 400:
            break
    # The collection has just been listed: a 404 means that it has no objects in this range.
    if found.status in (404, 416):
        return Turn(found, 0, None)
    objects = len(json_of(found).get("objects") or ())
    whole = found.status != 206 and "content-range" not in found.headers
    return Turn(found, objects, str(start + objects) if objects and not whole else None)


def json_of(found: Fetched) -> dict[str, Any]:
    """The document in an answer; Turned, NotReady or NotTaxii where there is none."""
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
