"""A MISP feed: a manifest of events and one file each, or a list of values as CSV or free text.

A manifest's times do not say what is new: an old event may be published today. So the cursor is what was read,
a hash for each event as the manifest described it, and an event comes when its hash is not among them. Where the
feed's `hashes.csv` is looked at as well, an event whose values changed comes though the manifest says nothing.
What the server says has not changed at all is not fetched again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO, Literal
from urllib.parse import urljoin

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import resolve
from connectors.marks import mark, packed, unpacked
from connectors.misp_values import pattern_of, rows
from connectors.registry import Reach, connector
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import Web, body_of, refuse, shown, web_address
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

MANIFEST_BYTES = 256 << 20
EVENT_BYTES = 512 << 20
PAYLOAD_BYTES = 8 << 20
SECONDS = 3600.0


class NoFeed(Stop):
    """What answers at this address is no MISP feed."""


class NotWhole(Retry):
    """An event that the manifest names did not come whole. We will try again at the next run."""


@connector(
    "misp_feed",
    title="MISP feed",
    summary="Events that a MISP instance publishes as files, or a list of values",
    capabilities=("incremental",),
)
class Config(BaseModel):
    """Where the feed is, and which of its events to take."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        title="Address",
        description="Address of the feed: the folder of its manifest.json, or the file of values.",
        max_length=4000,
    )
    kind: Literal["misp", "csv", "freetext"] = Field(
        json_schema_extra={
            "meanings": {
                "misp": "events with a manifest",
                "csv": "values in columns",
                "freetext": "values in text",
            }
        },
        title="Kind of feed",
        default="misp",
        description="What the feed is in MISP's words: events with a manifest, CSV, or free text.",
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

    hashes: bool = Field(
        json_schema_extra={"further": True},
        title="Look at hashes.csv",
        default=False,
        description="Also take events whose values changed though the manifest says nothing of it.",
    )
    value: str = Field(
        json_schema_extra={"further": True},
        title="Value columns",
        default="1",
        description="CSV: numbers of the columns that hold values, the first is 1 (MISP: settings.csv.value).",
        pattern=r"^\s*[1-9]\d{0,2}(\s*,\s*[1-9]\d{0,2})*\s*$",
    )
    delimiter: str = Field(
        json_schema_extra={"further": True},
        default=",",
        min_length=1,
        max_length=1,
        description="CSV: what stands between columns (MISP: settings.csv.delimiter).",
    )
    exclude: str = Field(
        json_schema_extra={"further": True},
        default="",
        max_length=500,
        description="Leave out lines in which this expression is found (MISP: settings.common.excluderegex).",
    )
    size_limit: int = Field(
        json_schema_extra={"further": True},
        default=1 << 30,
        gt=0,
        description="Most bytes of a file of values.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)

    @field_validator("exclude")
    @classmethod
    def _expression(cls, value: str) -> str:
        pattern_of(value)
        return value

    @property
    def folder(self) -> str:
        """The address of the folder that the manifest lies in."""
        folder = self.url.removesuffix("manifest.json")
        return folder if folder.endswith("/") else folder + "/"

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns that hold values; none where it is free text."""
        return tuple(int(number) for number in self.value.split(",")) if self.kind == "csv" else ()


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, manifest and first event, or the first value; each failure with what to do."""
    stage = "name"
    try:
        web = _web(config, reach)
        sent = CREDENTIAL if web.headers else ""
        yield from led_to(config.url, reach, sent=sent, resolver=web.resolver)
        if config.kind != "misp":
            stage = "first value"
            with _opened(web, config, {}) as (stream, _):
                found = next(_rows(stream, config), None)
            yield Stage("first value", True, "it is there" if found else "nothing in it yet")
            return
        stage = "manifest"
        wanted = _wanted(config, _manifest(web, config)[0], _hashes(web, config))
        yield Stage("manifest", True, f"{len(wanted):,} events")
        stage = "first event"
        for uuid, _ in wanted[:1]:
            _event(web, config, uuid)
        yield Stage("first event", True, "it is whole" if wanted else "nothing in it yet")
    except SpireError as error:
        yield failed(stage, error, _ADVICE[config.kind])


_ADVICE = {
    "misp": "Check the address: the folder in which manifest.json lies.",
    **dict.fromkeys(("csv", "freetext"), "Check the address of the file."),
}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """What is new and changed in payloads of some megabytes: events to the byte, values with their lines."""
    web = _web(config, reach)
    yield from (
        _events(web, config, since or {}) if config.kind == "misp" else _values(web, config, since or {})
    )


def _events(web: Web, config: Config, since: Cursor) -> Iterator[Payload]:
    # What another choice left out may be wanted now: only of the same one does "not changed" say anything.
    asked = _choice(config)
    tag = str(since.get("manifest", "")) if since.get("asked") == asked and not config.hashes else ""
    manifest, now = _manifest(web, config, tag)
    wanted = _wanted(config, manifest, _hashes(web, config))
    if manifest is None:
        return
    whole: Cursor = {"manifest": now, "asked": asked} if now else {}
    # What the feed no longer lists need not be remembered.
    known = unpacked(since.get("known")) & {seen for _, seen in wanted}
    left = [(uuid, seen) for uuid, seen in wanted if seen not in known]
    bodies, marks, number = list[bytes](), set[int](), 0
    for place, (uuid, seen) in enumerate(left, 1):
        bodies.append(_event(web, config, uuid))
        marks.add(seen)
        if sum(map(len, bodies)) >= PAYLOAD_BYTES or place == len(left):
            number, known = number + 1, known | marks
            yield _payload(bodies, number, known, whole if place == len(left) else {})
            bodies, marks = [], set()


def _values(web: Web, config: Config, since: Cursor) -> Iterator[Payload]:
    """The values of a file that has changed. The cursor comes with the last of them: a file is read whole."""
    asked = _choice(config)
    headers = {}
    if since.get("asked") == asked:
        names = {"etag": "if-none-match", "modified": "if-modified-since"}
        headers = {header: str(since[name]) for name, header in names.items() if since.get(name)}
    with _opened(web, config, headers) as (stream, cursor):
        held, size, number = list[bytes](), 0, 0
        for row in _rows(stream, config):
            if size >= PAYLOAD_BYTES:
                number += 1
                yield Payload(
                    f"values-{number}.ndjson", io.BytesIO(b"\n".join(held)), None, "application/x-ndjson"
                )
                held, size = [], 0
            held.append(row)
            size += len(row)
        if held:
            body = io.BytesIO(b"\n".join(held))
            yield Payload(
                f"values-{number + 1}.ndjson", body, {**cursor, "asked": asked}, "application/x-ndjson"
            )


@contextmanager
def _opened(web: Web, config: Config, headers: dict[str, str]) -> Iterator[tuple[BinaryIO, Cursor]]:
    """The file of values as a stream, empty where it has not changed, and what marks it as it is now."""
    with web.answer(config.url, headers) as response:
        if response.status_code == 304:
            yield io.BytesIO(), {}
            return
        refuse(response.status_code, str(response.url))
        names = {"etag": "etag", "modified": "last-modified"}
        marks: Cursor = {
            name: response.headers[header] for name, header in names.items() if header in response.headers
        }
        yield body_of(response, config.size_limit, SECONDS), marks


def _rows(stream: BinaryIO, config: Config) -> Iterator[bytes]:
    exclude = pattern_of(config.exclude)
    return rows(stream, columns=config.columns, delimiter=config.delimiter, exclude=exclude)


def _choice(config: Config) -> str:
    """What the source chooses, in short: a cursor says what was read of that choice."""
    chosen = [
        config.url,
        config.kind,
        config.tags,
        config.organisations,
        config.value,
        config.delimiter,
        config.exclude,
    ]
    return hashlib.sha256(orjson.dumps(chosen)).hexdigest()[:16]


def _payload(bodies: list[bytes], number: int, known: set[int], whole: Cursor) -> Payload:
    cursor: Cursor = {"known": packed(known), **whole}
    return Payload(f"events-{number}.json", io.BytesIO(b"\n".join(bodies)), cursor, "application/json")


def _wanted(
    config: Config, manifest: dict[str, dict[str, Any]] | None, hashes: dict[str, bytes]
) -> list[tuple[str, int]]:
    """The events to take and what marks each as it is now, in order of change."""
    tags = {tag.strip().lower() for tag in config.tags if tag.strip()}
    organisations = {name.strip().lower() for name in config.organisations if name.strip()}
    found = []
    for uuid, entry in (manifest or {}).items():
        own = {str(tag.get("name", "")).lower() for tag in entry.get("Tag") or () if isinstance(tag, dict)}
        by = entry.get("Orgc") or {}
        whose = {str(by.get("name", "")).lower(), str(by.get("uuid", "")).lower()}
        if (not tags or tags & own) and (not organisations or organisations & whose):
            found.append((_changed(entry), uuid, _mark(uuid, entry, hashes.get(uuid, b""))))
    return [(uuid, seen) for _, uuid, seen in sorted(found)]


def _manifest(web: Web, config: Config, tag: str = "") -> tuple[dict[str, dict[str, Any]] | None, str]:
    """The manifest, None where it is still the one of that entity tag, and its own."""
    headers = {"if-none-match": tag} if tag else {}
    found = web.fetch(urljoin(config.folder, "manifest.json"), headers, most=MANIFEST_BYTES)
    if found.status == 304:
        return None, tag
    refuse(found.status, found.url)
    try:
        value = orjson.loads(found.body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise NoFeed(shown(found.url), action="Give the address of the folder in which manifest.json lies.")
    entries = {str(uuid): entry for uuid, entry in value.items() if _is_name(str(uuid))}
    return entries, found.headers.get("etag", "")


def _hashes(web: Web, config: Config) -> dict[str, bytes]:
    """For each event a digest of its values' hashes, whatever order they are listed in; empty where there are none."""
    if not config.hashes:
        return {}
    found = web.fetch(urljoin(config.folder, "hashes.csv"), most=MANIFEST_BYTES)
    if found.status == 404:
        return {}
    refuse(found.status, found.url)
    digests: dict[str, int] = {}
    for line in io.BytesIO(found.body):
        value, _, uuid = line.decode("ascii", "replace").strip().partition(",")
        if value and _is_name(uuid):
            seen = int.from_bytes(hashlib.sha256(value.encode()).digest()[:16], "little")
            digests[uuid] = (digests.get(uuid, 0) + seen) % (1 << 128)
    return {uuid: digest.to_bytes(16, "little") for uuid, digest in digests.items()}


def _event(web: Web, config: Config, uuid: str) -> bytes:
    found = web.fetch(urljoin(config.folder, f"{uuid}.json"), most=EVENT_BYTES)
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


def _mark(uuid: str, entry: dict[str, Any], values: bytes) -> int:
    return mark(uuid.encode() + orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) + values)


def _is_name(uuid: str) -> bool:
    """Whether it can be a file's name here: a manifest must not lead anywhere else."""
    return bool(uuid) and all(c.isalnum() or c == "-" for c in uuid)


def _web(config: Config, reach: Reach) -> Web:
    headers = {config.header: config.secret.get_secret_value()} if config.header else {}
    # Once for a whole reading: a feed is many files at one place.
    return Web(config.url, reach, headers, resolver=cache(resolve))
