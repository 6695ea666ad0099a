"""Control routes: me, users, memberships and API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.gateway.services import Services, principal
from app.problems import Problem
from app.roles import Role
from storage.audit import ActionKind
from storage.control import api_keys, people, sessions, tenants

SECURITY = ActionKind.SECURITY


class Asked(BaseModel):
    """Base of what is asked: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Me(BaseModel):
    """Who asks, and what they may do where."""

    user: str
    name: str
    via: str
    installation: Role | None
    roles: dict[str, Role]


class UserOut(BaseModel):
    """An account."""

    id: str
    login: str
    name: str
    role: str | None
    active: bool
    created: datetime
    tenants: dict[str, str] = {}


class NewUser(Asked):
    """An account to make. `role` is in the installation; `tenants` gives roles in tenants."""

    login: str = Field(min_length=1, max_length=200)
    name: str = Field(default="", max_length=200)
    password: SecretStr
    role: Role | None = None
    tenants: dict[str, Role] = {}


class UserChange(Asked):
    """What to change of an account; what is left out stays."""

    role: Role | None = None
    active: bool | None = None


class PasswordChange(Asked):
    """The old password proves that it is you."""

    old: SecretStr
    new: SecretStr


class PasswordReset(Asked):
    """A new password for somebody else."""

    new: SecretStr


class Membership(Asked):
    """A role in a tenant."""

    role: Role


class NewKey(Asked):
    """An API key to make. No tenant: a key of the installation, which opens no tenant."""

    name: str = Field(min_length=1, max_length=200)
    tenant: str | None = None
    role: Role
    days: int | None = Field(
        default=None, ge=1, le=3650, description="How long it works; always if left out."
    )


class KeyOut(BaseModel):
    """An API key. `key` is its text, shown at its making and never again."""

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
    key: str | None = None


class MeChange(Asked):
    """What to change of my own account."""

    name: str = Field(min_length=1, max_length=200)


class SignIn(BaseModel):
    """A sign-in of mine that still holds. `here` is the one that asks."""

    id: str
    address: str
    created: datetime
    seen: datetime
    expires: datetime
    here: bool


class Ended(BaseModel):
    """How many sign-ins ended."""

    ended: int


