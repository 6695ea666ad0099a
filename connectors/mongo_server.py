"""A MongoDB server: how it is reached, what it holds for this account, and what it means by its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pydantic import Field
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from connectors import database
from connectors.addresses import Resolve, checked, resolve
from connectors.database import NotReadable, Turned, Unreachable
from connectors.registry import Reach, reached
from connectors.unwritten import unwritten
from engine.errors import SpireError, Stop
from engine.ports import Held, Place

SELECT = 15_000
# A long sort takes its time before the first document; a server silent for longer than this (ms) has gone.
SILENCE = 600_000
# Documents looked at to tell which fields a collection has.
_LOOKED = 100
_HISTORY_LOST = (280, 286)
_NO_REPLICA_SET = 40573
Document = dict[str, Any]


class TooOld(Stop):
    """The changes since the last read are no longer kept by the server."""


class Server(database.Server):
    """A MongoDB server."""

    host: str = Field(description="Name or address of one server.", min_length=1, max_length=255)
    port: int = Field(
        json_schema_extra={"further": True}, default=27017, ge=1, le=65535, description="Port of the server."
    )
    username: str = Field(
        default="", description="Account to sign in with; to read, one that may only read is best."
    )
    auth_database: str = Field(
        json_schema_extra={"further": True}, default="admin", description="Database that knows the account."
    )


# Times come in UTC and without saying so; one beyond what Python knows stays the number it is. Bytes that are no
# text are shown as they are.
CODEC: CodecOptions[Document] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="backslashreplace"
)


@contextmanager
def connected(config: Server, reach: Reach, resolver: Resolve) -> Iterator[Database[Document]]:
    """The database, on a connection to this one server: what it says of others is not followed."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    reach.carries(config.host, config.port)
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
            # Only a certificate that is checked against the name vouches for what a second look-up may give.
            client: MongoClient[Document] = MongoClient(
                config.host if config.tls == "verify-full" else addresses[0], config.port, directConnection=True,
                serverSelectionTimeoutMS=SELECT, connectTimeoutMS=SELECT, socketTimeoutMS=SILENCE, appname="phantom-spire", tz_aware=True, **options,
            )  # fmt: skip
            stack.callback(client.close)
            client.admin.command("ping")
        except PyMongoError as error:
            raise told(error, config) from None
        yield client[config.database]


def readable(database: Database[Document], collection: str) -> Collection[Document]:
    """A collection to read from, with every value as exact as JSON lets it be."""
    return database.get_collection(collection, CODEC, read_preference=ReadPreference.SECONDARY_PREFERRED)


def secured(found: Database[Document], config: Server) -> str:
    return f"MongoDB {found.client.server_info()['version']}, {config.secured}"


def browse(given: Mapping[str, Any], reach: Reach, resolver: Resolve = resolve) -> list[Place]:
    """The collections this account may read, with the server's count and the fields of their last documents."""
    config = reached(given, Server)
    with connected(config, reach, resolver) as found:
        try:
            names = found.list_collection_names(authorizedCollections=True, nameOnly=True)
            return [
                _place(readable(found, name))
                for name in sorted(names)[: database.PLACES]
                if not name.startswith("system.")
            ]
        except PyMongoError as error:
            raise told(error, config) from None


def _place(collection: Collection[Document]) -> Place:
    kinds: dict[str, set[str]] = {}
    for document in collection.find().sort("$natural", -1).limit(_LOOKED):
        for name, value in document.items():
            kinds.setdefault(name, set()).add(type(value).__name__)
    fields = (Held(name, " or ".join(sorted(types)), name == "_id") for name, types in kinds.items())
    return Place(collection.name, "collection", collection.estimated_document_count(), tuple(fields))


def told(error: Exception, config: database.Server) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    place, text = config.place, str(error)
    if isinstance(error, OperationFailure):
        if error.code == 18:
            return Turned(
                f"{place}: The account or its password is wrong.",
                action="Check both, and the database that knows the account.",
            )
        if error.code == 13:
            return Turned(
                f"{place}: This account may not do this.",
                action="Ask the server's administrator for the right.",
            )
        if error.code in _HISTORY_LOST:
            return TooOld(
                place,
                action="Rewind the pipeline's cursor: its next run reads the whole collection and follows from there. "
                "A larger oplog, or runs closer together, keep it from happening again.",
            )
        if error.code == _NO_REPLICA_SET:
            return NotReadable(
                f"{place}: Only a replica set tells its changes.",
                action="Follow a field instead, or read everything.",
            )
        return NotReadable(
            f"{place}: the server answered with error {error.code}.", action="Check filter and cursor."
        )
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return database.wrong_certificate(config)
    if "SSL handshake failed" in text or "TLS" in text:
        return database.no_tls(config)
    if isinstance(error, AutoReconnect):
        return Unreachable(f"{place}: nobody answers there.")
    return NotReadable(f"{place}: {type(error).__name__}.", action="Check the configuration.")
