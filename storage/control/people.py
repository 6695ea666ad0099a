"""People: accounts, passwords, and the role each has in a tenant or in the installation."""

from __future__ import annotations

import threading
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.errors import Stop
from storage.control.database import lock
from storage.control.tables import ROLES, ApiKeyRow, MembershipRow, SessionRow, TenantRow, UserRow

_HASHER = PasswordHasher()  # Argon2id, 64 MiB, 3 passes: RFC 9106 §4
# Hashing takes 64 MiB each: a flood of sign-ins must queue, not fill the memory.
_AT_ONCE = threading.BoundedSemaphore(4)
_SHORTEST, _LONGEST = 12, 512
_RANK = ("viewer", "analyst", "engineer", "administrator")


class NoSuchUser(Stop):
    """There is no such account."""


class LoginTaken(Stop):
    """There is an account under this name already."""


class BadAccount(Stop):
    """An account needs a name of 1 to 200 characters without spaces around or control characters."""


class WeakPassword(Stop):
    """A password has 12 to 512 characters, and is not the account's name."""


class LastAdministrator(Stop):
    """This is the last administrator. Without one, nobody could make another."""


class NoSuchRole(Stop):
    """There is no such role here."""


@dataclass(frozen=True)
class User:
    """An account. `role` is in the installation itself: administrator, auditor, or none."""

    id: str
    login: str
    name: str
    role: str | None
    active: bool
    created: datetime


def user_of(row: UserRow) -> User:
    """The account without its password hash."""
    return User(row.id, row.login, row.name, row.role, row.active, row.created)


def covers(role: str | None, other: str) -> bool:
    """Whether `role` may do all that `other` may."""
    if role is None or other not in ROLES:
        return False
    if role == "auditor" or other == "auditor":
        return role in (other, "administrator")
    return _RANK.index(role) >= _RANK.index(other)


def folded(login: str) -> str:
    """A login as it is compared: one person can't stand beside another by case or by look-alike width."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


def hash_password(password: str, login: str) -> str:
    """The Argon2id hash to store. Errors: WeakPassword."""
    if not _SHORTEST <= len(password) <= _LONGEST or folded(password) == login:
        raise WeakPassword()
    with _AT_ONCE:
        return _HASHER.hash(_composed(password))


def check_password(stored: str | None, password: str) -> bool:
    """Whether the password is right; takes as long where there is no account."""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(stored or _nobody(), _composed(password[:_LONGEST]))
        except (VerificationError, InvalidHashError):
            return False
    return right and stored is not None and len(password) <= _LONGEST


def stale(stored: str) -> bool:
    """Whether the hash was made with other costs than today's."""
    return _HASHER.check_needs_rehash(stored)


