"""A MongoDB collection, one document a line, with the values JSON has no form for written as exact text.

With a cursor field only documents at or after its last value come, and a little before it, since a document may
arrive later than it was stamped. Documents that have no such value, or one of another type, come every time.
On a replica set the changes themselves can be followed instead.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, cast

import orjson
from bson import (
    Binary,
    DBRef,
    Decimal128,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    decode_all,
    json_util,
)  # fmt: skip
from bson.datetime_ms import DatetimeMS
from pydantic import Field, field_validator, model_validator
from pymongo import CursorType
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError

from connectors import database, slices
from connectors.abreast import ahead, joined
from connectors.addresses import Resolve, resolve
from connectors.database import NotReadable
from connectors.mongo_changes import changes
from connectors.mongo_server import CODEC, Document, Server, browse, connected, readable, secured, told
from connectors.mongo_sink import upserted
from connectors.pieces import stream_of
from connectors.registry import Reach, connector
from engine.ports import Cursor, Delivered, Outgoing, Payload, Stage

_NDJSON = "application/x-ndjson"
__all__ = ["Config", "browse", "check", "read", "write"]


@connector(
    "mongo",
    title="MongoDB",
    summary="A collection of a MongoDB database",
    capabilities=("incremental", "streams", "write"),
)
class Config(Server):
    """Which database, how to sign in, and what to read of it."""

    collection: str = Field(description="Name of the collection.", min_length=1, max_length=255)
    filter: str = Field(
        json_schema_extra={"lines": 4, "reading": True},
        default="",
        description="Which documents, as Extended JSON; none means all.",
        max_length=20_000,
    )
    fields: list[str] = Field(
        json_schema_extra={"reading": True}, default=[], description="Fields to read; none means all of them."
    )
    cursor: database.Grows = ""
    overlap: database.Overlap = 300.0
    connections: database.Connections = 1
    changes: bool = Field(
        json_schema_extra={"reading": True},
        default=False,
        description="Follow the changes of a replica set: everything once, then only what was written or deleted.",
    )

    @field_validator("filter")
    @classmethod
    def _is_query(cls, value: str) -> str:
        try:
            parsed = json_util.loads(value) if value else {}
        except (ValueError, TypeError):
            raise ValueError("it is not Extended JSON") from None
        if not isinstance(parsed, dict) or "$where" in value or "$function" in value:
            raise ValueError("give one query document, without code")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if self.changes and (self.cursor or self.filter):
            raise ValueError("changes are followed without a cursor field and without a filter")
        return self


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first document; each failure with what to do."""
    return database.checking(config, reach, connected, _STEPS, told, PyMongoError)


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Documents as lines of JSON: all of them, those since the cursor, or those that changed since."""
    with connected(config, reach, resolver) as found:
        collection = readable(found, config.collection)
        try:
            if config.changes:
                following = changes(collection, config.fields, since)
                for number, (documents, reached) in enumerate(following, 1):
                    name = f"{config.collection}-{number}.ndjson"
                    yield Payload(name, _stream(_batched(documents), config), reached, _NDJSON)
                return
            if config.connections > 1 and not config.cursor:
                yield from _abreast(collection, config, since)
                return
            for number, (condition, after) in enumerate(_slices(collection, config, since), 1):
                # The slices of a whole read are one collection, whichever of them a document stands in.
                part = f"-{number}" if after is not None and config.cursor else ""
                name = f"{config.collection}{part}.ndjson"
                order = config.cursor or "_id"
                yield Payload(name, _lines(collection, config, condition, order), after, _NDJSON)
        except PyMongoError as error:
            raise told(error, config) from None


def write(
    config: Config, outgoing: Outgoing, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Delivered]:
    """Put records into the collection by their key, a part at a time."""
    with connected(config, reach, resolver) as found:
        try:
            yield from upserted(found[config.collection], outgoing)
        except PyMongoError as error:
            raise told(error, config) from None


# ── the stages of a check ────────────────────────────────────────────────────────────────────────────


def _permitted(found: Database[Document], config: Config) -> str:
    return f"about {found[config.collection].estimated_document_count():,} documents"


def _cursor(found: Database[Document], config: Config) -> str | None:
    """What reading by the cursor will cost, or whether changes are told at all."""
    collection = readable(found, config.collection)
    if config.changes:
        collection.watch().close()
        return "this server tells its changes"
    if not config.cursor:
        return None
    indexes = collection.index_information().values()
    indexed = any(index["key"][0][0] == config.cursor for index in indexes)
    return config.cursor + (
        "" if indexed else "; no index begins with it, so each run reads the whole collection"
    )


def _first_document(found: Database[Document], config: Config) -> str:
    there = readable(found, config.collection).find_one(_filter(config))
    return "there is one" if there else "nothing in it yet"


_STEPS = {"sign-in": secured, "permission": _permitted, "cursor": _cursor, "first document": _first_document}


# ── which documents ──────────────────────────────────────────────────────────────────────────────────


def _slices(
    collection: Collection[Document], config: Config, since: Cursor | None
) -> Iterator[tuple[Document, Cursor | None]]:
    """What to read, piece by piece, each with the cursor after it."""
    if config.cursor:
        by_field = partial(_by, collection, config, config.cursor, config.overlap)
        count = partial(_within, collection, config)
        yield from slices.followed(since, ("field", config.cursor), config.overlap, by_field, count)
        return
    by_id = partial(_by, collection, config, "_id", 0)
    for found, after in slices.cut(since, "_id", by_id):
        yield found or {}, after


def _abreast(collection: Collection[Document], config: Config, since: Cursor | None) -> Iterator[Payload]:
    """Everything by ranges of its ids, read by several connections."""

    def take(condition: Document, first: bool) -> BinaryIO:
        return _lines(collection, config, condition, "_id")

    groups = database.ranges(since, "_id", partial(_by, collection, config, "_id", 0))
    with ahead(groups, lambda: nullcontext(take), config.connections) as found:
        for group, after in found:
            stream = joined(group) if group else take({}, True)
            yield Payload(f"{config.collection}.ndjson", stream, after, _NDJSON)


def _by(
    collection: Collection[Document],
    config: Config,
    name: str,
    overlap: float,
    known: str | None,
    rows: int = 0,
) -> Iterator[tuple[Document, str | None]]:
    """Conditions that together take every document once, each with the value reached.

    MongoDB compares within a type, so the type of the latest value is the one that is followed.
    """
    top = _first(collection, {"$and": [_filter(config), {name: {"$exists": True, "$ne": None}}]}, name, -1)
    last = known
    if top is not None:
        kind = {name: {"$type": _type(top)}}
        begin = _earlier(_value(known), overlap) if known else None
        bound: Document = {"$gte": begin} if begin is not None and _type(begin) == _type(top) else {}
        while True:
            inner: Document = {"$and": [_filter(config), kind, {name: bound} if bound else {}]}
            end = _first(collection, inner, name, 1, skip=(rows or database.ROWS) - 1)
            whole = end is None
            end = _first(collection, inner, name, -1) if whole else end
            if end is None:
                break
            last = json_util.dumps(end, json_options=json_util.CANONICAL_JSON_OPTIONS)
            yield {"$and": [kind, {name: {**bound, "$lte": end}}]}, last
            if whole:
                break
            bound = {"$gt": end}
        other: Document = {name: {"$not": {"$type": _type(top)}}}
    else:
        other = {}
    if collection.find_one({"$and": [_filter(config), other]}, {"_id": 1}) is not None:
        yield other, last


def _within(
    collection: Collection[Document], config: Config, value: str, spans: Sequence[float]
) -> list[int]:
    """How many documents stand within each span before a value."""
    until = _value(value)
    return [
        collection.count_documents(
            {"$and": [_filter(config), {config.cursor: {"$gte": _earlier(until, span), "$lte": until}}]}
        )
        for span in spans
    ]


def _first(
    collection: Collection[Document], condition: Document, name: str, direction: int, skip: int = 0
) -> Any:
    """The field's value in the first document in that order after so many; None where there is none."""
    found = collection.find(condition, {name: 1}).sort(name, direction).skip(skip).limit(1)
    for document in found:
        value: Any = document
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value
    return None


