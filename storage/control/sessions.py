"""Signing in, at a bounded rate, and staying signed in for a bounded time."""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine.errors import Retry, Stop
from storage.control.database import Database, lock
from storage.control.installation import Installation
from storage.control.people import User, check_password, folded, hash_password, stale, user_of
from storage.control.tables import AttemptRow, SessionRow, UserRow

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=2)
_NOTICE = timedelta(minutes=1)


class SignInRefused(Stop):
    """The name or the password is not right."""


class LockedOut(Retry):
    """There were too many failed sign-ins."""

    def __init__(self, seconds: int) -> None:
        super().__init__(action=f"Try again in {seconds} seconds.")
        self.seconds = seconds


@dataclass(frozen=True)
class Limits:
    """How often signing in may fail before it is locked for a while.

    A name from one address: `pair` times, then 1 minute, doubled at each further failure, at most `longest`.
    An address: `address` times within `window`. A name from anywhere: `login` times within `day`
    (NIST SP 800-63B §5.2.2 allows 100).
    """

    pair: int = 5
    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)
    address: int = 50
    window: timedelta = timedelta(minutes=15)
    login: int = 100
    day: timedelta = timedelta(days=1)


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in, and until when. `id` names the session and can't be used to enter it."""

    id: str
    user: User
    expires: datetime


def _place(address: str) -> str:
    """The address as it is counted: a home has a whole IPv6 /64 to choose from."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))
    return str(found)


def sign_in(
    database: Database,
    keys: Installation,
    login: str,
    password: str,
    address: str,
    at: datetime,
    limits: Limits | None = None,
) -> User:
    """The account, if name and password are right. Errors: SignInRefused, LockedOut.

    An attempt counts as failed from before the password is looked at until it proves right, so a burst of
    attempts at once gets no more tries than one after another. Which part was wrong is never told.
    """
    name, place = keys.fingerprint("login", folded(login)), _place(address)
    attempt = uuid.uuid4().hex
    with database.write() as session:
        lock(session, f"sign-in {name}")
        lock(session, f"sign-in {place}")
        wait = _wait(session, name, place, at, limits or Limits())
        if wait > 0:
            raise LockedOut(wait)
        session.add(AttemptRow(id=attempt, login=name, address=place, at=at, good=False))
        row = session.scalars(select(UserRow).where(UserRow.login == folded(login))).first()
        stored = row.password_hash if row is not None and row.active else None
    if not check_password(stored, password):
        raise SignInRefused()
    with database.write() as session:
        session.execute(update(AttemptRow).where(AttemptRow.id == attempt).values(good=True))
        row = session.scalars(select(UserRow).where(UserRow.login == folded(login))).one()
        if not row.active or row.password_hash != stored:
            raise SignInRefused()
        if stale(row.password_hash):
            row.password_hash = hash_password(password, row.login)
        return user_of(row)


def _wait(session: Session, login: str, place: str, at: datetime, limits: Limits) -> int:
    """Seconds until this name may be tried from this address; 0 is now."""
    pair = (AttemptRow.login == login, AttemptRow.address == place)
    until = at
    good = session.scalar(select(func.max(AttemptRow.at)).where(*pair, AttemptRow.good))
    failed = select(AttemptRow.at).where(*pair, ~AttemptRow.good, AttemptRow.at > at - limits.day)
    if good is not None:
        failed = failed.where(AttemptRow.at > good)
    times = session.scalars(failed.order_by(AttemptRow.at.desc()).limit(limits.pair + 16)).all()
    if len(times) >= limits.pair:
        until = max(until, times[0] + min(limits.first * 2 ** (len(times) - limits.pair), limits.longest))
    for scope, most, window in (
        (AttemptRow.address == place, limits.address, limits.window),
        (AttemptRow.login == login, limits.login, limits.day),
    ):
        query = select(AttemptRow.at).where(scope, ~AttemptRow.good, AttemptRow.at > at - window)
        oldest = session.scalars(query.order_by(AttemptRow.at.desc()).offset(most - 1).limit(1)).first()
        if oldest is not None:
            until = max(until, oldest + window)
    return max(0, -int((at - until).total_seconds() // 1))


def forget_attempts(session: Session, before: datetime) -> None:
    """Drop attempts too old to count, and sessions that ended before then."""
    session.execute(delete(AttemptRow).where(AttemptRow.at < before))
    session.execute(delete(SessionRow).where(SessionRow.expires < before))


def start(
    session: Session,
    keys: Installation,
    user: str,
    address: str,
    at: datetime,
    lifetime: timedelta = LIFETIME,
) -> str:
    """Start a session; gives the token for the cookie, which stands nowhere else."""
    token = secrets.token_urlsafe(32)
    session.add(
        SessionRow(
            id=keys.fingerprint("session", token),
            user_id=user,
            address=address[:64],
            created=at,
            seen=at,
            expires=at + lifetime,
        )
    )
    session.flush()
    return token


def resolve(
    database: Database, keys: Installation, token: str, at: datetime, idle: timedelta = IDLE
) -> SignedIn | None:
    """Who this token belongs to, or None: it is unknown, ended, expired, idle too long, or its account closed."""
    id = keys.fingerprint("session", token)
    with database.read() as session:
        found = session.execute(
            select(SessionRow, UserRow)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(SessionRow.id == id, SessionRow.revoked.is_(None), UserRow.active)
            .where(SessionRow.expires > at, SessionRow.seen > at - idle)
        ).first()
        if found is None:
            return None
        row, user = found
        signed, seen = SignedIn(row.id, user_of(user), row.expires), row.seen
    if at - seen > _NOTICE:
        with database.write() as session:
            session.execute(update(SessionRow).where(SessionRow.id == id).values(seen=at))
    return signed


@dataclass(frozen=True)
class Open:
    """A sign-in that still holds: where from, since when, last used, and until when at the longest."""

    id: str
    address: str
    created: datetime
    seen: datetime
    expires: datetime


def open_sessions(session: Session, user: str, at: datetime, idle: timedelta = IDLE) -> list[Open]:
    """The sign-ins of an account that still hold, the last used first."""
    query = select(SessionRow).where(SessionRow.user_id == user, SessionRow.revoked.is_(None))
    query = query.where(SessionRow.expires > at, SessionRow.seen > at - idle)
    rows = session.scalars(query.order_by(SessionRow.seen.desc()))
    return [Open(row.id, row.address, row.created, row.seen, row.expires) for row in rows]


def end(session: Session, id: str, at: datetime) -> None:
    """End one session by its id."""
    session.execute(
        update(SessionRow).where(SessionRow.id == id, SessionRow.revoked.is_(None)).values(revoked=at)
    )
