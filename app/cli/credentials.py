"""Commands on credentials. A secret is asked for or comes over standard input; it is never an argument."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.cli import access
from app.cli.options import Json, Tenant
from app.cli.words import leave, say, show, table
from app.tenant.schemas.credentials import CredentialTrial
from engine.errors import Stop

credential_commands = typer.Typer(help="Secrets that sources sign in with.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="See `spire credential list`.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--to", help="A host it may be sent to, such as db.example:5432; several times for several."
    ),
]
Expires = Annotated[
    datetime | None, typer.Option(help="When it ends, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
]


class NoSecret(Stop):
    """There was no secret to keep."""


@credential_commands.command("list")
def list_credentials(tenant: Tenant = "default", as_json: Json = False) -> None:
    """List credentials: where each may be sent, when it ends, what uses it. Never their values."""
    with access.tenant(tenant) as client:
        found = client.credentials()
    if as_json:
        show(found)
        return
    table(
        ("id", "name", "kept", "hosts", "state", "ends", "used by"),
        [
            (
                each.id, each.name, each.place, ", ".join(each.hosts), each.state,
                each.expires.date().isoformat() if each.expires else "", ", ".join(use.id for use in each.used_by),
            )
            for each in found
        ],
    )  # fmt: skip


@credential_commands.command("add")
def add(
    name: Annotated[str, typer.Argument(help="As people know it.")],
    host: Hosts = None,
    kind: Annotated[str, typer.Option(help="password, token, key, certificate, secret.")] = "secret",
    id: Annotated[str | None, typer.Option(help="Made of the name where none is given.")] = None,
    expires: Expires = None,
    variable: Annotated[
        str, typer.Option(help="Read it from this variable, SPIRE_CREDENTIAL_<NAME>, instead of keeping it.")
    ] = "",
    vault: Annotated[
        str, typer.Option(help="Read it from the vault, as path#field, instead of keeping it.")
    ] = "",
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Add a credential. The secret is asked for, or read from standard input."""
    fields: dict[str, Any] = {"name": name, "kind": kind, "hosts": host or [], "expires": _utc(expires)}
    if id:
        fields["id"] = id
    if variable or vault:
        fields |= {"place": "vault" if vault else "environment", "reference": vault or variable}
    else:
        fields["value"] = _secret()
    with access.tenant(tenant) as client:
        made = client.create_credential(**fields)
    show(made) if as_json else say(f"Credential {made.id} is there, for {', '.join(made.hosts)}.")


@credential_commands.command("check")
def check(id: Id, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Try a credential with everything that uses it."""
    with access.tenant(tenant) as client:
        tested = client.check_credential(id)
    show(tested) if as_json else _trials(tested.trials)
    if not tested.ok:
        leave(1)


@credential_commands.command("rotate")
def rotate(
    id: Id,
    host: Hosts = None,
    expires: Expires = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where something does not work with it.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Put a new secret in the old one's place, once everything that uses it was tried with it.

    The secret is asked for, or read from standard input.
    """
    value = _secret()
    with access.tenant(tenant) as client:
        done = client.rotate_credential(id, value, hosts=host or None, expires=_utc(expires), force=force)
    if as_json:
        show(done)
    else:
        _trials(done.trials)
        say(
            f"Credential {id} is rotated."
            if done.rotated
            else "The old secret stays: the new one does not work everywhere."
        )
    if not done.rotated:
        leave(1)


@credential_commands.command("remove")
def remove(
    id: Id,
    force: Annotated[
        bool, typer.Option("--force", help="Also where something uses it, which then stops.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Delete a credential and its secret."""
    with access.tenant(tenant) as client:
        client.remove_credential(id, force=force)
    show({"id": id, "removed": True}) if as_json else say(f"Credential {id} is removed.")


def _secret() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Secret", hide_input=True, confirmation_prompt=True))
    given = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not given:
        raise NoSecret(action="Type it when asked, or give it on standard input.")
    return given


def _utc(at: datetime | None) -> str | None:
    return at.replace(tzinfo=UTC).isoformat() if at else None


def _trials(trials: list[CredentialTrial]) -> None:
    rows = []
    for trial in trials:
        failed = next((stage for stage in trial.stages if not stage.ok), None)
        told = (
            f"{failed.name}: {failed.detail} {failed.action}".strip() if failed else trial.stages[-1].detail
        )
        rows.append((trial.use.name if trial.use else "the value", "works" if trial.ok else "fails", told))
    table(("used by", "", "what was seen"), rows)