def _type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float | Decimal128):
        return "number"
    for kind, name in (
        (datetime, "date"),
        (DatetimeMS, "date"),
        (ObjectId, "objectId"),
        (str, "string"),
        (Timestamp, "timestamp"),
    ):
        if isinstance(value, kind):
            return name
    raise NotReadable(
        f"The cursor field holds {type(value).__name__}.", action="Choose a time, a number, an id or a text."
    )


def _value(text: str) -> Any:
    return json_util.loads(text, json_options=json_util.JSONOptions(tz_aware=True))


def _earlier(value: Any, overlap: float) -> Any:
    if isinstance(value, datetime):
        return value - timedelta(seconds=overlap)
    if isinstance(value, ObjectId):
        return ObjectId.from_datetime(value.generation_time - timedelta(seconds=overlap))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value - overlap
    return value


def _filter(config: Config) -> Document:
    found: Document = json_util.loads(config.filter) if config.filter else {}
    return found


# ── documents ────────────────────────────────────────────────────────────────────────────────────────


def _lines(collection: Collection[Document], config: Config, condition: Document, order: str) -> BinaryIO:
    chosen = dict.fromkeys(config.fields, 1) or None
    wanted: Document = {"$and": [_filter(config), condition]}
    # The server sends batch after batch without being asked for each, where it is no router: no wait between them.
    pushed = not collection.database.client.is_mongos
    found = collection.find_raw_batches(
        wanted,
        chosen,
        sort=[(order, 1)],
        batch_size=_BATCH,
        allow_disk_use=True,
        cursor_type=CursorType.EXHAUST if pushed else CursorType.NON_TAILABLE,
    )
    return _stream(map(_written, cast(Iterator[bytes], found)), config)


