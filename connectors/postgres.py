"""A PostgreSQL table, view or query, read exactly as the server writes its values.

Rows come by COPY, so no driver turns a numeric into a float or a date into another one. With a cursor column
only rows at or after the last value come, and a little before it: a row may be committed later than it was
stamped. What comes twice is found unchanged.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, TypeAlias

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus
from pydantic import Field

from connectors import database, slices
from connectors.abreast import Take
from connectors.addresses import Resolve, resolve
from connectors.database import Broke, NotReadable, Relation
from connectors.pieces import stream_of
from connectors.postgres_server import Connection, Server, browse, connected, reason, secured, told
from connectors.postgres_sink import upserted
from connectors.registry import Reach, connector
from connectors.slices import Slice
from engine.ports import Cursor, Delivered, Outgoing, Payload, Stage

# A server that says nothing for so long in the middle of a table has hung.
_SILENCE = 600
_BLOCK = 1 << 18
# Types of PostgreSQL's categories (pg_type.typcategory): dates and times, numbers; text orders as well.
_TIMES, _NUMBERS, _TEXT = "D", "N", "S"
__all__ = ["Config", "browse", "check", "read", "write"]


@connector(
    "postgres",
    title="PostgreSQL",
    summary="A table, view or query of a PostgreSQL database",
    capabilities=("incremental", "write"),
)
class Config(database.Tables, Server):
    """Which database, how to sign in, and what to read of it."""

    # Both bases have a port, and that of the first has no default.
    port: int = Field(
        json_schema_extra={"further": True}, default=5432, ge=1, le=65535, description="Port of the server."
    )


@dataclass(frozen=True)
class Column:
    """A column of what is read: its type as PostgreSQL writes it, and the type's category."""

    name: str
    type: str
    category: str

    @property
    def grows(self) -> bool:
        """Whether its values have an order that a read can follow."""
        return self.category in (_TIMES, _NUMBERS, _TEXT) or self.type == "uuid"


