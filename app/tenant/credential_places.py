"""Where a credential's value is: sealed here, in a variable the administrator set, or in a vault.

A variable is `SPIRE_CREDENTIAL_<NAME>` and nothing else, and a tenant has only those it was given. In the
vault (HashiCorp Vault or OpenBao, key/value version 2) a tenant reads below a path that ends in its own name.
"""

from __future__ import annotations

import re
import ssl

import httpx

from app.settings import VARIABLE
from app.tenant.desk import Desk
from engine.errors import Retry, Stop
from storage import credentials
from storage.credentials import Credential

# A vault's answer is small; whatever is longer is none.
ANSWER_BYTES = 1 << 20
TIMEOUT = httpx.Timeout(15.0)
VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
VAULT_PLACE = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*#[\w.-]+")


class NotThere(Stop):
    """The credential's value is not where it is kept."""


class VaultSilent(Retry):
    """The vault did not answer. We will try again at the next run."""


class VaultRefused(Stop):
    """The vault did not give the credential's value."""


def value_of(desk: Desk, credential: Credential) -> str:
    """The value as it is now, wherever it is kept. Errors: NotThere, VaultSilent, VaultRefused, Damaged."""
    match credential.place:
        case "environment":
            return _from_environment(desk, credential.reference)
        case "vault":
            return _from_vault(desk, credential.reference)
        case _:
            with desk.store.cursor() as cursor:
                return credentials.opened(cursor, desk.keys, credential)


def checked_reference(place: str, reference: str) -> str:
    """A reference in the form its place asks for; ValueError says what is wrong."""
    if place == "environment":
        name = reference.removeprefix(VARIABLE)
        if not VARIABLE_NAME.fullmatch(name):
            raise ValueError(f"a variable is {VARIABLE}<NAME>, in capitals, digits and _")
        return name
    if not VAULT_PLACE.fullmatch(reference):
        raise ValueError("give path#field, such as feeds/otx#key")
    return reference


def _from_environment(desk: Desk, name: str) -> str:
    if name not in desk.environment:
        raise NotThere(
            f"{VARIABLE}{name} is not set, or not given to tenant {desk.tenant}.",
            action=f"The administrator sets it and adds {desk.tenant}:{name} to SPIRE_ENVIRONMENT_ALLOW.",
        )
    return desk.environment[name]


def _from_vault(desk: Desk, reference: str) -> str:
    settings = desk.settings
    path, _, field = reference.partition("#")
    if not settings.vault_address or settings.vault_token_file is None:
        raise NotThere(
            "No vault is set up here.", action="Set SPIRE_VAULT_ADDRESS and SPIRE_VAULT_TOKEN_FILE."
        )
    place = f"{settings.vault_mount}/data/{settings.vault_prefix}/{desk.tenant}/{path}"
    answer = _asked(desk, f"{settings.vault_address.rstrip('/')}/v1/{place}")
    if answer.status_code == 404:
        raise NotThere(f"{place} is not in the vault.", action="Write it there, or correct the path.")
    if answer.status_code == 403:
        raise VaultRefused(
            f"{place}: permission denied.", action="Look at the token's policy, and whether it has ended."
        )
    if answer.status_code in (429, 472, 473, 500, 502, 503):
        raise VaultSilent(f"Status {answer.status_code}: it is sealed, a standby, or busy.")
    if answer.status_code != 200:
        raise VaultRefused(f"{place}: status {answer.status_code}.", action="Give the active node's address.")
    try:
        found = answer.json()["data"]["data"][field]
    except (ValueError, KeyError, TypeError):
        raise NotThere(f"{place} has no field {field}.", action="Correct the field.") from None
    if not isinstance(found, str) or not found:
        raise NotThere(f"{place}: field {field} is no text.", action="Write the secret as text.")
    return found


def _asked(desk: Desk, url: str) -> httpx.Response:
    settings = desk.settings
    # Read at each use: whoever renews the token renews this file. {tenant} gives each tenant a token of its own.
    file = str(settings.vault_token_file).replace("{tenant}", desk.tenant)
    try:
        with open(file) as token:
            headers = {"x-vault-token": token.read().strip(), "x-vault-request": "true"}
        context = ssl.create_default_context(
            cafile=str(settings.vault_authority) if settings.vault_authority else None
        )
    except OSError as error:
        raise NotThere(
            f"{error.filename or file} can't be read.", action="Look at the vault's settings."
        ) from None
    try:
        with (
            httpx.Client(verify=context, trust_env=False, timeout=TIMEOUT) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise VaultRefused("Its answer is far too long.", action="Check the vault's address.")
            return httpx.Response(answer.status_code, content=bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise VaultSilent(f"{settings.vault_address}: {type(error).__name__}.") from None
