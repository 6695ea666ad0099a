"""A MongoDB collection, one document a line, with the values JSON has no form for written as exact text.

With a cursor field only documents at or after its last value come, and a little before it, since a document may
arrive later than it was stamped. Documents that have no such value, or one of another type, come every time.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Literal, cast

import orjson
from bson import Binary, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp, json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, ConfigurationError, OperationFailure, PyMongoError

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach, connector
from connectors.unwritten import unwritten
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

DOCUMENTS = 250_000
_SELECT = 15_000
_NDJSON = "application/x-ndjson"
Document = dict[str, Any]


class Unreachable(Retry):
    """The database did not answer. We will try again at the next run."""


class Turned(Stop):
    """The database refused us."""


class NotReadable(Stop):
    """This collection can't be read so."""


@connector("mongo", title="MongoDB", summary="A collection of a MongoDB database")
class Config(BaseModel):
    """Which database, how to sign in, and what to read of it."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of one server.", min_length=1, max_length=255)
    port: int = Field(
        json_schema_extra={"further": True}, default=27017, ge=1, le=65535, description="Port of the server."
    )
    database: str = Field(description="Name of the database.", min_length=1, max_length=63)
    collection: str = Field(description="Name of the collection.", min_length=1, max_length=255)
    username: str = Field(default="", description="Account to read with; one that may only read is best.")
    password: SecretStr = Field(default=SecretStr(""), description="The account's password.")
    auth_database: str = Field(
        json_schema_extra={"further": True}, default="admin", description="Database that knows the account."
    )
    tls: Literal["verify-full", "require", "disable"] = Field(
        title="TLS",
        default="verify-full",
        description="verify-full proves who the server is; require encrypts only; disable does neither.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    certificate: SecretStr = Field(
        json_schema_extra={"further": True, "lines": 4},
        default=SecretStr(""),
        description="Our certificate and its key (PEM), where the server asks for one.",
    )
    filter: str = Field(
        json_schema_extra={"lines": 4},
        default="",
        description="Which documents, as Extended JSON; none means all.",
        max_length=20_000,
    )
    fields: list[str] = Field(default=[], description="Fields to read; none means all of them.")
    cursor: str = Field(
        default="",
        description="Field that grows with every change, such as updated_at; without one each run reads everything.",
        max_length=200,
    )
    overlap: float = Field(
        json_schema_extra={"further": True},
        default=300.0,
        ge=0,
        description="How far before the last value to read again: seconds for times, units for numbers.",
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


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first document; each failure with what to do."""
    stage = "name"
    try:
        addresses = checked(config.host, config.port, reach.hosts)
        yield Stage("name", True, f"{config.host} is {addresses[0]}")
        stage = "sign-in"
        with _connected(config, reach, resolve) as collection:
            version = collection.database.client.server_info()["version"]
            how = "without TLS" if config.tls == "disable" else "over TLS"
            yield Stage("sign-in", True, f"MongoDB {version}, {how}")
            stage = "permission"
            count = collection.estimated_document_count()
            yield Stage("permission", True, f"about {count:,} documents")
            if config.cursor:
                stage = "cursor"
                indexed = any(
                    index["key"][0][0] == config.cursor for index in collection.index_information().values()
                )
                missing = (
                    "" if indexed else "; no index begins with it, so each run reads the whole collection"
                )
                yield Stage("cursor", True, f"{config.cursor}{missing}")
            stage = "first document"
            found = collection.find_one(_filter(config))
            yield Stage("first document", True, "there is one" if found else "nothing in it yet")
    except (SpireError, PyMongoError) as error:
        told = _told(error, config) if isinstance(error, PyMongoError) else error
        yield Stage(stage, False, f"{told.title} {told.where}".strip(), told.action or _ADVICE[stage])