Read: TypeAlias = "Relation[sql.Composable, Column]"


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first row; each failure with what to do."""
    return database.checking(config, reach, connected, _STEPS, told, psycopg.Error)


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
            seen = _snapshot(connection)
            opened = partial(_reading, config, relation, reach, resolver, seen)
            by_key = partial(_by, connection, relation, key, overlap=0)
            groups = database.ranges(since, key.name, by_key)
            yield from database.abreast(config, groups, opened, partial(rows, _ALL))
        except psycopg.Error as error:
            raise told(error, config) from None


def write(
    config: Config, outgoing: Outgoing, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Delivered]:
    """Put records into the table by their key, a part at a time; the table is made where there is none."""
    with connected(config, reach, resolver, writing=True) as connection:
        try:
            yield from upserted(connection, config.into("postgres"), outgoing)
        except psycopg.Error as error:
            raise told(error, config) from None


# ── which rows ───────────────────────────────────────────────────────────────────────────────────────

Condition: TypeAlias = sql.Composable
_ALL = sql.SQL("true")


def _slices(
    connection: Connection, config: Config, relation: Read, since: Cursor | None
) -> Iterator[tuple[Condition, Cursor | None]]:
    """What to read, piece by piece, each with the cursor after it."""
    if config.cursor:
        column = _ordering(relation, config)
        overlap = config.overlap if column.category in (_TIMES, _NUMBERS) else 0.0
        by_column = partial(_by, connection, relation, column, overlap=overlap)
        count = partial(_within, connection, relation, column)
        yield from slices.followed(since, ("column", column.name), overlap, by_column, count)
        return
    key = _key(connection, config, relation)
    if key is None:
        yield _ALL, None
        return
    by_key = partial(_by, connection, relation, key, overlap=0)
    for found, after in slices.cut(since, key.name, by_key):
        yield found or _ALL, after


def _by(
    connection: Connection,
    relation: Read,
    column: Column,
    since: str | None,
    overlap: float,
    rows: int = 0,
) -> Iterator[tuple[Condition, str | None]]:
    """Conditions on a column that together take every row once, each with the value reached."""
    name = sql.Identifier(column.name)

    def condition(slice: Slice) -> Condition:
        if slice.valueless:
            return sql.SQL("{} IS NULL").format(name)
        parts = [sql.SQL("{} IS NOT NULL").format(name)]
        if slice.since is not None:
            parts.append(sql.SQL("{} >= {}").format(name, _earlier(column, slice.since, overlap)))
        if slice.above is not None:
            parts.append(sql.SQL("{} > {}").format(name, _typed(column, slice.above)))
        if slice.until is not None:
            parts.append(sql.SQL("{} <= {}").format(name, _typed(column, slice.until)))
        return sql.SQL(" AND ").join(parts)

    def end_of(open_above: Slice) -> str | None:
        page = sql.SQL(
            "SELECT max(c)::text FROM (SELECT {} AS c FROM {} WHERE {} ORDER BY 1 FETCH FIRST {} ROWS WITH TIES) AS page"
        ).format(name, relation.source, condition(open_above), sql.Literal(rows or database.ROWS))
        row = connection.execute(page).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def valueless() -> bool:
        nothing = condition(Slice(valueless=True))
        found = sql.SQL("SELECT 1 FROM {} WHERE {} LIMIT 1").format(relation.source, nothing)
        return connection.execute(found).fetchone() is not None

    for slice, value in slices.sliced(since, end_of, valueless):
        yield condition(slice), value


def _within(
    connection: Connection, relation: Read, column: Column, value: str, spans: Sequence[float]
) -> list[int]:
    """How many rows stand within each span before a value."""
    name = sql.Identifier(column.name)
    counts = (
        sql.SQL("count(*) FILTER (WHERE {} >= {})").format(name, _earlier(column, value, span))
        for span in spans
    )
    asked = sql.SQL("SELECT {} FROM {} WHERE {} >= {} AND {} <= {}").format(
        sql.SQL(", ").join(counts),
        relation.source,
        name,
        _earlier(column, value, spans[-1]),
        name,
        _typed(column, value),
    )
    return list(connection.execute(asked).fetchone() or ())


def _earlier(column: Column, value: str, overlap: float) -> sql.Composable:
    """The value reached, less the overlap."""
    typed = _typed(column, value)
    if column.category == _TIMES:
        # A date less an interval is a timestamp, which would leave out rows of that day.
        back = sql.Literal(f"{overlap} seconds")
        return sql.SQL("({} - {}::interval)::{}").format(typed, back, sql.SQL(column.type))
    if column.category == _NUMBERS:
        return sql.SQL("({} - {}::numeric)").format(typed, sql.Literal(overlap))
    return typed


def _typed(column: Column, value: str) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(column.type))


def _key(connection: Connection, config: Config, relation: Read) -> Column | None:
    """The column that is the table's whole primary key, where it has an order and the table is large."""
    if not config.table or config.cursor:
        return None
    row = connection.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisprimary AND i.indnkeyatts = 1",
        [_table(config.table).as_string(connection)],
    ).fetchone()
    found = relation.column(row[0]) if row else None
    return found if found and found.grows else None


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────


def _snapshot(connection: Connection) -> str:
    """What this connection sees of the database, by a name under which others see the same."""
    [[name]] = connection.execute("SELECT pg_export_snapshot()").fetchall()
    return str(name)


@contextmanager
def _reading(
    config: Config, relation: Read, reach: Reach, resolver: Resolve, snapshot: str
) -> Iterator[Take[Condition]]:
    """A connection that sees the same and reads ranges."""
    with connected(config, reach, resolver) as connection:

        def take(condition: Condition, first: bool) -> BinaryIO:
            try:
                return _rows(connection, config, relation, condition, header=first)
            except psycopg.Error as error:
                raise told(error, config) from None

        try:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        except psycopg.Error as error:
            raise told(error, config) from None
        yield take


def _select(config: Config, relation: Read, condition: Condition) -> sql.Composable:
    chosen = relation.chosen(config)
    values = sql.SQL(", ").join(_value(column) for column in chosen)
    if len(chosen) == 1:
        # One NULL alone would be an empty line, which is no row in CSV; an empty text is written with quotes.
        values = sql.SQL("coalesce({}::text, '') AS {}").format(*[sql.Identifier(chosen[0].name)] * 2)
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(values, relation.source, condition)


