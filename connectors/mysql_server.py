"""A MySQL or MariaDB server: how it is reached, what it holds for this account, and what it means by its errors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import pymysql
from pydantic import Field
from pymysql.constants import ER
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from connectors import database
from connectors.addresses import Resolve, checked, resolve
from connectors.database import NotReadable, Turned, Unreachable
from connectors.registry import Reach, reached
from connectors.web import tls
from engine.errors import Retry, SpireError, Stop
from engine.ports import Held, Place

Connection: TypeAlias = "pymysql.connections.Connection[Any]"
_CONNECT = 15
# A long sort takes its time before the first row; a server silent for longer than this has gone.
SILENCE = 600
# A value that doesn't fit is refused, never cut until it does.
_STRICT = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'"


class Server(database.Server):
    """A MySQL or MariaDB server."""

    port: int = Field(
        json_schema_extra={"further": True}, default=3306, ge=1, le=65535, description="Port of the server."
    )


@contextmanager
def connected(
    config: database.Server, reach: Reach, resolver: Resolve, *, writing: bool = False
) -> Iterator[Connection]:
    """A connection to a checked address, in one read-only snapshot unless for writing, that hands values over as bytes."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    reach.carries(config.host, config.port)
    connection: Connection = pymysql.Connection(
        host=config.host, port=config.port, user=config.username, password=config.password.get_secret_value(),
        database=config.database, charset="utf8mb4", use_unicode=False, conv=cast("dict[Any, Any]", encoders), cursorclass=SSCursor,
        ssl=_context(config), ssl_disabled=config.tls == "disable", connect_timeout=_CONNECT, read_timeout=SILENCE, defer_connect=True, program_name="phantom-spire",
        init_command="SET SESSION time_zone = '+00:00'",
    )  # fmt: skip
    try:
        try:
            connection.connect(socket.create_connection((addresses[0], config.port), _CONNECT))
            for statement in (_STRICT,) if writing else _SNAPSHOT:
                connection.query(statement)
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                raise _untrusted(config, error) from None
            raise Unreachable(f"{config.place}: nobody answers there.") from None
        except pymysql.Error as error:
            raise told(error, config) from None
        yield connection
    finally:
        if connection.open:
            connection.close()


def _context(config: database.Server) -> ssl.SSLContext | None:
    if config.tls == "disable":
        return None
    context = tls(config.authority, config.certificate.get_secret_value()) or ssl.create_default_context()
    if config.tls == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _untrusted(config: database.Server, error: Exception) -> SpireError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return database.wrong_certificate(config)
    return database.no_tls(config)


_SNAPSHOT = (
    # Rows that are read ahead wait for their turn, and longer than the minute a server gives them by itself.
    "SET SESSION net_write_timeout = 3600",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_SAID: dict[int, tuple[type[Stop] | type[Retry], str, str]] = {
    ER.ACCESS_DENIED_ERROR: (Turned, "The account or its password is wrong.", "Check both."),
    ER.DBACCESS_DENIED_ERROR: (Turned, "This account may not use the database.", "Ask the server's administrator."),
    ER.BAD_DB_ERROR: (Turned, "There is no such database.", "Check its name."),
    ER.NO_SUCH_TABLE: (NotReadable, "There is no such table.", "Check its name."),
    ER.TABLEACCESS_DENIED_ERROR: (NotReadable, "This account may not read it.", "Ask the server's administrator."),
    ER.COLUMNACCESS_DENIED_ERROR: (NotReadable, "This account may not read it.", "Ask the server's administrator."),
    ER.CON_COUNT_ERROR: (Unreachable, "The server has no connection left.", ""),
}  # fmt: skip


def told(error: Exception, config: database.Server) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    place, code = config.place, error.args[0] if error.args else 0
    if code in _SAID:
        kind, said, action = _SAID[code]
        return kind(f"{place}: {said}", action=action)
    if "CERTIFICATE" in str(error) or "SSL" in str(error):
        return _untrusted(config, error)
    if isinstance(error, pymysql.OperationalError | pymysql.InterfaceError):
        return Unreachable(f"{place}: error {code}.")
    return NotReadable(f"{place}: error {code}.", action=database.ADVICE["permission"])


def one(connection: Connection, query: str, values: Sequence[str] = ()) -> str | None:
    """The first value of the first row, as text; None where there is none."""
    rows = every(connection, query, values)
    return rows[0][0] if rows else None


def every(connection: Connection, query: str, values: Sequence[Any] = ()) -> list[tuple[str | None, ...]]:
    """All rows of a small answer, every value as text."""
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return [tuple(value if value is None else value.decode() for value in row) for row in cursor]


def quoted(name: str) -> str:
    # The driver formats statements with %, so a % in a name is doubled.
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def secured(connection: Connection, config: database.Server) -> str:
    return f"{connection.get_server_info()}, {config.secured}"


def browse(given: Mapping[str, Any], reach: Reach, resolver: Resolve = resolve) -> list[Place]:
    """The tables and views this account may read, with their columns and the engine's estimate of rows."""
    config = reached(given, Server)
    with connected(config, reach, resolver) as connection:
        try:
            tables = every(connection, _PLACES, [database.PLACES])
            columns = every(connection, _COLUMNS)
        except pymysql.Error as error:
            raise told(error, config) from None
    held: dict[tuple[str | None, str | None], list[Held]] = {}
    for schema, table, name, type_, key in columns:
        held.setdefault((schema, table), []).append(Held(str(name), str(type_), key == "PRI"))
    return [
        Place(
            _named(str(table))
            if schema == config.database
            else f"{_named(str(schema))}.{_named(str(table))}",
            "table" if kind == "BASE TABLE" else "view",
            None if rows is None else int(rows),
            tuple(held.get((schema, table), ())),
        )
        for schema, table, kind, rows in tables
    ]


def _named(name: str) -> str:
    """A name as the configuration takes it: quoted where it needs to be."""
    return name if name.isascii() and name.isidentifier() else "`" + name.replace("`", "``") + "`"


_OURS = "NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
_PLACES = f"""SELECT table_schema, table_name, table_type, table_rows FROM information_schema.tables
WHERE table_schema {_OURS} ORDER BY table_schema <> DATABASE(), table_schema, table_name LIMIT %s"""
_COLUMNS = f"""SELECT table_schema, table_name, column_name, column_type, column_key FROM information_schema.columns
WHERE table_schema {_OURS} ORDER BY table_schema, table_name, ordinal_position"""
