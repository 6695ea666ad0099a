"""API keys: shown once, kept as a hash, good for one role in one tenant until they expire."""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine.errors import Stop
from storage.control.database import Database
from storage.control.installation import Installation
from storage.control.people import NoSuchRole
from storage.control.tables import ROLES, ApiKeyRow, TenantRow

_FORM = re.compile(r"spire_([a-z2-7]{12})_[\w-]{43}")
_NOTICE = timedelta(minutes=1)


class NoSuchApiKey(Stop):
    """There is no such API key."""


@dataclass(frozen=True)
class ApiKey:
    """An API key without its secret. `tenant` None: a key of the installation, which opens no tenant."""

    id: str
    prefix: str
    name: str
    tenant: str | None
    role: str
    created_by: str | None
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        row.id, row.prefix, row.name, row.tenant_id, row.role, row.created_by, row.created, row.expires,
        row.last_used, row.revoked,
    )  # fmt: skip


def create(
    session: Session,
    keys: Installation,
    name: str,
    tenant: str | None,
    role: str,
    at: datetime,
    *,
    created_by: str | None = None,
    expires: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the text is given here and never again. The caller sees that the maker's role covers it."""
    if role not in (ROLES if tenant is not None else ("administrator", "auditor")):
        raise NoSuchRole(role[:40])
    if tenant is not None:
        found = session.get(TenantRow, tenant)
        if found is None or found.erased is not None:
            raise Stop("There is no such tenant.")
    prefix = base64.b32encode(os.urandom(8)).decode().lower()[:12]
    text = f"spire_{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=uuid.uuid4().hex,
        prefix=prefix,
        hash=keys.fingerprint("api-key", text),
        name=name[:200],
        tenant_id=tenant,
        role=role,
        created_by=created_by,
        created=at,
        expires=expires,
    )
    session.add(row)
    session.flush()
    return _key(row), text


def authenticate(database: Database, keys: Installation, text: str, at: datetime) -> ApiKey | None:
    """The key this text is, or None: it is unknown, revoked, expired, or its tenant is erased."""
    form = _FORM.fullmatch(text)
    spoken = keys.fingerprint("api-key", text)
    with database.read() as session:
        row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.prefix == (form[1] if form else ""))).first()
        right = hmac.compare_digest(row.hash if row is not None else "0" * 64, spoken)
        if row is None or not right or row.revoked is not None or (row.expires and row.expires <= at):
            return None
        if row.tenant_id is not None:
            tenant = session.get(TenantRow, row.tenant_id)
            if tenant is None or tenant.erased is not None:
                return None
        key = _key(row)
    if key.last_used is None or at - key.last_used > _NOTICE:
        with database.write() as session:
            session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key.id).values(last_used=at))
    return key


def api_keys(session: Session, tenant: str | None = None, *, everywhere: bool = False) -> list[ApiKey]:
    """The keys of a tenant (None: the installation's), revoked ones too, newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created.desc(), ApiKeyRow.id)
    if not everywhere:
        query = query.where(
            ApiKeyRow.tenant_id.is_(None) if tenant is None else ApiKeyRow.tenant_id == tenant
        )
    return [_key(row) for row in session.scalars(query)]


def revoke(session: Session, id: str, tenant: str | None, at: datetime) -> ApiKey:
    """Revoke a key of this tenant for good. Errors: NoSuchApiKey, also for another tenant's key."""
    row = session.get(ApiKeyRow, id)
    if row is None or row.tenant_id != tenant:
        raise NoSuchApiKey()
    row.revoked = row.revoked or at
    return _key(row)
