"""Commands on the installation: tenants, accounts, API keys and the root key."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from app.cli import access
from app.cli.access import changing
from app.cli.chosen import settings
from app.cli.options import Json
from app.cli.words import say, show, table, tell
from app.control import Control
from app.worker import owned
from engine.errors import Stop
from storage.audit import Level
from storage.control import api_keys, installation, people, tenants
from storage.kek import Kek, Passphrase, create_key_file, load_key_file

tenant_commands = typer.Typer(help="Make, list and destroy tenants.", no_args_is_help=True)
user_commands = typer.Typer(help="Make and change accounts.", no_args_is_help=True)
key_commands = typer.Typer(help="API keys, and the root key.", no_args_is_help=True)


class NoSuchAccount(Stop):
    """There is no such account."""


class NotConfirmed(Stop):
    """Nothing was destroyed."""


class StillAtWork(Stop):
    """Stop Phantom Spire first: something still uses the keys."""


@tenant_commands.command("list")
def list_tenants(as_json: Json = False) -> None:
    """List tenants."""
    with access.control() as control, control.database.read() as session:
        found = tenants.tenants(session)
    rows = [
        {"id": t.id, "name": t.name, "audit_level": t.audit_level.value, "created": t.created} for t in found
    ]
    show(rows) if as_json else table(("id", "name", "audit", "created"), [tuple(r.values()) for r in rows])


@tenant_commands.command("create")
def create_tenant(
    id: Annotated[str, typer.Argument(help="Small letters, digits, - and _.")],
    name: Annotated[str, typer.Option(help="As people know it.")] = "",
    audit_level: Annotated[Level, typer.Option(help="How much is written down.")] = Level.STANDARD,
    as_json: Json = False,
) -> None:
    """Make a tenant with a key, a store and a worker of its own."""
    with access.control() as control, changing(control, "create-tenant", id, id) as (session, note):
        made = tenants.create(session, control.kek, id, name or id, control.now(), audit_level)
        note["after"] = {"name": made.name, "audit_level": made.audit_level.value}
    show({"id": made.id, "name": made.name}) if as_json else say(f"Tenant {made.id} is there.")


@tenant_commands.command("destroy")
def destroy_tenant(
    id: Annotated[str, typer.Argument()],
    confirm: Annotated[str, typer.Option(help="The tenant's id once more.")] = "",
    as_json: Json = False,
) -> None:
    """Destroy a tenant's key and data. There is no way back."""
    if not confirm and sys.stdin.isatty():
        confirm = typer.prompt(f"Type {id} to destroy its data for ever")
    if confirm != id:
        raise NotConfirmed(action=f"Give --confirm {id}.")
    folder = settings().tenant_dir(id)
    if folder.exists() and owned(folder):
        raise StillAtWork(f"The worker of {id} is running.")
    with access.control() as control:
        with changing(control, "destroy-tenant", id, id) as (session, note):
            note["before"] = {"name": tenants.tenant(session, id).name}
            tenants.erase(session, id, control.now())
        control.database.scrub()
    shutil.rmtree(folder, ignore_errors=True)
    show({"id": id, "destroyed": True}) if as_json else say(f"Tenant {id} is destroyed.")


@user_commands.command("list")
def list_users(as_json: Json = False) -> None:
    """List accounts with their roles."""
    with access.control() as control, control.database.read() as session:
        rows = [
            {
                "login": u.login, "name": u.name, "active": u.active, "installation": u.role,
                "tenants": people.roles_of(session, u.id),
            }
            for u in people.users(session)
        ]  # fmt: skip
    if as_json:
        show(rows)
        return
    table(("login", "name", "active", "installation", "tenants"), [tuple(r.values()) for r in rows])


@user_commands.command("create")
def create_user(
    login: Annotated[str, typer.Argument()],
    tenant: Annotated[str, typer.Option(help="The tenant to belong to.")] = "default",
    role: Annotated[str, typer.Option(help="viewer, analyst, engineer, administrator, auditor.")] = "analyst",
    installation_role: Annotated[
        str | None, typer.Option(help="A role in the installation itself: administrator, auditor.")
    ] = None,
    name: Annotated[str, typer.Option()] = "",
    as_json: Json = False,
) -> None:
    """Make an account. The password is asked for, or read from standard input."""
    password = _password()
    with access.control() as control, changing(control, "create-user", login, tenant) as (session, note):
        made = people.create(session, login, password, control.now(), name=name, role=installation_role)
        people.grant(session, made.id, tenant, role, control.now())
        note["after"] = {"login": made.login, "role": role, "installation": installation_role}
    show({"id": made.id, "login": made.login}) if as_json else say(f"{made.login} is {role} in {tenant}.")


