"""A PostgreSQL table as a place records go to: made where it is missing, and filled by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from connectors.postgres_server import Connection, reason
from connectors.upsert import NotWritable, Row, delivered, names, withdrawn
from engine.model import FieldType, TargetField
from engine.ports import Delivered, Outgoing

_TYPES = {
    FieldType.TEXT: "text", FieldType.INTEGER: "bigint", FieldType.DECIMAL: "numeric", FieldType.BOOLEAN: "boolean",
    FieldType.TIMESTAMP: "timestamptz", FieldType.DATE: "date", FieldType.JSON: "jsonb", FieldType.TEXTS: "text[]",
}  # fmt: skip


def upserted(connection: Connection, table: Sequence[str], outgoing: Outgoing) -> Iterator[Delivered]:
    """Records put into the table by their key, and what is gone deleted from it.

    A row that stands there as it is stays untouched.
    """
    place = sql.SQL(".").join(map(sql.Identifier, table))
    with connection.transaction():
        _ready(connection, place, outgoing)
    fields = outgoing.target.fields
    statement = _upsert(place, names(outgoing.target), outgoing.key)

    def put(rows: Sequence[Row]) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(statement, [[_value(row[f.name], f) for f in fields] for row in rows])

    def remove(rows: Sequence[Row]) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                _deletion(place, outgoing.key), [[row[k] for k in outgoing.key] for row in rows]
            )

    refusing = (psycopg.DataError, psycopg.IntegrityError, ValueError)
    yield from delivered(outgoing, put, refusing, _why)
    yield from withdrawn(outgoing, remove, refusing, _why)


def _ready(connection: Connection, place: sql.Composable, outgoing: Outgoing) -> None:
    """The table with a column for every field and its key unique; NotWritable says what is missing."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(_TYPES[f.type]))
        for f in outgoing.target.fields
    )
    key = sql.SQL(", ").join(map(sql.Identifier, outgoing.key))
    name = place.as_string(connection)
    there = connection.execute("SELECT to_regclass(%s)::oid", [name]).fetchone()
    if there is None or there[0] is None:
        connection.execute(sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(place, columns, key))
        return
    held = {
        row[0]
        for row in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
            [there[0]],
        )
    }
    if lacking := [field for field in names(outgoing.target) if field not in held]:
        raise NotWritable(
            f"{name} has no column {', '.join(lacking)}.",
            action="Add the columns, or name a table that is not there yet.",
        )
    unique = connection.execute(
        "SELECT 1 FROM pg_index i WHERE i.indrelid = %s AND i.indisunique AND i.indpred IS NULL AND (SELECT array_agg("
        "a.attname::text ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)) = %s",
        [there[0], sorted(outgoing.key)],
    ).fetchone()
    if unique is None:
        raise NotWritable(
            f"In {name} nothing keeps {', '.join(outgoing.key)} unique, so a record could stand there twice.",
            action="Add a unique index over it.",
        )


def _upsert(place: sql.Composable, fields: Sequence[str], key: Sequence[str]) -> sql.Composed:
    """Insert, or replace what differs: a row that is the same isn't written again."""
    others = [name for name in fields if name not in key]

    def listed(form: str, of: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(form).format(sql.Identifier(name)) for name in of)

    insert = sql.SQL("INSERT INTO {} AS there ({}) VALUES ({}) ON CONFLICT ({}) DO ").format(
        place, listed("{}", fields), sql.SQL(", ").join([sql.Placeholder()] * len(fields)), listed("{}", key)
    )
    if not others:
        return insert + sql.SQL("NOTHING")
    return insert + sql.SQL("UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})").format(
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others),
        # As text: a table of somebody else's may have types that can't be compared.
        listed("there.{}::text", others),
        listed("excluded.{}::text", others),
    )


def _deletion(place: sql.Composable, key: Sequence[str]) -> sql.Composed:
    meant = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in key)
    return sql.SQL("DELETE FROM {} WHERE {}").format(place, meant)


def _value(value: Any, field: TargetField) -> Any:
    if value is None:
        return None
    if field.type is FieldType.JSON:
        return Jsonb(orjson.loads(value)) if isinstance(value, str) else Jsonb(value)
    return value


def _why(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        return f"The database refuses it: {reason(error)}."
    return "A value of it is nothing this database can hold."
