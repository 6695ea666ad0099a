"""A MISP instance: events by its search interface, each as the instance wrote it, and events pushed back.

Requests go through this project's own web client and not through PyMISP's: PyMISP resolves names itself, follows
redirects and the environment's proxies with the key in hand, and hands over parsed events where the landing zone
wants the bytes as they came. What PyMISP knows of MISP's data serves where events are made to be pushed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import resolve
from connectors.misp_push import push, why
from connectors.misp_search import ADDRESS, JSON, PAGE_BYTES, NoMisp, Search
from connectors.misp_sightings import Sightings
from connectors.misp_withdrawing import withdraw
from connectors.moments import in_utc
from connectors.registry import Reach, connector
from connectors.stages import failed, led_to
from connectors.web import Fetched, Turned, Web, origin, refuse, shown, tls, web_address
from engine.errors import SpireError
from engine.ports import Cursor, Delivered, Outgoing, Payload, Stage

NO_EVENTS = b'{"response": []}'
_LEVELS = {"high": "1", "medium": "2", "low": "3", "undefined": "4"}
_FOLLOWED = {"published": "publish_timestamp", "changed": "timestamp"}

Item = dict[str, Any]


@connector(
    "misp",
    title="MISP instance",
    summary="Events of a MISP server by its API, and events pushed to it",
    capabilities=("incremental", "write"),
)
class Config(BaseModel):
    """Where the instance is, whose key to use, and which events to take."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(title="Address", description="Address of the instance.", max_length=4000)
    key: SecretStr = Field(
        title="API key", description="A key of an account of the instance; sent to its address only."
    )
    follow: Literal["published", "changed"] = Field(
        json_schema_extra={
            "meanings": {
                "published": "events as they are published",
                "changed": "unpublished events too, by their last change",
            },
            "reading": True,
        },
        default="published",
        description="Published events as they are published, or also unpublished ones by their last change.",
    )
    since: datetime | None = Field(
        json_schema_extra={"reading": True},
        title="Begin at",
        default=None,
        description="Take only what is later; none means everything.",
    )
    organisations: list[str] = Field(
        json_schema_extra={"reading": True},
        default=[],
        description="Take only events these organisations created, by name or UUID; none means all.",
    )
    tags: list[str] = Field(
        json_schema_extra={"reading": True},
        default=[],
        description="Take only events with one of these tags; % stands for anything, none means all.",
    )
    without_tags: list[str] = Field(
        json_schema_extra={"further": True, "reading": True},
        default=[],
        description="Leave out events with one of these tags.",
    )
    threat_levels: list[str] = Field(
        json_schema_extra={"further": True, "reading": True},
        default=[],
        description="Take only events of these levels: high, medium, low, undefined; none means all.",
    )
    to_ids: bool = Field(
        json_schema_extra={"reading": True},
        title="Only what is to be detected",
        default=False,
        description="Take only attributes that MISP marks for detection (to_ids), and not the context.",
    )
    deleted: bool = Field(
        json_schema_extra={"further": True, "reading": True},
        title="With deleted attributes",
        default=True,
        description="Take attributes that were deleted as well: they come as revoked.",
    )
    warninglists: bool = Field(
        json_schema_extra={"further": True, "reading": True},
        title="Without false positives",
        default=False,
        description="Let the instance leave out what its warninglists name.",
    )
    attachments: bool = Field(
        json_schema_extra={"further": True, "reading": True},
        default=False,
        description="Take attached files and samples along.",
    )
    certificate: SecretStr = Field(
        json_schema_extra={"further": True, "lines": 4},
        default=SecretStr(""),
        description="Our certificate and its key (PEM), where the instance asks for one.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    page_size: int = Field(
        json_schema_extra={"further": True, "reading": True},
        default=50,
        ge=1,
        le=5000,
        description="Events to ask for at a time.",
    )
    overlap: float = Field(
        json_schema_extra={"further": True, "reading": True},
        default=60.0,
        ge=0,
        le=604_800,
        description="Seconds before the last round's end to read again.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value).rstrip("/")

    @field_validator("threat_levels")
    @classmethod
    def _known_levels(cls, value: list[str]) -> list[str]:
        found = [level.strip().lower() for level in value if level.strip()]
        if unknown := set(found) - set(_LEVELS):
            raise ValueError(f"no threat level {', '.join(sorted(unknown))}: there are {', '.join(_LEVELS)}")
        return found


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, key, permission, version, first event; each failure with what to do."""
    web = _web(config, reach)
    stage = "name"
    try:
        yield from led_to(config.url, reach, sent="the key", context=web.context, resolver=web.resolver)
        stage = "answer"
        # Without the key: it is sent once the address is known to answer.
        bare = Web(config.url, reach, context=web.context, resolver=web.resolver)
        bare.fetch(f"{config.url}/servers/getVersion", JSON, most=1 << 20)
        stage = "key"
        user = _object(web.fetch(f"{config.url}/users/view/me", JSON, most=1 << 20), config.url)
        if not isinstance(user.get("User"), dict):
            raise NoMisp(shown(config.url), action=ADDRESS)
        yield Stage("key", True, f"it is an account's with the role {_role(user).get('name', 'unknown')}")
        stage = "permission"
        search = _search(web, config)
        search.ask({"limit": 1, "page": 1, "metadata": True}, PAGE_BYTES)
        yield Stage("permission", True, f"it may read events{_may_write(_role(user))}")
        stage = "version"
        version = _object(web.fetch(f"{config.url}/servers/getVersion", JSON, most=1 << 20), config.url).get(
            "version"
        )
        if not version:
            raise NoMisp(shown(config.url), action=ADDRESS)
        yield Stage("version", True, f"MISP {version}")
        stage = "first event"
        found = search.page({**search.query, "limit": 1, "page": 1})
        yield Stage("first event", True, "it is whole" if found.events else "nothing to take yet")
    except SpireError as error:
        told = failed(
            stage, error, _ADVICE.get(stage, "Check the address, and that the instance is running.")
        )
        # A refused key or permission has causes of its own here; of all else the error knows more.
        ours = stage in ("key", "permission") and isinstance(error, Turned)
        yield replace(told, action=_ADVICE[stage]) if ours else told


_ADVICE = {
    "key": "Check the key, that it has not expired, and that it may be used from this address.",
    "permission": "Ask the instance's operator for a role with API access.",
    "version": ADDRESS,
}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """New and changed events in pages, each event's bytes as the instance wrote them, with the time reached."""
    search = _search(_web(config, reach), config)
    begin = _begin(config, since)
    after = max(0, int(begin - config.overlap)) if since else int(begin)
    pages = search.in_order(after, begin) if search.obeys_order() else search.in_any_order(after, begin)
    for number, (events, reached) in enumerate(pages, 1):
        cursor: Cursor = {"follow": config.follow, "at": max(reached, int(begin))}
        body = b'{"response": [' + b",\n".join(event.raw for event in events) + b"]}" if events else NO_EVENTS
        yield Payload(f"events-{number}.json", io.BytesIO(body), cursor, "application/json")


def write(config: Config, outgoing: Outgoing, reach: Reach) -> Iterator[Delivered]:
    """Events created or updated by their uuid, and sightings; what is gone is deleted softly.

    What is there already as we have it is left alone.
    """
    web = _web(config, reach)
    seen = Sightings(web, config.url, lambda answer: why(answer, web))
    for event in outgoing.events():
        yield seen.push(event) if "Sighting" in event else push(web, config.url, event)
    if outgoing.gone:
        yield from withdraw(web, config.url, outgoing.gone, lambda answer: why(answer, web))


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────


def _search(web: Web, config: Config) -> Search:
    field = _FOLLOWED[config.follow]
    return Search(
        web, config.url, field, _query(config), lambda event: _wanted(event, config), config.page_size
    )


def _query(config: Config) -> Item:
    """What to search for, in the words of MISP's search interface."""
    query: Item = {"deleted": [0, 1]} if config.deleted else {}
    if config.follow == "published":
        query["published"] = 1
    if config.organisations:
        query["org"] = config.organisations
    if config.tags or config.without_tags:
        query["tags"] = {
            **({"OR": config.tags} if config.tags else {}),
            **({"NOT": config.without_tags} if config.without_tags else {}),
        }
    if config.threat_levels:
        query["threat_level_id"] = [_LEVELS[level] for level in config.threat_levels]
    for name, asked in {
        "to_ids": config.to_ids,
        "enforceWarninglist": config.warninglists,
        "withAttachments": config.attachments,
    }.items():
        if asked:
            query[name] = 1
    return query


def _wanted(event: Item, config: Config) -> bool:
    """Whether an event is one that was asked for: not every implementation of the interface heeds every filter."""
    if config.follow == "published" and str(event.get("published")).lower() in ("false", "0"):
        return False
    if config.threat_levels and str(event.get("threat_level_id")) not in map(
        _LEVELS.get, config.threat_levels
    ):
        return False
    by = event.get("Orgc") or {}
    whose = {str(by.get(name, "")).lower() for name in ("id", "name", "uuid")}
    if config.organisations and not whose & {name.strip().lower() for name in config.organisations}:
        return False
    if not config.tags and not config.without_tags:
        return True
    things = [
        event,
        *_items(event, "Attribute"),
        *(a for o in _items(event, "Object") for a in _items(o, "Attribute")),
    ]
    named = {str(tag.get("name", "")).lower() for thing in things for tag in _items(thing, "Tag")}
    return (not config.tags or _meets(named, config.tags)) and not _meets(named, config.without_tags)


def _meets(named: set[str], patterns: list[str]) -> bool:
    plain = [
        pattern.strip().lower().replace("[", "[[]").replace("?", "[?]").replace("*", "[*]").replace("%", "*")
        for pattern in patterns
    ]
    return any(fnmatchcase(name, pattern) for name in named for pattern in plain)


def _items(of: Item, key: str) -> list[Item]:
    return [item for item in of.get(key) or () if isinstance(item, dict)]


def _object(found: Fetched, home: str) -> Item:
    if origin(found.url) != origin(home):
        raise Turned(
            f"{shown(home)} leads to another address.",
            action=f"If you trust it, give that one: {shown(found.url)}",
        )
    refuse(found.status, found.url)
    try:
        value = orjson.loads(found.body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise NoMisp(shown(found.url), action=ADDRESS)
    return value


def _begin(config: Config, since: Cursor | None) -> float:
    """The time to read from. A cursor of the other time says nothing about this one."""
    own = config.since
    floor = in_utc(own).timestamp() if own else 0.0
    if since and since.get("follow") == config.follow:
        return max(float(str(since.get("at") or 0)), floor)
    return floor


def _role(user: Item) -> Item:
    role = user.get("Role")
    return role if isinstance(role, dict) else {}


def _may_write(role: Item) -> str:
    if not role:
        return ""
    return " and push them" if role.get("perm_add") else "; it may not push any"


def _web(config: Config, reach: Reach) -> Web:
    context = tls(config.authority, config.certificate.get_secret_value())
    # MISP takes the key bare, without a scheme before it. A name is resolved once for a whole reading.
    headers = {"authorization": config.key.get_secret_value()}
    return Web(config.url, reach, headers, context=context, resolver=cache(resolve))
