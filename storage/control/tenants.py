"""Tenants: made with a key of their own, opened with the root key, erased by forgetting their key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.errors import Stop
from storage.audit import Level
from storage.control.installation import check_root, tenant_context
from storage.control.tables import ApiKeyRow, MembershipRow, ScheduleRow, TenantRow
from storage.kek import Kek
from storage.keyring import KeyRing, derive, new_tenant_key, open_ring

_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class NoSuchTenant(Stop):
    """There is no such tenant."""


class TenantTaken(Stop):
    """There is, or was, a tenant under this identifier. Identifiers are used once only."""


class BadName(Stop):
    """An identifier starts with a letter and has small letters, digits, - and _ only, 63 at most."""


class TenantErased(Stop):
    """This tenant's key was destroyed. Its data can't be read by anybody any more."""


@dataclass(frozen=True)
class Tenant:
    """A tenant as others may see it, without its keys."""

    id: str
    name: str
    audit_level: Level
    created: datetime
    erased: datetime | None


def _tenant(row: TenantRow) -> Tenant:
    return Tenant(row.id, row.name, Level(row.audit_level), row.created, row.erased)


def create(
    session: Session, kek: Kek, id: str, name: str, at: datetime, audit_level: Level = Level.STANDARD
) -> Tenant:
    """Make a tenant with a random key of its own. Errors: TenantTaken, BadName, OtherRootKey."""
    if not _SLUG.fullmatch(id):
        raise BadName(f"{id[:80]!r} is none.")
    check_root(session, kek)
    if session.get(TenantRow, id) is not None:
        raise TenantTaken(f"{id}.", action="Choose another.")
    key = new_tenant_key()
    row = TenantRow(
        id=id,
        name=name[:200] or id,
        wrapped_key=kek.wrap(key, tenant_context(id)),
        key_check=derive(key, id).check,
        audit_level=Level(audit_level).value,
        created=at,
        erased=None,
    )
    session.add(row)
    session.flush()
    return _tenant(row)


def _row(session: Session, id: str) -> TenantRow:
    row = session.get(TenantRow, id)
    if row is None:
        raise NoSuchTenant(f"{id[:80]!r}.")
    return row


def tenant(session: Session, id: str) -> Tenant:
    """One tenant, erased or not. Errors: NoSuchTenant."""
    return _tenant(_row(session, id))


def tenants(session: Session, *, erased: bool = False) -> list[Tenant]:
    """The tenants in order of identifier; with the erased ones if asked."""
    query = select(TenantRow).order_by(TenantRow.id)
    if not erased:
        query = query.where(TenantRow.erased.is_(None))
    return [_tenant(row) for row in session.scalars(query)]


def unlock(session: Session, kek: Kek, id: str) -> tuple[bytes, bytes]:
    """A tenant's key, known to be right, and its check value: what a worker needs for `open_ring`.

    Errors: NoSuchTenant, TenantErased, WrongRootKey, DamagedKey, WrongTenantKey.
    """
    row = _row(session, id)
    if row.wrapped_key is None:
        raise TenantErased(f"{id}.")
    key = kek.unwrap(row.wrapped_key, tenant_context(id))
    open_ring(key, id, row.key_check)
    return key, row.key_check


def ring(session: Session, kek: Kek, id: str) -> KeyRing:
    """A tenant's key ring. Errors as `unlock`."""
    key, check = unlock(session, kek, id)
    return open_ring(key, id, check)


def change(session: Session, id: str, *, name: str | None = None, audit_level: Level | None = None) -> Tenant:
    """Change what may be changed of a tenant. Errors: NoSuchTenant."""
    row = _row(session, id)
    if name:
        row.name = name[:200]
    if audit_level is not None:
        row.audit_level = Level(audit_level).value
    return _tenant(row)


def erase(session: Session, id: str, at: datetime) -> None:
    """Destroy a tenant's key, its memberships, API keys and schedules. There is no way back.

    What holds afterwards: nobody can read the tenant's store or landing zone, the root key's owner
    included. Call `Database.scrub` after the commit, stop the worker (it holds the key in memory), then
    remove the tenant's folder. Backups of the control database still hold the wrapped key until they expire.
    The identifier stays taken, so no later tenant inherits what was said of this one.
    """
    row = _row(session, id)
    if row.erased is not None:
        return
    row.wrapped_key = None
    row.erased = at
    session.execute(delete(MembershipRow).where(MembershipRow.tenant_id == id))
    session.execute(delete(ScheduleRow).where(ScheduleRow.tenant_id == id))
    session.execute(
        update(ApiKeyRow).where(ApiKeyRow.tenant_id == id, ApiKeyRow.revoked.is_(None)).values(revoked=at)
    )
    session.flush()
