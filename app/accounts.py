"""Signing in and out: cookies and API keys become principals, and ended sign-ins end at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import timedelta

from itsdangerous import BadSignature, Signer

from app.auth import Live, Principal
from app.control import Control
from app.roles import Role
from storage.audit import ActionKind, Event
from storage.control import api_keys, control_audit, installation, people, sessions
from storage.control.people import User

# How long an answer is believed before the database is asked again. Endings in this process forget it
# at once; those in another process are noticed within this time.
BELIEVED = 2.0
MOST = 10_000
# The tenant a new installation starts with; its first administrator belongs to it.
FIRST_TENANT = "default"


class Accounts:
    """The gateway's door. Thread-safe; its methods block, so call them in a thread."""

    def __init__(self, control: Control, live: Live) -> None:
        self._control = control
        self._live = live
        self._signer = Signer(control.keys.cookie, salt="phantom-spire/sign-in")
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Principal]] = {}

    def identify(self, cookie: str | None, bearer: str | None) -> Principal | None:
        """Who this is. An API key goes before a cookie: what proves more explicitly counts."""
        known = self.believed(cookie, bearer)
        if known is not None:
            return known
        proof = _proof(cookie, bearer)
        found = self._by_key(bearer) if bearer is not None else self._by_cookie(cookie or "")
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            if found is None:
                self._known.pop(proof, None)
            else:
                self._known[proof] = (time.monotonic() + BELIEVED, found)
        return found

    def believed(self, cookie: str | None, bearer: str | None) -> Principal | None:
        """Who this was a moment ago, without asking the database; None where nobody has asked lately."""
        with self._lock:
            until, known = self._known.get(_proof(cookie, bearer), (0.0, None))
        return known if time.monotonic() < until else None

    def sign_in(self, login: str, password: str, address: str, replaced: Principal | None = None) -> str:
        """A cookie for a new sign-in; the one the browser had ends. Errors: SignInRefused, LockedOut."""
        control, at = self._control, self._control.now()
        try:
            user = sessions.sign_in(control.database, control.keys, login, password, address, at)
        except (sessions.SignInRefused, sessions.LockedOut):
            # The name as typed may be a password: the audit log gets the address alone.
            control.record(Event(ActionKind.SECURITY, address, "sign-in", outcome="refused"))
            raise
        if replaced is not None and replaced.session is not None:
            self._end([replaced.session])
        return self._start(user, address, "sign-in")

    def set_up_works(self, token: str) -> bool:
        """Whether a set-up link can still be used."""
        with self._control.database.read() as session:
            return installation.setup_works(session, self._control.keys, token, self._control.now())

    def set_up(self, token: str, login: str, password: str, name: str, address: str) -> str:
        """Make the first administrator and sign them in; gives the cookie. The link's token is spent.

        Errors: SetupRefused, BadAccount, WeakPassword; then the token stays good.
        """
        control, at = self._control, self._control.now()
        with control.database.write() as session:
            installation.use_setup(session, control.keys, token, at)
            user = people.create(session, login, password, at, name=name, role="administrator")
            people.grant(session, user.id, FIRST_TENANT, "administrator", at)
            event = Event(
                ActionKind.SECURITY, user.login, "set-up", object=user.login, after={"role": user.role}
            )
            control_audit.record(session, control.keys, event, at)
        return self._start(user, address, "sign-in")

    def sign_out(self, principal: Principal) -> None:
        """End this one sign-in and close its websockets."""
        if principal.session is not None:
            self._end([principal.session])
            self._control.record(Event(ActionKind.SECURITY, principal.user, "sign-out"))

    def sign_out_everywhere(self, user: str, by: str) -> int:
        """End every sign-in of an account and close their websockets; how many."""
        control, at = self._control, self._control.now()
        with control.database.write() as session:
            ended = people.end_sessions(session, user, at)
            event = Event(
                ActionKind.SECURITY, by, "sign-out-everywhere", object=people.user(session, user).login
            )
            control_audit.record(session, control.keys, event, at)
        self.ended(ended)
        return len(ended)

    def ended(self, ids: Iterable[str] = ()) -> None:
        """Forget what was believed, and close the websockets of these sign-ins.

        Call it after any change of accounts, roles or keys.
        """
        with self._lock:
            self._known.clear()
        for id in ids:
            self._live.close(id)

    def _end(self, ids: list[str]) -> None:
        with self._control.database.write() as session:
            for id in ids:
                sessions.end(session, id, self._control.now())
        self.ended(ids)

    def _start(self, user: User, address: str, action: str) -> str:
        control, at = self._control, self._control.now()
        length = timedelta(seconds=control.settings.sign_in_length)
        with control.database.write() as session:
            token = sessions.start(session, control.keys, user.id, address, at, length)
            event = Event(ActionKind.SECURITY, user.login, action, object=address)
            control_audit.record(session, control.keys, event, at)
        return self._signer.sign(token).decode("ascii")

    def _by_cookie(self, cookie: str) -> Principal | None:
        try:
            token = self._signer.unsign(cookie).decode("ascii")
        except (BadSignature, UnicodeDecodeError):
            return None
        control = self._control
        idle = timedelta(seconds=control.settings.sign_in_idle)
        signed = sessions.resolve(control.database, control.keys, token, control.now(), idle)
        if signed is None:
            return None
        with control.database.read() as session:
            roles = people.roles_of(session, signed.user.id)
        return Principal(
            user=signed.user.login,
            id=signed.user.id,
            name=signed.user.name,
            via="cookie",
            roles={tenant: Role(role) for tenant, role in roles.items()},
            installation=Role(signed.user.role) if signed.user.role else None,
            session=signed.id,
        )

    def _by_key(self, text: str) -> Principal | None:
        control = self._control
        key = api_keys.authenticate(control.database, control.keys, text, control.now())
        if key is None:
            return None
        return Principal(
            user=f"key:{key.prefix}",
            id=key.id,
            name=key.name,
            via="key",
            roles={key.tenant: Role(key.role)} if key.tenant is not None else {},
            installation=Role(key.role) if key.tenant is None else None,
        )


def _proof(cookie: str | None, bearer: str | None) -> str:
    return f"key {bearer}" if bearer is not None else f"cookie {cookie}"
