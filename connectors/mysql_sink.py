"""A MySQL or MariaDB table as a place records go to: made where it is missing, and filled by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
import pymysql
from pymysql.cursors import Cursor

from connectors.mysql_server import Connection, every, quoted
from connectors.upsert import NotWritable, Row, delivered, names, withdrawn
from engine.model import FieldType, TargetField
from engine.ports import Delivered, Outgoing

_TYPES = {
    FieldType.TEXT: "LONGTEXT", FieldType.INTEGER: "BIGINT", FieldType.DECIMAL: "DECIMAL(38, 9)",
    FieldType.BOOLEAN: "BOOLEAN", FieldType.TIMESTAMP: "DATETIME(6)", FieldType.DATE: "DATE", FieldType.JSON: "JSON",
    FieldType.TEXTS: "JSON",
}  # fmt: skip
# An index holds 3,072 bytes, and a character may take four.
_INDEXED = 768
# A row that breaks a CHECK, in MySQL and in MariaDB: the driver counts it with the connection's errors.
_BROKEN_CHECK = (3819, 4025)


def upserted(connection: Connection, table: Sequence[str], outgoing: Outgoing) -> Iterator[Delivered]:
    """Records put into the table by their key, and what is gone deleted from it.

    A row that stands there as it is stays untouched.
    """
    _ready(connection, table, outgoing)
    fields = outgoing.target.fields
    statement = _upsert(table, names(outgoing.target), outgoing.key)

    def put(rows: Sequence[Row]) -> None:
        run(statement, [[_value(row[f.name], f) for f in fields] for row in rows])

    def remove(rows: Sequence[Row]) -> None:
        meant = " AND ".join(f"{quoted(name)} = %s" for name in outgoing.key)
        place = ".".join(map(quoted, table))
        run(
            f"DELETE FROM {place} WHERE {meant}",
            [[_value(row[n], outgoing.target.field(n)) for n in outgoing.key] for row in rows],
        )

    def run(statement: str, values: list[list[Any]]) -> None:
        connection.begin()
        try:
            with connection.cursor(Cursor) as cursor:
                cursor.executemany(statement, values)
            connection.commit()
        except BaseException as error:
            if connection.open:
                connection.rollback()
            if isinstance(error, pymysql.OperationalError) and error.args[0] in _BROKEN_CHECK:
                raise pymysql.DataError(*error.args) from None
            raise

    refusing = (pymysql.DataError, pymysql.IntegrityError, ValueError)
    yield from delivered(outgoing, put, refusing, _why)
    yield from withdrawn(outgoing, remove, refusing, _why)


def _ready(connection: Connection, table: Sequence[str], outgoing: Outgoing) -> None:
    """The table with a column for every field and its key unique; NotWritable says what is missing."""
    *schema, name = table
    columns = ", ".join(f"{quoted(f.name)} {_type(f, outgoing.key)}" for f in outgoing.target.fields)
    key = ", ".join(map(quoted, outgoing.key))
    place = ".".join(map(quoted, table))
    here = [schema[-1] if schema else None, name]
    where = "table_schema = coalesce(%s, DATABASE()) AND table_name = %s"
    held = {
        row[0]
        for row in every(
            connection, f"SELECT column_name FROM information_schema.columns WHERE {where}", here
        )
    }
    if not held:
        with connection.cursor(Cursor) as cursor:
            cursor.execute(f"CREATE TABLE {place} ({columns}, PRIMARY KEY ({key})) CHARACTER SET utf8mb4", ())
        return
    if lacking := [field for field in names(outgoing.target) if field not in held]:
        raise NotWritable(
            f"{name} has no column {', '.join(lacking)}.",
            action="Add the columns, or name a table that is not there yet.",
        )
    indexes: dict[str | None, set[str | None]] = {}
    asked = (
        f"SELECT index_name, column_name FROM information_schema.statistics WHERE non_unique = 0 AND {where}"
    )
    for index, column in every(connection, asked, here):
        indexes.setdefault(index, set()).add(column)
    if set(outgoing.key) not in indexes.values():
        raise NotWritable(
            f"In {name} nothing keeps {', '.join(outgoing.key)} unique, so a record could stand there twice.",
            action="Add a unique index over it.",
        )
    if others := [str(index) for index, columns_ in indexes.items() if columns_ != set(outgoing.key)]:
        raise NotWritable(
            f"In {name} more is unique than the key: {', '.join(others)}. One record could replace another by it.",
            action="Publish into a table in which only the key is unique.",
        )


def _type(field: TargetField, key: Sequence[str]) -> str:
    if field.name not in key:
        return _TYPES[field.type]
    if field.type in (FieldType.TEXT, FieldType.JSON, FieldType.TEXTS):
        # By its bytes: two keys that differ in case or accents are two records.
        return f"VARCHAR({min(512, _INDEXED // len(key))}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
    return f"{_TYPES[field.type]} NOT NULL"


def _upsert(table: Sequence[str], fields: Sequence[str], key: Sequence[str]) -> str:
    """Insert, or replace what differs: the server itself leaves a row that is the same alone."""
    others = [name for name in fields if name not in key] or [key[0]]
    updates = ", ".join(f"{quoted(name)} = VALUES({quoted(name)})" for name in others)
    listed = ", ".join(map(quoted, fields))
    values = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {'.'.join(map(quoted, table))} ({listed}) VALUES ({values}) ON DUPLICATE KEY UPDATE {updates}"


def _value(value: Any, field: TargetField) -> Any:
    if field.type is FieldType.TEXTS and value is not None:
        return orjson.dumps(value).decode()
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return value


def _why(error: Exception) -> str:
    if isinstance(error, pymysql.Error):
        return f"The database refuses it: error {error.args[0] if error.args else 0}."
    return "A value of it is nothing this database can hold."