_ADVICE = {
    "name": "Check the server's name.",
    "sign-in": "Check the server, the account and TLS.",
    "permission": "Check that this account may read the collection.",
    "cursor": "Check that this account may list the collection's indexes.",
    "first document": "Check the filter.",
}


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Documents as lines of JSON: all of them, or those since the cursor."""
    with _connected(config, reach, resolver) as collection:
        try:
            if not config.cursor:
                yield Payload(
                    f"{config.collection}.ndjson", _lines(collection, config, {}, "_id"), None, _NDJSON
                )
                return
            for number, (condition, reached) in enumerate(_slices(collection, config, since), 1):
                after: Cursor = {"field": config.cursor, "value": reached} if reached else {**(since or {})}
                stream = _lines(collection, config, condition, config.cursor)
                yield Payload(f"{config.collection}-{number}.ndjson", stream, after, _NDJSON)
        except PyMongoError as error:
            raise _told(error, config) from None


def _slices(
    collection: Collection[Document], config: Config, since: Cursor | None
) -> Iterator[tuple[Document, str | None]]:
    """Conditions that together take every document once, each with the value reached.

    MongoDB compares within a type, so the type of the latest value is the one that is followed.
    """
    name, known = (
        config.cursor,
        (since or {}).get("value") if (since or {}).get("field") == config.cursor else None,
    )
    top = _first(collection, {"$and": [_filter(config), {name: {"$exists": True, "$ne": None}}]}, name, -1)
    last: str | None = str(known) if known else None
    if top is not None:
        kind = {name: {"$type": _type(top)}}
        begin = _earlier(_value(str(known)), config.overlap) if known else None
        bound: Document = {"$gte": begin} if begin is not None and _type(begin) == _type(top) else {}
        while True:
            inner: Document = {"$and": [_filter(config), kind, {name: bound} if bound else {}]}
            end = _first(collection, inner, name, 1, skip=DOCUMENTS - 1)
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


class _Lines(io.RawIOBase):
    """Documents as lines of JSON, a batch at a time."""

    def __init__(self, documents: Iterator[Document], config: Config) -> None:
        self.documents, self.config, self.held = documents, config, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while not self.held:
            lines = []
            try:
                for document in self.documents:
                    lines.append(orjson.dumps(plain(document), option=orjson.OPT_NON_STR_KEYS))
                    if len(lines) == 1000:
                        break
            except PyMongoError as error:
                raise _told(error, self.config) from None
            if not lines:
                return 0
            self.held = memoryview(b"\n".join(lines) + b"\n")
        size = min(len(buffer), len(self.held))
        buffer[:size] = self.held[:size]
        self.held = self.held[size:]
        return size


def _lines(collection: Collection[Document], config: Config, condition: Document, order: str) -> BinaryIO:
    chosen = dict.fromkeys(config.fields, 1) or None
    wanted: Document = {"$and": [_filter(config), condition]}
    found = collection.find(wanted, chosen).sort(order, 1).allow_disk_use(True)
    return cast(BinaryIO, io.BufferedReader(_Lines(iter(found), config), 1 << 20))


def plain(value: Any) -> Any:
    """A BSON value as JSON has it; what JSON has no form for becomes exact text."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Int64):
        return int(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    return _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Timestamp):
        return value.as_datetime().isoformat().replace("+00:00", "Z")
    if isinstance(value, Binary) and value.subtype in (3, 4):
        return str(value.as_uuid(value.subtype))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Regex):
        return f"/{value.pattern}/"
    if isinstance(value, DBRef):
        return plain(dict(value.as_doc()))
    if isinstance(value, MinKey | MaxKey):
        return type(value).__name__
    if isinstance(value, DatetimeMS):
        return int(value)
    return str(value)  # ObjectId, Decimal128, Code


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _connected(config: Config, reach: Reach, resolver: Resolve) -> Iterator[Collection[Document]]:
    """The collection, on a connection to this one server: what it says of others is not followed."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if config.tls != "disable":
            options |= {"tls": True, "tlsAllowInvalidCertificates": config.tls == "require"}
            if config.authority and config.tls == "verify-full":
                options["tlsCAFile"] = stack.enter_context(unwritten(config.authority))
            if certificate := config.certificate.get_secret_value():
                options["tlsCertificateKeyFile"] = stack.enter_context(unwritten(certificate))
        if config.username:
            options |= {
                "username": config.username,
                "password": config.password.get_secret_value(),
                "authSource": config.auth_database,
            }
        try:
            # A certificate is for a name; without one the address that was checked is the safer choice.
            client: MongoClient[Document] = MongoClient(
                addresses[0] if config.tls == "disable" else config.host, config.port, directConnection=True,
                serverSelectionTimeoutMS=_SELECT, connectTimeoutMS=_SELECT, appname="phantom-spire", tz_aware=True, **options,
            )  # fmt: skip
            stack.callback(client.close)
            client.admin.command("ping")
            if config.username:
                client.admin.command("connectionStatus")
        except (PyMongoError, ConfigurationError) as error:
            raise _told(error, config) from None
        codec: CodecOptions[Document] = CodecOptions(
            tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
        )
        found = client[config.database].get_collection(
            config.collection, codec, read_preference=ReadPreference.SECONDARY_PREFERRED
        )
        yield found


def _told(error: PyMongoError, config: Config) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    place = f"{config.host}:{config.port}"
    text = str(error)
    if isinstance(error, OperationFailure):
        if error.code == 18:
            return Turned(
                f"{place}: The account or its password is wrong.",
                action="Check both, and the database that knows the account.",
            )
        if error.code == 13:
            return Turned(
                f"{place}: This account may not read it.",
                action="Ask the server's administrator for the right to read.",
            )
        return NotReadable(
            f"{place}: the server answered with error {error.code}.", action="Check filter and cursor."
        )
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return Turned(
            f"{place}: The server's certificate is not trusted.",
            action="Give its authority's certificate (PEM).",
        )
    if "SSL handshake failed" in text or "TLS" in text:
        return Turned(
            f"{place}: TLS could not be agreed on.", action="Set TLS to disable if the network is trusted."
        )
    if isinstance(error, AutoReconnect):
        return Unreachable(f"{place}: nobody answers there.")
    return NotReadable(f"{place}: {type(error).__name__}.", action="Check the configuration.")
