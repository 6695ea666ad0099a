"""A MySQL or MariaDB table, view or query, with every value as the server writes it.

Rows come in the server's own text form, undecoded, so a zero date, a decimal of sixty digits and a broken
character arrive as they are. With a cursor column only rows at or after the last value come, and a little before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeAlias, cast

import pymysql
from pydantic import Field
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.cursors import SSCursor

from connectors import database, slices
from connectors.abreast import Take
from connectors.addresses import Resolve, resolve
from connectors.database import NotReadable, Relation
from connectors.mysql_rows import csv_of
from connectors.mysql_server import Connection, Server, browse, connected, every, one, quoted, secured, told
from connectors.mysql_sink import upserted
from connectors.registry import Reach, connector
from connectors.slices import Slice
from engine.ports import Cursor, Delivered, Outgoing, Payload, Stage

_BINARY = 63  # the character set of values that are no text
_TIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE}
_NUMBERS = {
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.INT24, FIELD_TYPE.FLOAT,
    FIELD_TYPE.DOUBLE, FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.YEAR,
}  # fmt: skip
_BLOBS = {
    FIELD_TYPE.BLOB, FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.STRING,
    FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.GEOMETRY,
}  # fmt: skip
_WORDS = {FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR}
_NUMBERED = FLAG.ENUM | FLAG.SET  # words that are ordered by their place in a list
__all__ = ["Config", "browse", "check", "read", "write"]


@connector(
    "mysql",
    title="MySQL and MariaDB",
    summary="A table, view or query of a MySQL or MariaDB database",
    capabilities=("incremental", "write"),
)
class Config(database.Tables, Server):
    """Which database, how to sign in, and what to read of it."""

    # Both bases have a port, and that of the first has no default.
    port: int = Field(
        json_schema_extra={"further": True}, default=3306, ge=1, le=65535, description="Port of the server."
    )


@dataclass(frozen=True)
class Column:
    """A column of what is read: its type's number in the protocol, whether its values are no text, and whether they
    are words, which the column's collation compares.
    """

    name: str
    type: int
    binary: bool
    words: bool

    @property
    def grows(self) -> bool:
        """Whether its values have an order that new ones come last in."""
        return self.type in _TIMES | _NUMBERS


Read: TypeAlias = "Relation[str, Column]"


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first row; each failure with what to do."""
    return database.checking(config, reach, connected, _STEPS, told, pymysql.Error)


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Rows as CSV with a header, in one snapshot of the database: all of them, or those since the cursor."""
    with connected(config, reach, resolver) as connection:
        try:
            relation = _relation(connection, config)
            rows = partial(_rows, connection, config, relation)
            key = _key(connection, config, relation) if config.connections > 1 else None
            if key is None:
                found = _slices(connection, config, relation, since)
                yield from database.payloads(config, found, rows)
                return
            opened = partial(_reading, config, relation, reach, resolver)
            by_key = partial(_by, connection, relation, key, overlap=0)
            groups = database.ranges(since, key.name, by_key)
            yield from database.abreast(config, groups, opened, partial(rows, Condition()))
        except pymysql.Error as error:
            raise told(error, config) from None


def write(
    config: Config, outgoing: Outgoing, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Delivered]:
    """Put records into the table by their key, a part at a time; the table is made where there is none."""
    with connected(config, reach, resolver, writing=True) as connection:
        try:
            yield from upserted(connection, config.into("mysql"), outgoing)
        except pymysql.Error as error:
            raise told(error, config) from None


# ── which rows ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Condition:
    """A condition and the values bound in it."""

    sql: str = "true"
    values: tuple[str, ...] = ()


def _slices(
    connection: Connection, config: Config, relation: Read, since: Cursor | None
) -> Iterator[tuple[Condition, Cursor | None]]:
    """What to read, piece by piece, each with the cursor after it."""
    if config.cursor:
        column = _ordering(relation, config)
        by_column = partial(_by, connection, relation, column, overlap=config.overlap)
        count = partial(_within, connection, relation, column)
        yield from slices.followed(since, ("column", column.name), config.overlap, by_column, count)
        return
    key = _key(connection, config, relation)
    if key is None:
        yield Condition(), None
        return
    by_key = partial(_by, connection, relation, key, overlap=0)
    for found, after in slices.cut(since, key.name, by_key):
        yield found or Condition(), after


def _by(
    connection: Connection,
    relation: Read,
    column: Column,
    since: str | None,
    overlap: float,
    rows: int = 0,
) -> Iterator[tuple[Condition, str | None]]:
    """Conditions on a column that together take every row once, each with the value reached."""
    name, source = quoted(column.name), relation.source

    def condition(slice: Slice) -> Condition:
        if slice.valueless:
            return Condition(f"{name} IS NULL")
        parts, values = [f"{name} IS NOT NULL"], list[str]()
        back = _back(column, overlap)
        for how, value in (
            (f">= {back if overlap else '%s'}", slice.since),
            ("> %s", slice.above),
            ("<= %s", slice.until),
        ):
            if value is not None:
                parts.append(f"{name} {how}")
                values.append(value)
        return Condition(" AND ".join(parts), tuple(values))

    def end_of(open_above: Slice) -> str | None:
        wanted = condition(open_above)
        skip = f"SELECT {name} FROM {source} WHERE {wanted.sql} ORDER BY {name} LIMIT 1 OFFSET {(rows or database.ROWS) - 1}"
        return one(connection, skip, wanted.values) or one(
            connection, f"SELECT max({name}) FROM {source} WHERE {wanted.sql}", wanted.values
        )

    def valueless() -> bool:
        return one(connection, f"SELECT 1 FROM {source} WHERE {name} IS NULL LIMIT 1") is not None

    for slice, value in slices.sliced(since, end_of, valueless):
        yield condition(slice), value


def _back(column: Column, span: float) -> str:
    """A value that is bound, less a span."""
    return f"%s - INTERVAL {span:f} SECOND" if column.type in _TIMES else f"%s - {span:f}"


def _within(
    connection: Connection, relation: Read, column: Column, value: str, spans: Sequence[float]
) -> list[int]:
    """How many rows stand within each span before a value."""
    name = quoted(column.name)
    counts = ", ".join(f"count(CASE WHEN {name} >= {_back(column, span)} THEN 1 END)" for span in spans)
    asked = (
        f"SELECT {counts} FROM {relation.source} WHERE {name} >= {_back(column, spans[-1])} AND {name} <= %s"
    )
    [row] = every(connection, asked, [value] * (len(spans) + 2))
    return [int(one or 0) for one in row]


def _key(connection: Connection, config: Config, relation: Read) -> Column | None:
    """The column that is the table's whole primary key, where a range of it can be asked for.

    Words are as good as numbers here: what the key tells apart its collation puts in an order.
    """
    if not config.table or config.cursor:
        return None
    *schema, table = database.parts_of(config.table, "mysql")
    found = every(
        connection,
        "SELECT column_name FROM information_schema.statistics WHERE index_name = 'PRIMARY' "
        "AND table_schema = coalesce(%s, DATABASE()) AND table_name = %s",
        [schema[-1] if schema else None, table],
    )
    column = relation.column(str(found[0][0])) if len(found) == 1 else None
    return column if column and (column.grows or column.words) else None


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _reading(config: Config, relation: Read, reach: Reach, resolver: Resolve) -> Iterator[Take[Condition]]:
    """A connection, with a snapshot of its own, that reads ranges."""
    with connected(config, reach, resolver) as connection:

        def take(condition: Condition, first: bool) -> BinaryIO:
            try:
                return _rows(connection, config, relation, condition, header=first)
            except pymysql.Error as error:
                raise told(error, config) from None

        yield take


def _rows(
    connection: Connection, config: Config, relation: Read, condition: Condition, *, header: bool = True
) -> BinaryIO:
    chosen = relation.chosen(config)
    cursor = connection.cursor()
    listed = ", ".join(map(_value, chosen))
    cursor.execute(f"SELECT {listed} FROM {relation.source} WHERE {condition.sql}", list(condition.values))
    names, binary = [column.name for column in chosen], [column.binary for column in chosen]
    return csv_of(cast(SSCursor, cursor), names if header else (), binary, config.database)


def _value(column: Column) -> str:
    """A column as it is selected: bits as the whole number they are, all else as the server writes it."""
    name = quoted(column.name)
    return f"CAST({name} AS UNSIGNED)" if column.type == FIELD_TYPE.BIT else name


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


def _relation(connection: Connection, config: Config) -> Read:
    source = _query(config.query) if config.query else _table(config.table)
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT * FROM {source} LIMIT 0", [])
        except pymysql.Error as error:
            what, where = config.table or "query", told(error, config).where
            raise NotReadable(f"{what}: {where}", action=database.ADVICE["permission"]) from None
        fields = cursor._result.fields  # type: ignore[union-attr,unused-ignore]
    columns = (
        Column(
            each.name,
            each.type_code,
            binary=each.charsetnr == _BINARY and each.type_code in _BLOBS,
            words=each.charsetnr != _BINARY and each.type_code in _WORDS and not each.flags & _NUMBERED,
        )
        for each in fields
    )
    return Relation(source, tuple(columns))


def _table(name: str) -> str:
    return ".".join(map(quoted, database.parts_of(name, "mysql")))


def _query(text: str) -> str:
    return f"({database.one_select(text, 'mysql').replace('%', '%%')}) AS source"


def _ordering(relation: Read, config: Config) -> Column:
    column = relation.column(config.cursor)
    if not column.grows:
        raise NotReadable(f"{column.name} is neither a time nor a number.", action=database.ADVICE["cursor"])
    return column


def _permitted(connection: Connection, config: Config) -> str:
    return f"{len(_relation(connection, config).columns):,} columns"


def _cursor(connection: Connection, config: Config) -> str | None:
    return _ordering(_relation(connection, config), config).name if config.cursor else None


def _first(connection: Connection, config: Config) -> str:
    source = _relation(connection, config).source
    return "there is one" if one(connection, f"SELECT 1 FROM {source} LIMIT 1") else "nothing in it yet"


_STEPS = {"sign-in": secured, "permission": _permitted, "cursor": _cursor, "first row": _first}