def _value(column: Column) -> sql.Composable:
    """A column as text that a mapping can read: lists and composites as JSON, all else as PostgreSQL writes it."""
    name = sql.Identifier(column.name)
    if column.category in ("A", "C"):
        return sql.SQL("to_json({})::text AS {}").format(name, name)
    return name


class _Copy:
    """The bytes of a COPY as they come, straight from libpq: it hands over a row at a time, and a turn of the
    driver for each would cost more than the row."""

    def __init__(self, connection: Connection, select: sql.Composable, header: bool) -> None:
        self.where = connection.info.dbname
        self._open = ExitStack()
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER {})").format(select, sql.Literal(header))
        self._open.enter_context(self._open.enter_context(connection.cursor()).copy(statement))
        self._libpq: Any = connection.pgconn
        self._over = False

    def following(self) -> bytes:
        try:
            return b"" if self._over else self._block()
        except psycopg.Error as error:
            raise Broke(f"{self.where}: {reason(error)}.") from None

    def _block(self) -> bytes:
        """The rows that are there already, some hundred kilobytes at most; nothing only at the end."""
        rows, size, libpq = list[bytes](), 0, self._libpq
        while size < _BLOCK:
            length, row = libpq.get_copy_data(1)
            if length > 0:
                rows.append(bytes(row))
                size += length
            elif length < 0:
                self._end()
                break
            elif rows:
                break
            else:
                if not select.select([libpq.socket], [], [], _SILENCE)[0]:
                    raise Broke(f"{self.where}: it said nothing for {_SILENCE // 60} minutes.")
                libpq.consume_input()
        return b"".join(rows)

    def _end(self) -> None:
        while (result := self._libpq.get_result()) is not None:
            if result.status == ExecStatus.FATAL_ERROR:
                raise Broke(f"{self.where}: it ended before its last row.")
        self._over = True
        self._open.close()


def _rows(
    connection: Connection, config: Config, relation: Read, condition: Condition, *, header: bool = True
) -> BinaryIO:
    return stream_of(_Copy(connection, _select(config, relation, condition), header).following)


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


def _relation(connection: Connection, config: Config) -> Read:
    source = _query(config.query) if config.query else _table(config.table)
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(source))
        except psycopg.Error as error:
            what = config.table or "query"
            raise NotReadable(f"{what}: {reason(error)}.", action=database.ADVICE["permission"]) from None
        told = [(c.name, c.type_code) for c in cursor.description or ()]
        cursor.execute(
            "SELECT oid, format_type(oid, NULL), typcategory FROM pg_type WHERE oid = ANY(%s)",
            [[type_ for _, type_ in told]],
        )
        types = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    return Relation(source, tuple(Column(name, *types[type_]) for name, type_ in told))


def _table(name: str) -> sql.Composable:
    """A table by its name, quoted as PostgreSQL quotes; what has no quotes is taken as it is written."""
    return sql.SQL(".").join(map(sql.Identifier, database.parts_of(name, "postgres")))


def _query(text: str) -> sql.Composable:
    return sql.SQL("({}) AS source").format(sql.SQL(database.one_select(text, "postgres")))


def _ordering(relation: Read, config: Config) -> Column:
    column = relation.column(config.cursor)
    if not column.grows:
        raise NotReadable(
            f"{column.name} is of type {column.type}, which does not grow.", action=database.ADVICE["cursor"]
        )
    return column


def _permitted(connection: Connection, config: Config) -> str:
    return f"{len(_relation(connection, config).columns):,} columns"


def _cursor(connection: Connection, config: Config) -> str | None:
    """Whether the cursor column orders rows, and what reading by it will cost."""
    if not config.cursor:
        return None
    column = _ordering(_relation(connection, config), config)
    detail = f"{column.name}, {column.type}"
    if config.table:
        indexed = connection.execute(
            "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
            "WHERE i.indrelid = to_regclass(%s) AND a.attname = %s LIMIT 1",
            [config.table, column.name],
        ).fetchone()
        detail += "" if indexed else "; no index begins with it, so each run reads the whole table"
    return detail


def _first(connection: Connection, config: Config) -> str:
    source = _relation(connection, config).source
    found = connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(source)).fetchone()
    return "there is one" if found else "nothing in it yet"


_STEPS = {"sign-in": secured, "permission": _permitted, "cursor": _cursor, "first row": _first}
