"""A PostgreSQL table, view or query, read exactly as the server writes its values.

Rows come by COPY, so no driver turns a numeric into a float or a date into another one. With a cursor column
only rows at or after the last value come, and a little before it: a row may be committed later than it was
stamped. What comes twice is found unchanged.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import psycopg
import sqlglot
from psycopg import sql
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from sqlglot import exp

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach, connector
from connectors.unwritten import unwritten
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

ROWS = 500_000
_CONNECT = 15
# Types of PostgreSQL's categories (pg_type.typcategory): dates and times, numbers; text orders as well.
_TIMES, _NUMBERS, _TEXT = "D", "N", "S"


class Unreachable(Retry):
    """The database did not answer. We will try again at the next run."""


class Turned(Stop):
    """The database refused the connection."""


class NotReadable(Stop):
    """This table or query can't be read."""


class Broke(Retry):
    """The database ended the connection while it was read. We will go on at the next run."""


@connector(
    "postgres",
    title="PostgreSQL",
    summary="A table, view or query of a PostgreSQL database",
)
class Config(BaseModel):
    """Which database, how to sign in, and what to read of it."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of the server.", min_length=1, max_length=255)
    port: int = Field(
        json_schema_extra={"further": True}, default=5432, ge=1, le=65535, description="Port of the server."
    )
    database: str = Field(description="Name of the database.", min_length=1, max_length=63)
    username: str = Field(description="Account to read with; one that may only read is best.", min_length=1)
    password: SecretStr = Field(default=SecretStr(""), description="The account's password.")
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
    table: str = Field(default="", description="Table or view, such as public.indicators.", max_length=200)
    query: str = Field(
        json_schema_extra={"lines": 4},
        default="",
        description="A SELECT, in place of a table.",
        max_length=20_000,
    )
    columns: list[str] = Field(default=[], description="Columns to read; none means all of them.")
    cursor: str = Field(
        default="",
        description="Column that grows with every change, such as updated_at; without one each run reads all rows.",
        max_length=63,
    )
    overlap: float = Field(
        json_schema_extra={"further": True},
        default=300.0,
        ge=0,
        description="How far before the last value to read again: seconds for times, units for numbers.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Config:
        if bool(self.table) == bool(self.query):
            raise ValueError("give a table or a query, and not both")
        return self


@dataclass(frozen=True)
class Column:
    """A column of what is read: its type as PostgreSQL writes it, and the type's category."""

    name: str
    type: str
    category: str


@dataclass(frozen=True)
class Relation:
    """What is read: a FROM item and its columns."""

    source: sql.Composable
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column of that name; NotReadable where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotReadable(
            f"There is no column {name}.", action=f"There are: {', '.join(c.name for c in self.columns)}."
        )


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first row; each failure with what to do."""
    stage = "name"
    try:
        addresses = checked(config.host, config.port, reach.hosts)
        yield Stage("name", True, f"{config.host} is {addresses[0]}")
        stage = "sign-in"
        with _connected(config, reach, resolve) as connection:
            yield Stage("sign-in", True, _secured(connection))
            stage = "permission"
            relation = _relation(connection, config)
            yield Stage("permission", True, f"{len(relation.columns):,} columns")
            if config.cursor:
                stage = "cursor"
                yield _cursor_stage(connection, config, relation)
            stage = "first row"
            query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(relation.source)
            found = connection.execute(query).fetchone()
            yield Stage("first row", True, "there is one" if found else "nothing in it yet")
    except (SpireError, psycopg.Error) as error:
        told = _told(error, config) if isinstance(error, psycopg.Error) else error
        yield Stage(stage, False, f"{told.title} {told.where}".strip(), told.action or _ADVICE[stage])


_ADVICE = {
    "name": "Check the server's name.",
    "sign-in": "Check the server, the account and TLS.",
    "permission": "Check the table's name, and that this account may SELECT from it.",
    "cursor": "Choose a column that grows with every change, or none.",
    "first row": "Check that this account may read it.",
}


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Rows as CSV with a header, in one snapshot of the database: all of them, or those since the cursor."""
    name = f"{config.table or 'query'}.csv"
    with _connected(config, reach, resolver) as connection:
        try:
            relation = _relation(connection, config)
            if not config.cursor:
                yield Payload(name, _copy(connection, _select(config, relation, sql.SQL("true"))), None, _CSV)
                return
            column = _ordering(relation, config)
            name = name.removesuffix(".csv")
            for number, (condition, reached) in enumerate(
                _slices(connection, config, relation, column, since), 1
            ):
                after: Cursor = {"column": column.name, "value": reached} if reached else {**(since or {})}
                stream = _copy(connection, _select(config, relation, condition))
                yield Payload(f"{name}-{number}.csv", stream, after, _CSV)
                while stream.read(1 << 20):
                    pass  # what was not wanted still has to pass before the next question
        except psycopg.Error as error:
            raise _told(error, config) from None


