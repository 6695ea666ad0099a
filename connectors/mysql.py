"""A MySQL or MariaDB table, view or query, with every value as the server writes it.

Rows come in the server's own text form, undecoded, so a zero date, a decimal of sixty digits and a broken
character arrive as they are. With a cursor column only rows at or after the last value come, and a little before it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, TypeAlias, cast

import pymysql
import sqlglot
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pymysql.constants import ER, FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import SSCursor
from sqlglot import exp

from connectors.addresses import Resolve, checked, resolve
from connectors.bytewise import csv_of, field, hexadecimal, whole
from connectors.registry import Reach, connector
from connectors.web import tls
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

ROWS = 500_000
_CONNECT = 15
_CSV = "text/csv"
_BINARY = 63  # the character set of values that are no text
_TIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE}
_NUMBERS = {
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.INT24, FIELD_TYPE.FLOAT,
    FIELD_TYPE.DOUBLE, FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.YEAR,
}  # fmt: skip


class Unreachable(Retry):
    """The database did not answer. We will try again at the next run."""


class Turned(Stop):
    """The database refused the connection."""


class NotReadable(Stop):
    """This table or query can't be read."""


class Broke(Retry):
    """The database ended the connection while it was read. We will go on at the next run."""


@connector(
    "mysql", title="MySQL and MariaDB", summary="A table, view or query of a MySQL or MariaDB database"
)
class Config(BaseModel):
    """Which database, how to sign in, and what to read of it."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of the server.", min_length=1, max_length=255)
    port: int = Field(
        json_schema_extra={"further": True}, default=3306, ge=1, le=65535, description="Port of the server."
    )
    database: str = Field(description="Name of the database.", min_length=1, max_length=64)
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
    table: str = Field(default="", description="Table or view, such as indicators.", max_length=200)
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
        max_length=64,
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
    """A column of what is read: its type's number in the protocol, and whether its values are no text."""

    name: str
    type: int
    binary: bool


@dataclass(frozen=True)
class Relation:
    """What is read: a FROM item and its columns."""

    source: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column of that name; NotReadable where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotReadable(
            f"There is no column {name}.", action=f"There are: {', '.join(c.name for c in self.columns)}."
        )


Connection: TypeAlias = "pymysql.connections.Connection[Any]"


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, sign-in, permission, cursor, first row; each failure with what to do."""
    stage = "name"
    try:
        addresses = checked(config.host, config.port, reach.hosts)
        yield Stage("name", True, f"{config.host} is {addresses[0]}")
        stage = "sign-in"
        with _connected(config, reach, resolve) as connection:
            how = "without TLS" if config.tls == "disable" else "over TLS"
            yield Stage("sign-in", True, f"{connection.get_server_info()}, {how}")
            stage = "permission"
            relation = _relation(connection, config)
            yield Stage("permission", True, f"{len(relation.columns):,} columns")
            if config.cursor:
                stage = "cursor"
                _ordering(relation, config)
                yield Stage("cursor", True, config.cursor)
            stage = "first row"
            found = _one(connection, f"SELECT 1 FROM {relation.source} LIMIT 1")
            yield Stage("first row", True, "there is one" if found else "nothing in it yet")
    except (SpireError, pymysql.Error) as error:
        told = _told(error, config) if isinstance(error, pymysql.Error) else error
        yield Stage(stage, False, f"{told.title} {told.where}".strip(), told.action or _ADVICE[stage])


_ADVICE = {
    "name": "Check the server's name.",
    "sign-in": "Check the server, the account and TLS.",
    "permission": "Check the table's name, and that this account may SELECT from it.",
    "cursor": "Choose a time or a number that grows with every change, or none.",
    "first row": "Check that this account may read it.",
}


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Rows as CSV with a header, in one snapshot of the database: all of them, or those since the cursor."""
    name = config.table or "query"
    with _connected(config, reach, resolver) as connection:
        try:
            relation = _relation(connection, config)
            if not config.cursor:
                yield Payload(f"{name}.csv", _rows(connection, config, relation, "true", []), None, _CSV)
                return
            column = _ordering(relation, config)
            slices = _slices(connection, relation, column, config.overlap, since)
            for number, (condition, values, reached) in enumerate(slices, 1):
                after: Cursor = {"column": column.name, "value": reached} if reached else {**(since or {})}
                stream = _rows(connection, config, relation, condition, values)
                yield Payload(f"{name}-{number}.csv", stream, after, _CSV)
                while stream.read(1 << 20):
                    pass  # what was not wanted still has to pass before the next question
        except pymysql.Error as error:
            raise _told(error, config) from None


