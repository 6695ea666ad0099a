"""The control database itself: opened, migrated to what this version knows, read and written in transactions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from engine.errors import Retry, Stop

_MIGRATIONS = Path(__file__).parent / "migrations"


class Unreachable(Retry):
    """The control database does not answer. We will try again."""


class NotUnderstood(Stop):
    """The address of the control database is not one we know: give sqlite:///PATH or postgresql://…"""


class TooNew(Stop):
    """A newer Phantom Spire has changed the control database, so this one does not touch it."""


class Database:
    """The control database, ready to use. Every read and every write is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(spire_write=True)

    def __repr__(self) -> str:
        return f"Database({self._engine.url.render_as_string(hide_password=True)})"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment and changes nothing."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes commit together at the end, or not at all after an exception."""
        with Session(self._writing) as session, session.begin():
            yield session

    def scrub(self) -> None:
        """Rewrite what deleted rows left behind, so an erased key is in no file of the database.

        Holds for SQLite wholly. PostgreSQL rewrites the table; its write-ahead log and backups keep the
        old wrapped key until they expire, and it stays useless without the root key.
        """
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            else:
                connection.exec_driver_sql("VACUUM FULL tenants")

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()


def _url(address: str | URL) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        # The address may hold a password: it is not repeated, nor chained.
        raise NotUnderstood() from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise NotUnderstood(f"It begins with {url.drivername}.")
    return url


def open_database(address: str | URL) -> Database:
    """Open the control database and bring its tables up to date. Errors: Unreachable, NotUnderstood, TooNew."""
    url = _url(address)
    # Parameters hold hashes and wrapped keys, which have no place in an error's text.
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, url.database)
    try:
        with engine.execution_options(spire_write=True).begin() as connection:
            lock(connection, "migrate")
            _migrate(connection)
    except OperationalError as error:
        engine.dispose()
        raise Unreachable(str(error.orig).strip(), action="Start it, or correct its address.") from None
    except BaseException:
        engine.dispose()
        raise
    return Database(engine)


def _prepare_sqlite(engine: Engine, path: str | None) -> None:
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its journal files the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        # Python's driver begins transactions late, and so can't lock first; we begin them ourselves.
        connection.isolation_level = None
        for pragma in (
            "busy_timeout = 15000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that turns writer would fail at once when another has written: writers lock first.
        writes = connection.get_execution_options().get("spire_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    if _is_newest(connection):
        return
    # Here because it takes a tenth of a second to import, and every command opens this database.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    if not found <= known:
        raise TooNew(action="Start the version that was used last.")
    command.upgrade(config, "head")


def _is_newest(connection: Connection) -> bool:
    """Whether the tables are those of the newest migration, whose number its file's name begins with."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found == [max(path.stem[:4] for path in _MIGRATIONS.glob("versions/[0-9]*.py"))]


def lock(session: Session | Connection, name: str) -> None:
    """Let nobody else past this name until the transaction ends. SQLite has one writer at a time anyway."""
    connection = session.connection() if isinstance(session, Session) else session
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(
            hashlib.sha256(f"phantom-spire {name}".encode()).digest()[:8], "big", signed=True
        )
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