def _composed(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode(errors="replace")


_nobodys: list[str] = []


def _nobody() -> str:
    if not _nobodys:
        _nobodys.append(_HASHER.hash(uuid.uuid4().bytes))
    return _nobodys[0]


def create(
    session: Session, login: str, password: str, at: datetime, *, name: str = "", role: str | None = None
) -> User:
    """Make an account. Errors: BadAccount, LoginTaken, WeakPassword, NoSuchRole."""
    key = folded(login)
    if not 1 <= len(key) <= 200 or any(unicodedata.category(c).startswith("C") for c in key):
        raise BadAccount()
    _check_installation_role(role)
    lock(session, "people")
    if session.scalars(select(UserRow.id).where(UserRow.login == key)).first() is not None:
        raise LoginTaken(f"{key}.")
    row = UserRow(
        id=uuid.uuid4().hex,
        login=key,
        name=(name or login.strip())[:200],
        password_hash=hash_password(password, key),
        role=role,
        active=True,
        created=at,
    )
    session.add(row)
    session.flush()
    return user_of(row)


def _check_installation_role(role: str | None) -> None:
    if role not in (None, "administrator", "auditor"):
        raise NoSuchRole(str(role)[:40])


def _row(session: Session, user: str) -> UserRow:
    row = session.get(UserRow, user)
    if row is None:
        raise NoSuchUser()
    return row


def user(session: Session, id: str) -> User:
    """One account. Errors: NoSuchUser."""
    return user_of(_row(session, id))


def user_by_login(session: Session, login: str) -> User | None:
    """The account under a login, if there is one."""
    row = session.scalars(select(UserRow).where(UserRow.login == folded(login))).first()
    return None if row is None else user_of(row)


def users(session: Session) -> list[User]:
    """Every account, by login."""
    return [user_of(row) for row in session.scalars(select(UserRow).order_by(UserRow.login))]


def rename(session: Session, id: str, name: str) -> User:
    """Give an account another display name. Errors: NoSuchUser."""
    row = _row(session, id)
    row.name = name.strip()[:200] or row.login
    return user_of(row)


def set_password(session: Session, id: str, password: str, at: datetime) -> list[str]:
    """Give an account a new password and sign it out everywhere; the ids of the sessions ended."""
    row = _row(session, id)
    row.password_hash = hash_password(password, row.login)
    return end_sessions(session, id, at)


def set_installation_role(session: Session, id: str, role: str | None, at: datetime) -> User:
    """Give or take a role in the installation. Errors: NoSuchUser, NoSuchRole, LastAdministrator."""
    _check_installation_role(role)
    lock(session, "people")
    row = _row(session, id)
    if row.role == "administrator" and role != "administrator":
        _keep_one(session, id)
    row.role = role
    _revoke_beyond(session, id, None, role, at)
    return user_of(row)


def deactivate(session: Session, id: str, at: datetime) -> list[str]:
    """Close an account: its sessions end and the API keys it made are revoked; the session ids."""
    lock(session, "people")
    row = _row(session, id)
    if row.role == "administrator":
        _keep_one(session, id)
    row.active = False
    session.execute(
        update(ApiKeyRow).where(ApiKeyRow.created_by == id, ApiKeyRow.revoked.is_(None)).values(revoked=at)
    )
    return end_sessions(session, id, at)


def reactivate(session: Session, id: str) -> User:
    """Open a closed account again. Its API keys stay revoked."""
    row = _row(session, id)
    row.active = True
    return user_of(row)


def _keep_one(session: Session, id: str) -> None:
    others = select(UserRow.id).where(UserRow.role == "administrator", UserRow.active, UserRow.id != id)
    if session.scalars(others.limit(1)).first() is None:
        raise LastAdministrator(action="Make another administrator first.")


def grant(session: Session, id: str, tenant: str, role: str, at: datetime) -> None:
    """Give an account a role in a tenant, in place of the one it had. API keys beyond it are revoked.

    Errors: NoSuchUser, NoSuchRole; Stop where there is no such tenant.
    """
    if role not in ROLES:
        raise NoSuchRole(role[:40])
    _row(session, id)
    found = session.get(TenantRow, tenant)
    if found is None or found.erased is not None:
        raise Stop("There is no such tenant.")
    session.merge(MembershipRow(user_id=id, tenant_id=tenant, role=role))
    session.flush()
    _revoke_beyond(session, id, tenant, role, at)


def withdraw(session: Session, id: str, tenant: str, at: datetime) -> None:
    """Take an account's role in a tenant; the API keys it made there are revoked."""
    session.execute(
        delete(MembershipRow).where(MembershipRow.user_id == id, MembershipRow.tenant_id == tenant)
    )
    _revoke_beyond(session, id, tenant, None, at)


def role_in(session: Session, id: str, tenant: str) -> str | None:
    """The role of an active account in a tenant that is there, or None.

    A role in the installation gives none in a tenant: who runs the place does not read the data.
    """
    query = (
        select(MembershipRow.role)
        .join(UserRow, UserRow.id == MembershipRow.user_id)
        .join(TenantRow, TenantRow.id == MembershipRow.tenant_id)
        .where(MembershipRow.user_id == id, MembershipRow.tenant_id == tenant)
        .where(UserRow.active, TenantRow.erased.is_(None))
    )
    return session.scalars(query).first()


def roles_of(session: Session, id: str) -> dict[str, str]:
    """The tenants of an account, and its role in each."""
    query = select(MembershipRow.tenant_id, MembershipRow.role).where(MembershipRow.user_id == id)
    return {row.tenant_id: row.role for row in session.execute(query.order_by(MembershipRow.tenant_id))}


def members(session: Session, tenant: str) -> list[tuple[User, str]]:
    """The accounts of a tenant with their roles, by login."""
    query = (
        select(UserRow, MembershipRow.role)
        .join(MembershipRow, MembershipRow.user_id == UserRow.id)
        .where(MembershipRow.tenant_id == tenant)
        .order_by(UserRow.login)
    )
    return [(user_of(row), role) for row, role in session.execute(query)]


def _revoke_beyond(session: Session, user: str, tenant: str | None, role: str | None, at: datetime) -> None:
    # Whoever made a key knows it: it must not outlive the role it was made with.
    place = ApiKeyRow.tenant_id.is_(None) if tenant is None else ApiKeyRow.tenant_id == tenant
    query = select(ApiKeyRow).where(ApiKeyRow.created_by == user, place, ApiKeyRow.revoked.is_(None))
    for key in session.scalars(query):
        if not covers(role, key.role):
            key.revoked = at


def end_sessions(session: Session, user: str, at: datetime) -> list[str]:
    """Sign an account out everywhere; the ids of the sessions ended, so that open sockets can be closed."""
    query = update(SessionRow).where(SessionRow.user_id == user, SessionRow.revoked.is_(None))
    return list(session.scalars(query.values(revoked=at).returning(SessionRow.id)))