Slice = tuple[str, list[str], str | None]


def _slices(
    connection: Connection, relation: Relation, column: Column, overlap: float, since: Cursor | None
) -> Iterator[Slice]:
    """Conditions on the cursor column, with their values, that together take every row once.

    Rows without a value come last, every time: nothing says whether they are new.
    """
    name, source = _quoted(column.name), relation.source
    known = (since or {}).get("value") if (since or {}).get("column") == column.name else None
    last = str(known) if known else None
    low, values = f"{name} IS NOT NULL", list[str]()
    if last is not None:
        back = f"%s - INTERVAL {overlap:f} SECOND" if column.type in _TIMES else f"%s - {overlap:f}"
        low, values = f"{name} >= {back}", [last]
    while True:
        skip = f"SELECT {name} FROM {source} WHERE {low} ORDER BY {name} LIMIT 1 OFFSET {ROWS - 1}"
        end = _one(connection, skip, values) or _one(
            connection, f"SELECT max({name}) FROM {source} WHERE {low}", values
        )
        if end is None:
            break
        last = end
        yield f"{low} AND {name} <= %s", [*values, end], end
        low, values = f"{name} > %s", [end]
    if _one(connection, f"SELECT 1 FROM {source} WHERE {name} IS NULL LIMIT 1"):
        yield f"{name} IS NULL", [], last


def _one(connection: Connection, query: str, values: Sequence[str] = ()) -> str | None:
    """The first value of the first row, as text; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        row = cursor.fetchone()
        while cursor.fetchone():
            pass
    return row[0].decode() if row and row[0] is not None else None


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────


def _rows(
    connection: Connection, config: Config, relation: Relation, condition: str, values: Sequence[str]
) -> BinaryIO:
    chosen = [relation.column(name) for name in config.columns] or list(relation.columns)
    if config.cursor and config.columns and config.cursor not in config.columns:
        chosen.append(relation.column(config.cursor))
    cursor = connection.cursor()
    listed = ", ".join(_quoted(column.name) for column in chosen)
    cursor.execute(f"SELECT {listed} FROM {relation.source} WHERE {condition}", list(values))
    write = [
        whole if column.type == FIELD_TYPE.BIT else hexadecimal if column.binary else field
        for column in chosen
    ]

    def fetch() -> Sequence[Sequence[bytes | None]]:
        try:
            return cast(SSCursor, cursor).fetchmany(1000)
        except (pymysql.Error, OSError) as error:
            raise Broke(f"{config.database}: {type(error).__name__}.") from None

    return csv_of([column.name for column in chosen], fetch, write)


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


def _relation(connection: Connection, config: Config) -> Relation:
    source = _query(config.query) if config.query else _table(config.table)
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT * FROM {source} LIMIT 0", [])
        except pymysql.Error as error:
            told = _told(error, config)
            raise NotReadable(
                f"{config.table or 'query'}: {told.where}", action=_ADVICE["permission"]
            ) from None
        fields = cursor._result.fields  # type: ignore[union-attr,unused-ignore]
    columns = tuple(
        Column(each.name, each.type_code, each.charsetnr == _BINARY and each.type_code in _BLOBS)
        for each in fields
    )
    if len({column.name for column in columns}) < len(columns):
        raise NotReadable("Two columns have the same name.", action="Name them apart with AS.")
    return Relation(source, columns)


_BLOBS = {
    FIELD_TYPE.BLOB, FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.STRING,
    FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.GEOMETRY,
}  # fmt: skip


def _quoted(name: str) -> str:
    # The driver formats statements with %, so a % in a name is doubled.
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _table(name: str) -> str:
    try:
        found = exp.to_table(name, dialect="mysql")
    except sqlglot.errors.SqlglotError:
        raise NotReadable(f"{name} is no name of a table.", action="Write table or database.table.") from None
    return ".".join(_quoted(part.name) for part in found.parts)


def _query(text: str) -> str:
    """One SELECT as a FROM item; NotReadable where it is anything else."""
    try:
        parsed = sqlglot.parse(text, dialect="mysql")
    except sqlglot.errors.SqlglotError:
        raise NotReadable(
            "This query is not one that can be understood.", action="Write one SELECT."
        ) from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query) or parsed[0].find(exp.Into):
        raise NotReadable("This query is no SELECT.", action="Write one SELECT, and nothing else.")
    return f"({text.strip().rstrip(';').replace('%', '%%')}) AS source"


def _ordering(relation: Relation, config: Config) -> Column:
    column = relation.column(config.cursor)
    if column.type not in _TIMES | _NUMBERS:
        raise NotReadable(f"{column.name} is neither a time nor a number.", action=_ADVICE["cursor"])
    return column


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _connected(config: Config, reach: Reach, resolver: Resolve) -> Iterator[Connection]:
    """A connection to a checked address, in one read-only snapshot, that hands values over as bytes."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    connection: Connection = pymysql.Connection(
        host=config.host, port=config.port, user=config.username, password=config.password.get_secret_value(),
        database=config.database, charset="utf8mb4", use_unicode=False, conv=cast("dict[Any, Any]", encoders), cursorclass=SSCursor,
        ssl=_context(config), ssl_disabled=config.tls == "disable", connect_timeout=_CONNECT, read_timeout=600, defer_connect=True, program_name="phantom-spire",
        init_command="SET SESSION time_zone = '+00:00'",
    )  # fmt: skip
    try:
        try:
            connection.connect(socket.create_connection((addresses[0], config.port), _CONNECT))
            connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                raise _untrusted(config, error) from None
            raise Unreachable(f"{config.host}:{config.port}: nobody answers there.") from None
        except pymysql.Error as error:
            raise _told(error, config) from None
        yield connection
    finally:
        if connection.open:
            connection.close()


