"""A MISP feed: a manifest of events and one file each, of which those come that are new or changed.

A manifest's times do not say what is new: an old event may be published today. So the cursor is what was read,
a hash for each event as the manifest described it, and an event comes when its hash is not among them.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import checked
from connectors.registry import Reach, connector
from connectors.web import Web, port_of, refuse, shown, web_address
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

MANIFEST_BYTES = 256 << 20
EVENT_BYTES = 512 << 20
PAYLOAD_BYTES = 8 << 20


class NoFeed(Stop):
    """What answers at this address is no MISP feed."""


class NotWhole(Retry):
    """An event that the manifest names did not come whole. We will try again at the next run."""


@connector("misp_feed", title="MISP feed", summary="Events that a MISP instance publishes as files")
class Config(BaseModel):
    """Where the feed is, and which of its events to take."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        title="Address", description="Address of the feed: the folder of its manifest.json.", max_length=4000
    )
    header: str = Field(
        default="", description="Name of a header to send, such as Authorization.", pattern=r"^[\w-]*$"
    )
    secret: SecretStr = Field(default=SecretStr(""), description="The header's value; kept as a credential.")
    tags: list[str] = Field(
        default=[], description="Take only events with one of these tags; none means all."
    )
    organisations: list[str] = Field(
        default=[], description="Take only events of these organisations, by name or UUID; none means all."
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        folder = web_address(value).removesuffix("manifest.json")
        return folder if folder.endswith("/") else folder + "/"


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, manifest, first event; each failure with what to do."""
    stage, host = "name", urlsplit(config.url).hostname or ""
    try:
        addresses = checked(host, port_of(config.url), reach.hosts)
        yield Stage("name", True, f"{host} is {addresses[0]}")
        stage = "manifest"
        web = _web(config, reach)
        wanted = _wanted(config, _manifest(web, config))
        yield Stage("manifest", True, f"{len(wanted):,} events")
        stage = "first event"
        for uuid, _ in wanted[:1]:
            _event(web, config, uuid)
        yield Stage("first event", True, "it is whole" if wanted else "nothing in it yet")
    except SpireError as error:
        action = error.action or "Check the address: the folder in which manifest.json lies."
        yield Stage(stage, False, f"{error.title} {error.where}".strip(), action)


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """New and changed events in payloads of some megabytes, each event's bytes as the feed has them."""
    web = _web(config, reach)
    wanted = _wanted(config, _manifest(web, config))
    # What the feed no longer lists need not be remembered.
    known = _unpacked((since or {}).get("known")) & {mark for _, mark in wanted}
    bodies, marks, number = list[bytes](), set[int](), 0
    for uuid, mark in wanted:
        if mark in known:
            continue
        bodies.append(_event(web, config, uuid))
        marks.add(mark)
        if sum(map(len, bodies)) >= PAYLOAD_BYTES:
            number, known = number + 1, known | marks
            yield _payload(bodies, number, known)
            bodies, marks = [], set()
    if bodies:
        yield _payload(bodies, number + 1, known | marks)


def _payload(bodies: list[bytes], number: int, known: set[int]) -> Payload:
    return Payload(
        f"events-{number}.json", io.BytesIO(b"\n".join(bodies)), {"known": _packed(known)}, "application/json"
    )


def _packed(marks: set[int]) -> str:
    return base64.b64encode(np.array(sorted(marks), "<u8").tobytes()).decode()


def _unpacked(text: object) -> set[int]:
    return set(np.frombuffer(base64.b64decode(str(text or "")), "<u8").tolist())


def _wanted(config: Config, manifest: dict[str, dict[str, Any]]) -> list[tuple[str, int]]:
    """The events to take and what marks each as it is now, in order of change."""
    tags = {tag.strip().lower() for tag in config.tags if tag.strip()}
    organisations = {name.strip().lower() for name in config.organisations if name.strip()}
    found = []
    for uuid, entry in manifest.items():
        own = {str(tag.get("name", "")).lower() for tag in entry.get("Tag") or () if isinstance(tag, dict)}
        by = entry.get("Orgc") or {}
        whose = {str(by.get("name", "")).lower(), str(by.get("uuid", "")).lower()}
        if (not tags or tags & own) and (not organisations or organisations & whose):
            found.append((_changed(entry), uuid, _mark(uuid, entry)))
    return [(uuid, mark) for _, uuid, mark in sorted(found)]


def _manifest(web: Web, config: Config) -> dict[str, dict[str, Any]]:
    found = web.fetch(urljoin(config.url, "manifest.json"), most=MANIFEST_BYTES)
    refuse(found.status, found.url)
    try:
        value = orjson.loads(found.body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise NoFeed(shown(found.url), action="Give the address of the folder in which manifest.json lies.")
    return {str(uuid): entry for uuid, entry in value.items() if _is_name(str(uuid))}


def _event(web: Web, config: Config, uuid: str) -> bytes:
    found = web.fetch(urljoin(config.url, f"{uuid}.json"), most=EVENT_BYTES)
    if found.status == 404:
        # Feeds are written file by file: the manifest may name what is not there yet.
        raise NotWhole(f"{shown(found.url)}: it is not there.")
    refuse(found.status, found.url)
    try:
        value = orjson.loads(found.body)
    except orjson.JSONDecodeError as error:
        raise NotWhole(f"{shown(found.url)}: broken JSON at byte {error.pos:,}.") from error
    if not isinstance(value, dict) or not isinstance(value.get("Event", value), dict):
        raise NotWhole(f"{shown(found.url)}: no event.")
    return found.body


def _changed(entry: dict[str, Any]) -> int:
    """When the event was changed last, in seconds; publishing it anew counts as a change."""
    times = [str(entry.get(name, "")) for name in ("timestamp", "publish_timestamp")]
    return max([int(text) for text in times if text.isdigit()], default=0)


def _mark(uuid: str, entry: dict[str, Any]) -> int:
    text = uuid.encode() + orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def _is_name(uuid: str) -> bool:
    """Whether it can be a file's name here: a manifest must not lead anywhere else."""
    return bool(uuid) and all(c.isalnum() or c == "-" for c in uuid)


def _web(config: Config, reach: Reach) -> Web:
    return Web(config.url, reach, {config.header: config.secret.get_secret_value()} if config.header else {})
