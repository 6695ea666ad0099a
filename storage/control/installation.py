"""The installation: its own key, the change of root key, the set-up link, and settings."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine.errors import Stop
from storage.control.database import lock
from storage.control.tables import InstallationRow, SetupRow, TenantRow, UserRow
from storage.kek import Kek, WrongRootKey

# No tenant is called so: identifiers have no colon.
_CONTEXT = b":installation"


class OtherRootKey(WrongRootKey):
    """The root key is not the one this installation was made with, so nothing was opened."""


class SetupRefused(Stop):
    """This set-up link is not valid: it was used, it expired, or there is an account already."""


@dataclass(frozen=True, eq=False)
class Installation:
    """Keys of the installation: for the control audit chain, for signing cookies, for hashing tokens."""

    audit: bytes = field(repr=False)
    cookie: bytes = field(repr=False)
    pepper: bytes = field(repr=False)

    def fingerprint(self, use: str, text: str) -> str:
        """What stands in the database for a token or a name; useless without this key."""
        return hmac.new(self.pepper, f"{use}\0{text}".encode(errors="replace"), hashlib.sha256).hexdigest()


def open_installation(session: Session, kek: Kek, at: datetime) -> Installation:
    """The installation's keys, made at the first start. Writes. Errors: WrongRootKey, DamagedKey.

    Call it first at every start: it refuses a wrong root key before a tenant is made with one.
    """
    lock(session, "installation")
    row = session.get(InstallationRow, 1)
    if row is None:
        key = os.urandom(32)
        session.add(InstallationRow(id=1, wrapped_key=kek.wrap(key, _CONTEXT), created=at))
        session.flush()
    else:
        key = _unwrap(kek, row)

    def derive(use: bytes) -> bytes:
        info = b"phantom-spire/installation/1\0" + use
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)

    return Installation(derive(b"audit"), derive(b"cookie"), derive(b"pepper"))


def _unwrap(kek: Kek, row: InstallationRow) -> bytes:
    try:
        return kek.unwrap(row.wrapped_key, _CONTEXT)
    except WrongRootKey as error:
        raise OtherRootKey(action=error.action) from None


def made(session: Session) -> datetime:
    """When this installation was made."""
    return session.get_one(InstallationRow, 1).created


def check_root(session: Session, kek: Kek) -> None:
    """Let nobody wrap with a root key that was changed meanwhile; holds to the end of the transaction."""
    lock(session, "installation")
    row = session.get(InstallationRow, 1, populate_existing=True)
    if row is not None:
        _unwrap(kek, row)


def rewrap(session: Session, old: Kek, new: Kek) -> int:
    """Wrap every key anew with another root key, all of them or none; how many tenants.

    No data is touched: tenants' keys stay what they are. Each new wrapping is opened once before it counts.
    """
    lock(session, "installation")

    def again(blob: bytes, context: bytes) -> bytes:
        key = old.unwrap(blob, context)
        wrapped = new.wrap(key, context)
        if not hmac.compare_digest(new.unwrap(wrapped, context), key):
            raise Stop("The new root key does not open what it wrapped.")
        return wrapped

    installation = session.get(InstallationRow, 1, with_for_update=True)
    if installation is not None:
        _unwrap(old, installation)
        installation.wrapped_key = again(installation.wrapped_key, _CONTEXT)
    found = session.scalars(select(TenantRow).where(TenantRow.erased.is_(None)).with_for_update()).all()
    for row in found:
        if row.wrapped_key is not None:
            row.wrapped_key = again(row.wrapped_key, tenant_context(row.id))
    return len(found)


def tenant_context(tenant: str) -> bytes:
    """What a tenant's wrapped key is bound to."""
    return tenant.encode()


# Set-up


def needs_setup(session: Session) -> bool:
    """Whether nobody has an account yet."""
    return session.scalars(select(UserRow.id).limit(1)).first() is None


def issue_setup(
    session: Session, keys: Installation, at: datetime, lifetime: timedelta = timedelta(hours=24)
) -> str:
    """A token for the first administrator's link, good once; earlier ones end. Errors: SetupRefused."""
    if not needs_setup(session):
        raise SetupRefused(action="Sign in instead.")
    session.execute(update(SetupRow).where(SetupRow.used.is_(None)).values(used=at))
    token = secrets.token_urlsafe(32)
    session.add(SetupRow(id=keys.fingerprint("setup", token), created=at, expires=at + lifetime))
    return token


def setup_works(session: Session, keys: Installation, token: str, at: datetime) -> bool:
    """Whether the link with this token would still make the first administrator; it stays as it is."""
    good = select(SetupRow.id).where(
        SetupRow.id == keys.fingerprint("setup", token), SetupRow.used.is_(None), SetupRow.expires > at
    )
    return session.scalars(good).first() is not None and needs_setup(session)


def use_setup(session: Session, keys: Installation, token: str, at: datetime) -> None:
    """Spend the token. Make the first administrator in this same transaction. Errors: SetupRefused."""
    lock(session, "setup")
    spent = session.execute(
        update(SetupRow)
        .where(
            SetupRow.id == keys.fingerprint("setup", token), SetupRow.used.is_(None), SetupRow.expires > at
        )
        .values(used=at)
        .returning(SetupRow.id)
    ).all()
    if not spent or not needs_setup(session):
        raise SetupRefused(action="Start Phantom Spire again for a new link, or sign in.")