_CSV = "text/csv"


def _slices(
    connection: psycopg.Connection[Any],
    config: Config,
    relation: Relation,
    column: Column,
    since: Cursor | None,
) -> Iterator[tuple[sql.Composable, str | None]]:
    """Conditions on the cursor column that together take every row once, each with the value reached.

    Rows without a value come last, every time: nothing says whether they are new.
    """
    name = sql.Identifier(column.name)
    low = _begin(column, config.overlap, since)
    whole = (
        sql.SQL("{} >= {}").format(name, low) if low is not None else sql.SQL("{} IS NOT NULL").format(name)
    )
    last: str | None = None
    while True:
        inner = whole if last is None else sql.SQL("{} > {}").format(name, _typed(column, last))
        page = sql.SQL(
            "SELECT max(c)::text FROM (SELECT {} AS c FROM {} WHERE {} ORDER BY 1 FETCH FIRST {} ROWS WITH TIES) AS page"
        ).format(name, relation.source, inner, sql.Literal(ROWS))
        row = connection.execute(page).fetchone()
        if row is None or row[0] is None:
            break
        until = sql.SQL("{} AND {} <= {}").format(inner, name, _typed(column, row[0]))
        yield until, str(row[0])
        last = str(row[0])
    nothing = sql.SQL("{} IS NULL").format(name)
    found = connection.execute(
        sql.SQL("SELECT 1 FROM {} WHERE {} LIMIT 1").format(relation.source, nothing)
    ).fetchone()
    if found:
        yield nothing, last


def _begin(column: Column, overlap: float, since: Cursor | None) -> sql.Composable | None:
    """The value to begin at: the one reached, less the overlap."""
    if not since or since.get("column") != column.name or not since.get("value"):
        return None
    value = _typed(column, str(since["value"]))
    if column.category == _TIMES:
        # A date less an interval is a timestamp, which would leave out rows of that day.
        return sql.SQL("({} - {}::interval)::{}").format(
            value, sql.Literal(f"{overlap} seconds"), sql.SQL(column.type)
        )
    if column.category == _NUMBERS:
        return sql.SQL("({} - {}::numeric)").format(value, sql.Literal(overlap))
    return value


def _typed(column: Column, value: str) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(column.type))


def _select(config: Config, relation: Relation, condition: sql.Composable) -> sql.Composable:
    chosen = [relation.column(name) for name in config.columns] or list(relation.columns)
    if config.cursor and config.columns and config.cursor not in config.columns:
        chosen.append(relation.column(config.cursor))
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


class _Rows(io.RawIOBase):
    """The bytes of a COPY as they come."""

    def __init__(self, connection: psycopg.Connection[Any], select: sql.Composable, where: str) -> None:
        self.held, self.where = memoryview(b""), where
        self._open = ExitStack()
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER)").format(select)
        self._copy = self._open.enter_context(self._open.enter_context(connection.cursor()).copy(statement))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while not self.held:
            try:
                data = self._copy.read()
            except psycopg.Error as error:
                raise Broke(f"{self.where}: {_reason(error)}.") from None
            if not data:
                self._open.close()
                return 0
            self.held = memoryview(data)
        size = min(len(buffer), len(self.held))
        buffer[:size] = self.held[:size]
        self.held = self.held[size:]
        return size


def _copy(connection: psycopg.Connection[Any], select: sql.Composable) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Rows(connection, select, connection.info.dbname), 1 << 20))


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


def _relation(connection: psycopg.Connection[Any], config: Config) -> Relation:
    source = _query(config.query) if config.query else _table(config.table)
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(source))
        except psycopg.Error as error:
            raise NotReadable(
                f"{config.table or 'query'}: {_reason(error)}.", action=_ADVICE["permission"]
            ) from None
        told = [(c.name, c.type_code, c._fmod) for c in cursor.description or ()]
        if len({name for name, *_ in told}) < len(told):
            raise NotReadable("Two columns have the same name.", action="Name them apart with AS.")
        cursor.execute(
            "SELECT oid, format_type(oid, NULL), typcategory FROM pg_type WHERE oid = ANY(%s)",
            [[type_ for _, type_, _ in told]],
        )
        types = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    return Relation(source, tuple(Column(name, *types[type_]) for name, type_, _ in told))


def _table(name: str) -> sql.Composable:
    """A table by its name, quoted as PostgreSQL quotes; what has no quotes is taken as it is written."""
    try:
        found = exp.to_table(name, dialect="postgres")
    except sqlglot.errors.SqlglotError:
        raise NotReadable(f"{name} is no name of a table.", action="Write schema.table.") from None
    return sql.SQL(".").join(sql.Identifier(part.name) for part in found.parts)