def router(services: Services) -> APIRouter:
    """The routes about people."""
    api = APIRouter(prefix="/api/v1")
    control = services.control

    @api.get("/me", tags=["me"])
    def me(request: Request) -> Me:
        """Who I am, and what I may do where."""
        who = principal(request)
        return Me(
            user=who.user, name=who.name, via=who.via, installation=who.installation, roles=dict(who.roles)
        )

    @api.patch("/me", tags=["me"])
    def change_me(asked: MeChange, request: Request) -> Me:
        """Change my name as others see it."""
        who = principal(request)
        if who.session is None:
            raise Problem(409, "An API key is renamed by nobody.")
        with services.change(who, "change-name", kind=SECURITY, object=who.user) as (session, note):
            user = people.rename(session, who.id, asked.name)
            note |= {"before": {"name": who.name}, "after": {"name": user.name}}
        return Me(
            user=who.user, name=user.name, via=who.via, installation=who.installation, roles=dict(who.roles)
        )

    @api.get("/me/sessions", tags=["me"])
    def my_sessions(request: Request) -> list[SignIn]:
        """Where I am signed in, the last used first."""
        who = principal(request)
        if who.session is None:
            raise Problem(409, "An API key has no sign-ins.")
        idle = timedelta(seconds=services.settings.sign_in_idle)
        with control.database.read() as session:
            found = sessions.open_sessions(session, who.id, control.now(), idle)
        return [SignIn(**vars(one), here=one.id == who.session) for one in found]

    @api.delete("/me/sessions/{session}", tags=["me"])
    def end_session(session: str, request: Request) -> Ended:
        """End one sign-in of mine and close its pages."""
        who = principal(request)
        if who.session is None:
            raise Problem(409, "An API key has no sign-ins.")
        idle = timedelta(seconds=services.settings.sign_in_idle)
        with services.change(who, "end-sign-in", kind=SECURITY, object=who.user) as (database, note):
            mine = sessions.open_sessions(database, who.id, control.now(), idle)
            if session not in {one.id for one in mine}:
                raise Problem(404, "There is no such sign-in of yours.")
            sessions.end(database, session, control.now())
            note["ended"] = [session]
        return Ended(ended=1)

    @api.post("/me/password", tags=["me"])
    def change_password(asked: PasswordChange, request: Request) -> Ended:
        """Change my password. Every sign-in of mine ends, this one too."""
        who = principal(request)
        if who.session is None:
            raise Problem(409, "An API key has no password.")
        # The same limits as at sign-in: an open browser must not be a place to guess.
        address = request.client.host if request.client else "unix"
        try:
            sessions.sign_in(
                control.database, control.keys, who.user, asked.old.get_secret_value(), address, control.now()
            )
        except sessions.SignInRefused:
            raise Problem(400, "The old password is not right.") from None
        with services.change(who, "change-password", kind=SECURITY, object=who.user) as (session, note):
            note["ended"] = people.set_password(session, who.id, asked.new.get_secret_value(), control.now())
        return Ended(ended=len(note["ended"]))

    @api.post("/me/sign-out-everywhere", tags=["me"])
    def sign_out_everywhere(request: Request) -> Ended:
        """End all my sign-ins and close their pages."""
        who = principal(request)
        if who.session is None:
            raise Problem(409, "An API key has no sign-ins.")
        return Ended(ended=services.accounts.sign_out_everywhere(who.id, who.user))

    @api.get("/users", tags=["users"])
    def users() -> list[UserOut]:
        """Every account and its tenants."""
        with control.database.read() as session:
            return [_user(user, people.roles_of(session, user.id)) for user in people.users(session)]

    @api.post("/users", status_code=201, tags=["users"])
    def create_user(asked: NewUser, request: Request) -> UserOut:
        """Make an account."""
        with services.change(principal(request), "create-user", kind=SECURITY) as (session, note):
            at = control.now()
            user = people.create(
                session, asked.login, asked.password.get_secret_value(), at, name=asked.name, role=asked.role
            )
            for tenant, role in asked.tenants.items():
                people.grant(session, user.id, tenant, role, at)
            note |= {"object": user.login, "after": {"role": asked.role, "tenants": asked.tenants}}
            return _user(user, people.roles_of(session, user.id))

    @api.get("/users/{user}", tags=["users"])
    def get_user(user: str) -> UserOut:
        """One account."""
        with control.database.read() as session:
            return _user(people.user(session, user), people.roles_of(session, user))

    @api.patch("/users/{user}", tags=["users"])
    def change_user(user: str, asked: UserChange, request: Request) -> UserOut:
        """Give or take a role in the installation; close or open the account."""
        with services.change(principal(request), "change-user", kind=SECURITY) as (session, note):
            before = people.user(session, user)
            if "role" in asked.model_fields_set:
                people.set_installation_role(session, user, asked.role, control.now())
            if asked.active is False:
                note["ended"] = people.deactivate(session, user, control.now())
            elif asked.active is True:
                people.reactivate(session, user)
            session.flush()
            after = people.user(session, user)
            note |= {"object": before.login, "before": _short(before), "after": _short(after)}
            return _user(after, people.roles_of(session, user))

    @api.delete("/users/{user}", tags=["users"])
    def close_user(user: str, request: Request) -> Ended:
        """Close an account for good measure: its sign-ins end, its API keys are revoked, its name stays."""
        with services.change(principal(request), "close-user", kind=SECURITY) as (session, note):
            note["object"] = people.user(session, user).login
            note["ended"] = people.deactivate(session, user, control.now())
        return Ended(ended=len(note["ended"]))

    @api.post("/users/{user}/password", tags=["users"])
    def reset_password(user: str, asked: PasswordReset, request: Request) -> Ended:
        """Give an account a new password; its sign-ins end."""
        with services.change(principal(request), "reset-password", kind=SECURITY) as (session, note):
            note["object"] = people.user(session, user).login
            note["ended"] = people.set_password(session, user, asked.new.get_secret_value(), control.now())
        return Ended(ended=len(note["ended"]))

    @api.post("/users/{user}/sign-out-everywhere", tags=["users"])
    def sign_out_user(user: str, request: Request) -> Ended:
        """End all sign-ins of an account."""
        with control.database.read() as session:
            people.user(session, user)
        return Ended(ended=services.accounts.sign_out_everywhere(user, principal(request).user))

    @api.put("/users/{user}/memberships/{tenant}", tags=["users"])
    def grant(user: str, tenant: str, asked: Membership, request: Request) -> UserOut:
        """Give an account a role in a tenant, in place of the one it had."""
        with services.change(principal(request), "grant-role", kind=SECURITY, tenant=tenant) as (
            session,
            note,
        ):
            before = people.user(session, user)
            note |= {
                "object": before.login,
                "before": people.role_in(session, user, tenant),
                "after": asked.role,
            }
            people.grant(session, user, tenant, asked.role, control.now())
            return _user(before, people.roles_of(session, user))

    @api.delete("/users/{user}/memberships/{tenant}", tags=["users"])
    def withdraw(user: str, tenant: str, request: Request) -> UserOut:
        """Take an account's role in a tenant."""
        with services.change(principal(request), "withdraw-role", kind=SECURITY, tenant=tenant) as (
            session,
            note,
        ):
            before = people.user(session, user)
            note |= {"object": before.login, "before": people.role_in(session, user, tenant)}
            people.withdraw(session, user, tenant, control.now())
            session.flush()
            return _user(before, people.roles_of(session, user))

    @api.get("/api-keys", tags=["api keys"])
    def list_keys(request: Request) -> list[KeyOut]:
        """The keys I may see: those of tenants I administer, the installation's if I do, and my own."""
        who = principal(request)
        with control.database.read() as session:
            found = api_keys.api_keys(session, everywhere=True)
        return [_key(key) for key in found if _administers(who, key.tenant) or key.created_by == who.id]

    @api.post("/api-keys", status_code=201, tags=["api keys"])
    def create_key(asked: NewKey, request: Request) -> KeyOut:
        """Make an API key with at most my own role. Its text is in this answer and never shown again."""
        who = principal(request)
        own = who.installation if asked.tenant is None else who.role_in(asked.tenant)
        if who.session is None or not people.covers(own, asked.role):
            raise Problem(403, "Only people make API keys, with at most the role they have.")
        at = control.now()
        with services.change(who, "create-api-key", kind=SECURITY, tenant=asked.tenant or "") as (
            session,
            note,
        ):
            if asked.tenant is not None:
                tenants.tenant(session, asked.tenant)
            made, text = api_keys.create(
                session, control.keys, asked.name, asked.tenant, asked.role, at,
                created_by=who.id, expires=at + timedelta(days=asked.days) if asked.days else None,
            )  # fmt: skip
            note |= {"object": made.prefix, "after": {"name": made.name, "role": made.role}}
        return _key(made, text)

    @api.delete("/api-keys/{key}", tags=["api keys"])
    def revoke_key(key: str, request: Request) -> KeyOut:
        """Revoke a key for good."""
        who = principal(request)
        with services.change(who, "revoke-api-key", kind=SECURITY) as (session, note):
            found = next((k for k in api_keys.api_keys(session, everywhere=True) if k.id == key), None)
            if found is None or not (_administers(who, found.tenant) or found.created_by == who.id):
                raise Problem(404, "There is no such API key.")
            note["object"] = found.prefix
            return _key(api_keys.revoke(session, key, found.tenant, control.now()))

    return api


def _administers(who: Any, tenant: str | None) -> bool:
    return (who.installation if tenant is None else who.role_in(tenant)) is Role.ADMINISTRATOR


def _user(user: people.User, roles: dict[str, str]) -> UserOut:
    return UserOut(**vars(user), tenants=roles)


def _short(user: people.User) -> dict[str, Any]:
    return {"role": user.role, "active": user.active}


def _key(key: api_keys.ApiKey, text: str | None = None) -> KeyOut:
    return KeyOut(**vars(key), key=text)
