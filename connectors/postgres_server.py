"""A PostgreSQL server: how it is reached, what it holds for this account, and what it means by its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import psycopg
from pydantic import Field

from connectors import database
from connectors.addresses import Resolve, checked, resolve
from connectors.database import NotReadable, Turned, Unreachable
from connectors.registry import Reach, reached
from connectors.unwritten import unwritten
from engine.errors import Retry, SpireError, Stop
from engine.ports import Held, Place

Connection: TypeAlias = "psycopg.Connection[Any]"
_CONNECT = 15
# A long sort takes its time before the first row; a server silent for longer than this has gone.
SILENCE = 600.0


class _Listening(psycopg.Connection[Any]):
    """A connection on which nobody waits for ever."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As the driver waits, each time until the server has been silent for too long."""
        return super().wait(gen, interval, SILENCE if timeout is None else timeout)


class Server(database.Server):
    """A PostgreSQL server."""

    port: int = Field(
        json_schema_extra={"further": True}, default=5432, ge=1, le=65535, description="Port of the server."
    )


@contextmanager
def connected(
    config: database.Server, reach: Reach, resolver: Resolve, *, writing: bool = False
) -> Iterator[Connection]:
    """A connection to a checked address, in one read-only snapshot, with values written the same everywhere."""
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    reach.carries(config.host, config.port)
    with ExitStack() as stack:
        options = _secrets(config, stack)
        only = "" if writing else " -c default_transaction_read_only=on"
        try:
            connection = _Listening.connect(
                host=config.host, hostaddr=addresses[0], port=config.port, dbname=config.database,
                user=config.username, password=config.password.get_secret_value() or None,
                sslmode=config.tls, connect_timeout=_CONNECT, application_name="phantom-spire",
                options="-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=iso_8601 -c bytea_output=hex "
                f"-c extra_float_digits=1{only}",
                keepalives_idle=30, keepalives_interval=10, keepalives_count=3, **options,
            )  # fmt: skip
        except psycopg.Error as error:
            raise told(error, config) from None
        stack.callback(connection.close)
        connection.autocommit = writing
        if not writing:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
        yield connection


def _secrets(config: database.Server, stack: ExitStack) -> dict[str, Any]:
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


_SAID: tuple[tuple[str, type[Stop] | type[Retry], str, str], ...] = (
    ("password authentication failed", Turned, "The account or its password is wrong.", "Check both."),
    ("no password supplied", Turned, "The server asks for a password.", "Give the account's password."),
    ("no pg_hba.conf entry", Turned, "The server does not let this account in from here.", "Ask its administrator."),
    ("permission denied", Turned, "This account may not do this.", "Ask the server's administrator for the right."),
    ("does not exist", Turned, "There is no such database, account or schema.", "Check their names."),
    ("certificate verify failed", Turned, "The server's certificate is not trusted.", "Give its authority's certificate (PEM)."),
    ("does not match host name", Turned, "The server's certificate is for another name.", "Give the name in its certificate."),
    ("server does not support SSL", Turned, "The server does not speak TLS.", "Set TLS to disable if the network is trusted."),
    ("too many connections", Unreachable, "The server has no connection left.", ""),
    ("too many clients", Unreachable, "The server has no connection left.", ""),
)  # fmt: skip


def told(error: Exception, config: database.Server) -> SpireError:
    """What an error of the driver means. Its own text may hold values, so it is not passed on."""
    text = str(error)
    for words, kind, said, action in _SAID:
        if words in text:
            return kind(f"{config.place}: {said}", action=action)
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"{config.place}: {reason(error)}.")
    return NotReadable(f"{config.place}: {reason(error)}.", action=database.ADVICE["permission"])


def reason(error: Exception) -> str:
    """The error's class in PostgreSQL's own words, such as `undefined table`, without values."""
    name = type(error).__name__
    return "".join(f" {c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def secured(connection: Connection, config: database.Server) -> str:
    version = connection.info.server_version
    how = "over TLS" if connection.pgconn.ssl_in_use else "without TLS"
    return f"PostgreSQL {version // 10_000}.{version % 10_000}, {how}"


_PLACES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
    CASE c.relkind WHEN 'v' THEN -1 WHEN 'p' THEN (
        SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)
        FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf
    ) ELSE c.reltuples END::bigint,
    (SELECT json_agg(json_build_array(
        a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY(i.indkey), false)) ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
ORDER BY n.nspname <> 'public', n.nspname, c.relname LIMIT %s"""


def browse(given: Mapping[str, Any], reach: Reach, resolver: Resolve = resolve) -> list[Place]:
    """The tables and views this account may read, with their columns and the planner's estimate of rows."""
    config = reached(given, Server)
    with connected(config, reach, resolver) as connection:
        try:
            found = connection.execute(_PLACES, [database.PLACES]).fetchall()
        except psycopg.Error as error:
            raise told(error, config) from None
    return [
        Place(name, kind, rows if rows >= 0 else None, tuple(Held(*column) for column in columns))
        for name, kind, rows, columns in found
    ]
