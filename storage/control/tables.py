"""The tables of the control database. Times are UTC and carry their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

ROLES = ("viewer", "analyst", "engineer", "administrator", "auditor")
_ROLE = "role IN (" + ", ".join(f"'{role}'" for role in ROLES) + ")"


class Moment(TypeDecorator[datetime]):
    """A point in time. SQLite forgets the zone, so it is UTC going in and marked UTC coming out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """Base of all tables; constraints have names, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment, bytes: LargeBinary, dict[str, Any]: JSON}


class InstallationRow(Table):
    """The one key of the installation itself, wrapped like a tenant's."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped_key: Mapped[bytes]
    created: Mapped[datetime]


class TenantRow(Table):
    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("audit_level IN ('minimal', 'standard', 'comprehensive')", name="level"),
        CheckConstraint("(wrapped_key IS NULL) = (erased IS NOT NULL)", name="erased"),
    )
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    wrapped_key: Mapped[bytes | None]
    key_check: Mapped[bytes]
    audit_level: Mapped[str] = mapped_column(String(20))
    created: Mapped[datetime]
    erased: Mapped[datetime | None]


class UserRow(Table):
    """`login` is folded to lower case. `role` is a role in the installation itself; most have none."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('administrator', 'auditor')", name="role"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    login: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(String(20))
    active: Mapped[bool]
    created: Mapped[datetime]


class MembershipRow(Table):
    __tablename__ = "memberships"
    __table_args__ = (CheckConstraint(_ROLE, name="role"),)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(20))


class ApiKeyRow(Table):
    """`prefix` is public and finds the key; `hash` is an HMAC of the whole. No tenant: the installation."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint(_ROLE, name="role"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    tenant_id: Mapped[str | None] = mapped_column(ForeignKey("tenants.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    created_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    created: Mapped[datetime]
    expires: Mapped[datetime | None]
    last_used: Mapped[datetime | None]
    revoked: Mapped[datetime | None]


class SessionRow(Table):
    """`id` is the HMAC of the cookie's token: enough to name a session, not to enter it."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime]
    seen: Mapped[datetime]
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]


class AttemptRow(Table):
    """A sign-in that was tried. `login` is an HMAC: people type passwords into the wrong box."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_login_at", "login", "at"),
        Index("ix_attempts_address_at", "address", "at"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    login: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    good: Mapped[bool]


class SetupRow(Table):
    __tablename__ = "setup_links"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created: Mapped[datetime]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]


class ScheduleRow(Table):
    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint("trigger IN ('cron', 'interval', 'arrival')", name="trigger"),
        CheckConstraint("overlap IN ('skip', 'queue')", name="overlap"),
        CheckConstraint("missed IN ('run_once', 'skip')", name="missed"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    trigger: Mapped[str] = mapped_column(String(20))
    spec: Mapped[dict[str, Any]]
    time_zone: Mapped[str] = mapped_column(String(64))
    overlap: Mapped[str] = mapped_column(String(20))
    missed: Mapped[str] = mapped_column(String(20))
    retries: Mapped[int]
    retry_delay: Mapped[int]
    enabled: Mapped[bool]
    created_by: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime]
    last_run: Mapped[datetime | None]
    next_run: Mapped[datetime | None] = mapped_column(index=True)


class ScheduleRunRow(Table):
    """One due time of a schedule, and one attempt at it. The pair is unique: two gateways can't both run it."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due", "attempt", name="uq_schedule_runs_due"),
        CheckConstraint(
            "outcome IN ('running', 'succeeded', 'failed', 'skipped', 'missed', 'interrupted')",
            name="outcome",
        ),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    due: Mapped[datetime]
    attempt: Mapped[int]
    started: Mapped[datetime]
    finished: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(20))
    run: Mapped[str | None] = mapped_column(String(100))
    detail: Mapped[str] = mapped_column(Text)
    rejected: Mapped[int | None] = mapped_column(BigInteger)


class AuditRow(Table):
    """The control plane's own audit chain: the fields of `storage.audit.Row`."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_tenant_seq", "tenant", "seq"),)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(40))
    who: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))
    tenant: Mapped[str] = mapped_column(Text)
    object: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    prev: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Table):
    """Where a chain was last seen, sealed with a MAC of its own. `chain` is a tenant, or `control`."""

    __tablename__ = "audit_heads"
    chain: Mapped[str] = mapped_column(String(80), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))
