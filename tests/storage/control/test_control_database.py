"""The control database: migrated, private, and whole after every write, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from storage.audit import ActionKind, Event, Head
from storage.control import control_audit, tenants
from storage.control.database import Database, NotUnderstood, TooNew, Unreachable, open_database
from storage.control.installation import Installation
from storage.control.tables import Table
from tests.storage.control.making import AT, KEK, make_tenant, make_user


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database, plain: Engine) -> None:
    with plain.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_opening_again_changes_nothing_and_many_may_open_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_database, [url] * 4))
    make_tenant(opened[0])
    for database in opened:
        with database.read() as session:
            assert [tenant.id for tenant in tenants.tenants(session)] == ["acme"]
        database.close()


def test_a_database_of_a_newer_version_is_left_alone(database: Database, plain: Engine, url: str) -> None:
    with plain.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(TooNew):
        open_database(url)


def test_an_address_that_is_none_is_not_repeated_since_it_may_hold_a_password() -> None:
    for address in ("mysql://u:S3CRET@h/d", "S3CRET", "postgres://u:S3CRET@127.0.0.1:1/d"):
        with pytest.raises((NotUnderstood, Unreachable)) as error:
            open_database(address)
        assert "S3CRET" not in f"{error.value!s} {error.value!r} {error.value.__cause__}"


def test_a_write_is_whole_or_not_at_all(database: Database, keys: Installation) -> None:
    def broken() -> None:
        with database.write() as session:
            tenants.create(session, KEK, "acme", "Acme", AT)
            control_audit.record(session, keys, Event(ActionKind.SECURITY, "ada", "tenant.create"), AT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with database.read() as session:
        assert tenants.tenants(session) == []
        assert control_audit.head(session, keys, control_audit.CONTROL) == Head()


def test_writers_at_once_wait_for_each_other_and_none_fails(database: Database, keys: Installation) -> None:
    def write(number: int) -> None:
        with database.write() as session:
            tenants.create(session, KEK, f"t{number}", f"Tenant {number}", AT)
            control_audit.record(session, keys, Event(ActionKind.CHANGE, f"w{number}", "setting"), AT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    with database.read() as session:
        assert control_audit.verify_control(session, keys).head.count == 24
        assert len(tenants.tenants(session)) == 24


def test_the_sqlite_files_are_private_and_links_between_tables_hold(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new/control.db")
    make_user(database)
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("INSERT INTO memberships VALUES ('nobody', 'nowhere', 'viewer')"))
    database.close()


def test_a_writer_killed_in_the_middle_leaves_nothing_half_done(url: str, database: Database) -> None:
    code = f"""
        import os, signal
        from datetime import datetime, UTC
        from storage.control import tenants
        from storage.control.database import open_database
        from storage.kek import KeyFile
        with open_database({url!r}).write() as session:
            tenants.create(session, KeyFile(b"k" * 32), "acme", "Acme", datetime.now(UTC))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=Path(__file__).parents[2], check=False)
    make_tenant(database)