def _query(text: str) -> sql.Composable:
    """One SELECT as a FROM item; NotReadable where it is anything else."""
    try:
        parsed = sqlglot.parse(text, dialect="postgres")
    except sqlglot.errors.SqlglotError:
        raise NotReadable(
            "This query is not one that can be understood.", action="Write one SELECT."
        ) from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise NotReadable("This query is no SELECT.", action="Write one SELECT, and nothing else.")
    return sql.SQL("({}) AS source").format(sql.SQL(text.strip().rstrip(";")))


def _ordering(relation: Relation, config: Config) -> Column:
    column = relation.column(config.cursor)
    if column.category not in (_TIMES, _NUMBERS, _TEXT) and column.type not in ("uuid",):
        raise NotReadable(
            f"{column.name} is of type {column.type}, which does not grow.", action=_ADVICE["cursor"]
        )
    return column


def _cursor_stage(connection: psycopg.Connection[Any], config: Config, relation: Relation) -> Stage:
    """Whether the cursor column orders rows, and what reading by it will cost."""
    column = _ordering(relation, config)
    detail = f"{column.name}, {column.type}"
    if config.table:
        indexed = connection.execute(
            "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
            "WHERE i.indrelid = to_regclass(%s) AND a.attname = %s LIMIT 1",
            [config.table, column.name],
        ).fetchone()
        detail += "" if indexed else "; no index begins with it, so each run reads the whole table"
    return Stage("cursor", True, detail)


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _connected(config: Config, reach: Reach, resolver: Resolve) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a checked address, in one read-only snapshot, with values written the same everywhere."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    with ExitStack() as stack:
        options = _secrets(config, stack)
        try:
            connection = psycopg.connect(
                host=config.host, hostaddr=addresses[0], port=config.port, dbname=config.database,
                user=config.username, password=config.password.get_secret_value() or None,
                sslmode=config.tls, connect_timeout=_CONNECT, application_name="phantom-spire",
                options="-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=iso_8601 -c bytea_output=hex "
                "-c extra_float_digits=1 -c default_transaction_read_only=on",
                keepalives_idle=30, keepalives_interval=10, keepalives_count=3, **options,
            )  # fmt: skip
        except psycopg.Error as error:
            raise _told(error, config) from None
        stack.callback(connection.close)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _secrets(config: Config, stack: ExitStack) -> dict[str, Any]:
    """TLS files, held in memory: libpq wants paths, and a key of which nobody else may read."""
    certificate = config.certificate.get_secret_value()
    found: dict[str, Any] = {}
    if config.tls == "verify-full":
        found["sslrootcert"] = (
            stack.enter_context(unwritten(config.authority)) if config.authority else "system"
        )
    if certificate:
        found["sslcert"] = found["sslkey"] = stack.enter_context(unwritten(certificate))
    return found


def _secured(connection: psycopg.Connection[Any]) -> str:
    version = connection.info.server_version
    how = "over TLS" if connection.pgconn.ssl_in_use else "without TLS"
    return f"PostgreSQL {version // 10_000}.{version % 10_000}, {how}"


_SAID: tuple[tuple[str, type[Stop] | type[Retry], str, str], ...] = (
    ("password authentication failed", Turned, "The account or its password is wrong.", "Check both."),
    ("no password supplied", Turned, "The server asks for a password.", "Give the account's password."),
    ("no pg_hba.conf entry", Turned, "The server does not let this account in from here.", "Ask its administrator."),
    ("does not exist", Turned, "There is no such database or account.", "Check their names."),
    ("certificate verify failed", Turned, "The server's certificate is not trusted.", "Give its authority's certificate (PEM)."),
    ("does not match host name", Turned, "The server's certificate is for another name.", "Give the name in its certificate."),
    ("server does not support SSL", Turned, "The server does not speak TLS.", "Set TLS to disable if the network is trusted."),
    ("too many connections", Unreachable, "The server has no connection left.", ""),
    ("too many clients", Unreachable, "The server has no connection left.", ""),
)  # fmt: skip


def _told(error: psycopg.Error, config: Config) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    place = f"{config.host}:{config.port}"
    text = str(error)
    for words, kind, said, action in _SAID:
        if words in text:
            return kind(f"{place}: {said}", action=action)
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"{place}: {_reason(error)}.")
    return NotReadable(f"{place}: {_reason(error)}.", action=_ADVICE["permission"])


def _reason(error: psycopg.Error) -> str:
    """The error's class in PostgreSQL's own words, such as `undefined table`, without values."""
    name = type(error).__name__
    return "".join(f" {c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
