"""A control database of a test's own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from storage.control.database import Database, open_database
from storage.control.installation import Installation, open_installation
from tests.storage.control.making import AT, KEK


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty control database of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/control.db"
        return
    server = make_url(request.getfixturevalue("postgres_url"))
    name = f"control_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> Installation:
    with database.write() as session:
        return open_installation(session, KEK, AT)


@pytest.fixture
def plain(url: str) -> Iterator[Engine]:
    """The database as somebody sees it who reaches it without us."""
    engine = create_engine(url)
    yield engine
    engine.dispose()
