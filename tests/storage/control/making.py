"""What tests of the control database make again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from storage.control import people, tenants
from storage.control.database import Database
from storage.kek import KeyFile

AT = datetime(2026, 5, 17, 12, tzinfo=UTC)
KEK = KeyFile(b"k" * 32)
PASSWORD = "a long enough password"
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def make_tenant(database: Database, id: str = "acme") -> None:
    with database.write() as session:
        tenants.create(session, KEK, id, id.title(), AT)


def make_user(database: Database, login: str = "ada", role: str | None = None) -> str:
    with database.write() as session:
        return people.create(session, login, PASSWORD, AT, role=role).id