def _context(config: Config) -> ssl.SSLContext | None:
    if config.tls == "disable":
        return None
    context = tls(config.authority, config.certificate.get_secret_value()) or ssl.create_default_context()
    if config.tls == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _untrusted(config: Config, error: Exception) -> SpireError:
    place = f"{config.host}:{config.port}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Turned(
            f"{place}: The server's certificate is not trusted.",
            action="Give its authority's certificate (PEM).",
        )
    return Turned(
        f"{place}: TLS could not be agreed on.", action="Set TLS to disable if the network is trusted."
    )


_SAID: dict[int, tuple[type[Stop] | type[Retry], str, str]] = {
    ER.ACCESS_DENIED_ERROR: (Turned, "The account or its password is wrong.", "Check both."),
    ER.DBACCESS_DENIED_ERROR: (Turned, "This account may not use the database.", "Ask the server's administrator."),
    ER.BAD_DB_ERROR: (Turned, "There is no such database.", "Check its name."),
    ER.NO_SUCH_TABLE: (NotReadable, "There is no such table.", "Check its name."),
    ER.TABLEACCESS_DENIED_ERROR: (NotReadable, "This account may not read it.", "Ask the server's administrator."),
    ER.CON_COUNT_ERROR: (Unreachable, "The server has no connection left.", ""),
}  # fmt: skip


def _told(error: pymysql.Error, config: Config) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    place, code = f"{config.host}:{config.port}", error.args[0] if error.args else 0
    if code in _SAID:
        kind, said, action = _SAID[code]
        return kind(f"{place}: {said}", action=action)
    if "CERTIFICATE" in str(error) or "SSL" in str(error):
        return _untrusted(config, error)
    if isinstance(error, pymysql.OperationalError | pymysql.InterfaceError):
        return Unreachable(f"{place}: error {code}.")
    return NotReadable(f"{place}: error {code}.", action=_ADVICE["permission"])
