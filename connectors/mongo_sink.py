"""A MongoDB collection as a place records go to, filled by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import bson
import orjson
from bson import Decimal128
from bson.errors import InvalidBSON, InvalidDocument
from pymongo import DeleteOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from connectors.mongo_server import Document
from connectors.upsert import NotWritable, Row, delivered, withdrawn
from engine.model import FieldType, TargetField
from engine.ports import Delivered, Outgoing


class _NotTaken(Exception):
    """The server took some of the documents and not others."""


def upserted(collection: Collection[Document], outgoing: Outgoing) -> Iterator[Delivered]:
    """Records put into the collection by their key, and what is gone deleted from it.

    One that stands there as it is stays untouched.
    """
    try:
        collection.create_index([(name, 1) for name in outgoing.key], unique=True)
    except OperationFailure as error:
        if error.code not in _DOUBLES:
            raise
        raise NotWritable(
            f"In {collection.name} {', '.join(outgoing.key)} is not unique.",
            action="Remove the doubles, or name another collection.",
        ) from None
    fields = outgoing.target.fields

    def put(rows: Sequence[Row]) -> None:
        documents = [{f.name: _value(row[f.name], f) for f in fields} for row in rows]
        run(
            [
                UpdateOne({name: document[name] for name in outgoing.key}, {"$set": document}, upsert=True)
                for document in documents
            ]
        )

    def remove(rows: Sequence[Row]) -> None:
        key = [outgoing.target.field(name) for name in outgoing.key]
        run([DeleteOne({f.name: _value(row[f.name], f) for f in key}) for row in rows])

    def run(writes: Sequence[UpdateOne | DeleteOne]) -> None:
        try:
            collection.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # What was taken is taken; put again beside its like, it is found unchanged.
            codes = {one.get("code") for one in (error.details or {}).get("writeErrors", ())}
            raise _NotTaken(", ".join(str(code) for code in sorted(codes, key=str))) from None
        except OperationFailure as error:
            if error.code not in _TOO_LARGE:
                raise
            raise _NotTaken(str(error.code)) from None

    yield from delivered(outgoing, put, _REFUSING, _why)
    yield from withdrawn(outgoing, remove, _REFUSING, _why)


_DOUBLES = (11000, 85, 86)
_TOO_LARGE = (10334, 17419, 17420)
_REFUSING = (
    _NotTaken, InvalidDocument, InvalidBSON, DocumentTooLarge, OverflowError, ValueError, UnicodeError, bson.errors.BSONError,
)  # fmt: skip


def _value(value: Any, field: TargetField) -> Any:
    """A stored value as BSON has it: times with their zone, decimals exact, JSON as what it says."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, Decimal):
        return Decimal128(value)
    if field.type is FieldType.JSON and isinstance(value, str):
        return orjson.loads(value)
    return value


def _why(error: Exception) -> str:
    if isinstance(error, _NotTaken):
        return f"The database refuses it: error {error}."
    if isinstance(error, DocumentTooLarge):
        return "It is larger than a document may be."
    return "A value of it is nothing this database can hold."