@user_commands.command("role")
def change_role(
    login: Annotated[str, typer.Argument()],
    role: Annotated[str, typer.Argument(help="A role, or none.")],
    tenant: Annotated[str, typer.Option()] = "default",
    as_json: Json = False,
) -> None:
    """Give an account another role in a tenant, or none."""
    with access.control() as control, changing(control, "change-role", login, tenant) as (session, note):
        user = _user(control, session, login)
        note["before"] = {"role": people.role_in(session, user.id, tenant)}
        if role == "none":
            people.withdraw(session, user.id, tenant, control.now())
        else:
            people.grant(session, user.id, tenant, role, control.now())
        note["after"] = {"role": role}
    show({"login": user.login, "tenant": tenant, "role": role}) if as_json else say(
        f"{user.login}: {role} in {tenant}."
    )


@user_commands.command("password")
def change_password(login: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """Give an account a new password; it is signed out everywhere."""
    password = _password()
    with access.control() as control, changing(control, "reset-password", login) as (session, _):
        people.set_password(session, _user(control, session, login).id, password, control.now())
    show({"login": login}) if as_json else say(f"{login} has a new password.")


@user_commands.command("close")
def close_user(login: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """Close an account: its sign-ins end and its API keys are revoked."""
    with access.control() as control, changing(control, "close-user", login) as (session, _):
        people.deactivate(session, _user(control, session, login).id, control.now())
    show({"login": login, "active": False}) if as_json else say(f"{login} is closed.")


@key_commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    tenant: Annotated[str, typer.Option()] = "default",
    role: Annotated[str, typer.Option()] = "analyst",
    days: Annotated[int | None, typer.Option(min=1, help="How long it is good for.")] = None,
    as_json: Json = False,
) -> None:
    """Make an API key. It is shown this once."""
    with access.control() as control, changing(control, "create-api-key", name, tenant) as (session, note):
        at = control.now()
        expires = at + timedelta(days=days) if days else None
        made, text = api_keys.create(session, control.keys, name, tenant, role, at, expires=expires)
        note["after"] = {"prefix": made.prefix, "role": role, "expires": str(expires or "")}
    if as_json:
        show({"id": made.id, "key": text, "role": role, "tenant": tenant, "expires": expires})
        return
    say(text)
    tell("Keep it now: it is not shown again.")


@key_commands.command("list")
def list_keys(tenant: Annotated[str, typer.Option()] = "default", as_json: Json = False) -> None:
    """List a tenant's API keys."""
    with access.control() as control, control.database.read() as session:
        found = api_keys.api_keys(session, tenant)
    rows = [
        {
            "id": k.id,
            "name": k.name,
            "role": k.role,
            "created": k.created,
            "expires": k.expires,
            "revoked": k.revoked,
        }
        for k in found
    ]
    show(rows) if as_json else table(tuple(rows[0]) if rows else (), [tuple(r.values()) for r in rows])


@key_commands.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument()],
    tenant: Annotated[str, typer.Option()] = "default",
    as_json: Json = False,
) -> None:
    """Revoke an API key for good."""
    with access.control() as control, changing(control, "revoke-api-key", id, tenant) as (session, _):
        api_keys.revoke(session, id, tenant, control.now())
    show({"id": id, "revoked": True}) if as_json else say("It is revoked.")


@key_commands.command("rotate")
def rotate_root_key(
    new_key_file: Annotated[Path | None, typer.Option(help="A key file; made where it is missing.")] = None,
    new_passphrase_file: Annotated[Path | None, typer.Option(help="A file with the new passphrase.")] = None,
    as_json: Json = False,
) -> None:
    """Wrap every key with another root key. No data is touched; then start with the new one."""
    if (new_key_file is None) == (new_passphrase_file is None):
        raise Stop("Give either --new-key-file or --new-passphrase-file.")
    with access.control() as control:
        new = _new_root(new_key_file, new_passphrase_file)
        with changing(control, "rotate-root-key") as (session, note):
            count = installation.rewrap(session, control.kek, new)
            note["after"] = {"tenants": count}
    place = (
        f"--key-file {new_key_file}"
        if new_key_file
        else f"--kek passphrase --passphrase-file {new_passphrase_file}"
    )
    show({"tenants": count}) if as_json else say(
        f"{count:,} tenants' keys are wrapped anew. From now on: {place}"
    )


def _new_root(key_file: Path | None, passphrase_file: Path | None) -> Kek:
    if passphrase_file is not None:
        return Passphrase(passphrase_file.read_text(encoding="utf-8").rstrip("\r\n"))
    place = Path(key_file or "").expanduser().absolute()
    data = settings().data_dir
    return load_key_file(place, data=data) if place.exists() else create_key_file(place, data=data)


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _user(control: Control, session: people.Session, login: str) -> people.User:
    found = people.user_by_login(session, login)
    if found is None:
        raise NoSuchAccount(f"{login[:80]}.", action="See `spire user list`.")
    return found