def _written(batch: bytes) -> bytes:
    """A batch as it came over the wire, as lines. A whole batch at once is a third of the work."""
    documents = decode_all(batch, CODEC)
    return b"".join(map(line, documents) if _ODD.search(batch) else map(_line, documents))


def _stream(batches: Iterator[bytes], config: Config) -> BinaryIO:
    def following() -> bytes:
        try:
            return next(batches, b"")
        except PyMongoError as error:
            raise told(error, config) from None

    return stream_of(following)


def _batched(documents: Iterable[Document]) -> Iterator[bytes]:
    rest = iter(documents)
    while part := list(islice(rest, _BATCH)):
        yield b"".join(map(line, part))


def line(document: Document) -> bytes:
    """A document as a line of JSON; what JSON has no form for becomes exact text."""
    return _line(_finite(document))


def _line(document: Document) -> bytes:
    return orjson.dumps(document, default=_text, option=_FORM)


def _finite(value: Any) -> Any:
    """Without numbers that are none, which would be written as if they were nothing."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_BATCH = 1_000
# Dates come without a zone and in UTC.
_FORM = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# A double that is not finite, by its type, its name and how it ends (BSON 1.1). What only looks like one is looked at.
_ODD = re.compile(rb"\x01[^\x00]+\x00.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


def _text(value: Any) -> Any:
    if isinstance(value, ObjectId):  # most documents have one
        return str(value)
    if isinstance(value, Timestamp):
        return value.as_datetime().isoformat().replace("+00:00", "Z")
    if isinstance(value, Binary) and value.subtype in (3, 4):
        return str(value.as_uuid(value.subtype))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Regex):
        return f"/{value.pattern}/"
    if isinstance(value, DBRef):
        return dict(value.as_doc())
    if isinstance(value, MinKey | MaxKey):
        return type(value).__name__
    if isinstance(value, DatetimeMS):
        return int(value)
    return str(value)  # Decimal128, Code
