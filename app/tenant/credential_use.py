"""Using credentials: filled into a source's configuration just before its connector is asked, and nowhere else.

Each use is an audit event before the connector has the value, so that a crash hides none. A credential goes
only into a configuration all of whose hosts it is bound to, and what comes back in words is cleared of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from app.tenant import journal
from app.tenant import renewing as renewal
from app.tenant.caller import Caller
from app.tenant.credential_places import value_of
from app.tenant.desk import Desk
from connectors import CONNECTORS, NotConfigured, check, hosts_of, payloads_of
from connectors.credential_hosts import NotBound, demand
from connectors.registry import Renewal, Renewing
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor, Payload, Stage
from storage import credentials
from storage.audit import ActionKind
from storage.credentials import Credential
from storage.masking import MASK

# Shorter ones stand in ordinary words too, and nobody could read what is left.
LEAST_CLEARED = 4


@dataclass(frozen=True)
class Ready:
    """A source as its connector gets it, the hosts its credentials may go to, and the secrets it holds.

    `renewing` gives those that are spent by their use; what follows them joins `secrets`.
    """

    source: Source = field(repr=False)
    bound: tuple[str, ...] | None
    secrets: list[str] = field(default_factory=list, repr=False)
    renewing: Renewing | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Candidate:
    """A credential with a value that is being tried before it takes its place."""

    credential: Credential
    value: str = field(repr=False)


Instead = Mapping[str, Candidate]


def secrets_of(connector: str) -> tuple[str, ...]:
    """The settings of a connector that nobody is shown again."""
    known = CONNECTORS.get(connector)
    return known.secrets if known else ()


def references(connector: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The credentials a configuration refers to, by setting."""
    found = {name: config.get(name) for name in secrets_of(connector)}
    return {
        name: str(value["credential"])
        for name, value in found.items()
        if isinstance(value, dict) and "credential" in value
    }


def typed(connector: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The secrets that stand in a configuration themselves, by setting."""
    found = {name: config.get(name) for name in secrets_of(connector)}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def arriving(desk: Desk, read: Source, since: Cursor | None, *, by: str) -> Generator[Payload]:
    """What a source has that is new since the cursor, within what the installation may reach."""
    with given(desk, read, by) as ready:
        yield from payloads_of(
            ready.source, since, desk.settings.url_allow, desk.settings.folders, ready.bound, ready.renewing
        )


def tried(desk: Desk, read: Source, *, by: str, instead: Instead | None = None) -> list[Stage]:
    """Try a source stage by stage; a credential that can't be used is the first stage that fails."""
    try:
        with given(desk, read, by, instead or {}) as ready:
            stages = [
                replace(
                    stage,
                    detail=cleared(stage.detail, ready.secrets),
                    action=cleared(stage.action, ready.secrets),
                )
                for stage in check(
                    ready.source, desk.settings.url_allow, desk.settings.folders, ready.bound, ready.renewing
                )
            ]
            failed = next((stage for stage in stages if not stage.ok), None)
            if failed is not None:
                _note_failure(desk, read, by, instead or {}, f"{failed.name}: {failed.detail}")
            return stages
    except NotConfigured as error:
        return [Stage("configuration", False, error.where, error.action)]
    except SpireError as error:
        return [Stage("credential", False, f"{error.happened} {error.where}".strip(), error.action)]


@contextmanager
def given(desk: Desk, read: Source, by: str, instead: Instead | None = None) -> Iterator[Ready]:
    """The source with its secrets filled in, while its connector works with it on behalf of `by`.

    `instead` are values to try in the place of credentials' own, by id. Errors: NotFound, NotBound, and what
    stands in the way of a value.
    """
    chosen = instead or {}
    plain = typed(read.connector, read.config)
    values = {
        name: _value(desk, read, id, by, chosen)
        for name, id in references(read.connector, read.config).items()
    }
    filled = read.model_copy(
        update={"config": {**read.config, **{name: value for name, (_, value) in values.items()}}}
    )
    secrets = sorted({*plain.values(), *(value for _, value in values.values())}, key=len, reverse=True)
    bound = None
    if secrets:
        places = _places(filled, secrets)
        if not places:
            raise NotBound(f"{read.connector} names no host.", action="This connector takes no credentials.")
        used = {credential.id: credential for credential, _ in values.values()}
        for credential in used.values():
            _demand_all(desk, credential, places, read, by)
        _note_use(desk, used.values(), plain, places, read, by)
        bound = places

    def renewing(setting: str) -> AbstractContextManager[Renewal]:
        id = references(read.connector, read.config).get(setting, "")
        if id and id not in chosen:
            return renewal.stored(desk, id, by, secrets)
        return renewal.tried(desk, str(filled.config.get(setting, "")), secrets)

    try:
        yield Ready(filled, bound, secrets, renewing)
    except SpireError as error:
        _clear(error, secrets)
        if secrets:
            _note_failure(desk, read, by, chosen, error.title)
        raise


def cleared(text: str, secrets: Iterable[str]) -> str:
    """A text without the secrets, also as they stand in an address."""
    for secret in secrets:
        if len(secret) >= LEAST_CLEARED:
            text = text.replace(secret, MASK).replace(quote(secret, safe=""), MASK)
    return text


def _clear(error: SpireError, secrets: Iterable[str]) -> None:
    error.where, error.action = cleared(error.where, secrets), cleared(error.action, secrets)
    error.args = (error.where,)


def _places(filled: Source, secrets: Iterable[str]) -> tuple[str, ...]:
    """Where the secrets go. What a configuration is refused for may repeat one."""
    try:
        return hosts_of(filled)
    except SpireError as error:
        _clear(error, secrets)
        raise


def _value(desk: Desk, read: Source, id: str, by: str, instead: Instead) -> tuple[Credential, str]:
    if id in instead:
        return instead[id].credential, instead[id].value
    with desk.store.cursor() as cursor:
        credential = credentials.get(cursor, id)
    try:
        return credential, value_of(desk, credential)
    except SpireError as error:
        after = {"source": read.name, "why": error.title}
        _note(desk, by, id, "failed", after)
        raise


def _demand_all(desk: Desk, credential: Credential, places: Iterable[str], read: Source, by: str) -> None:
    for place in places:
        try:
            demand(credential.hosts, place)
        except SpireError as error:
            _note(desk, by, credential.id, "refused", {"source": read.name, "host": place})
            error.where = f"{credential.name}: {error.where}"
            raise


def _note_use(
    desk: Desk,
    used: Iterable[Credential],
    plain: Mapping[str, str],
    places: Iterable[str],
    read: Source,
    by: str,
) -> None:
    """Write down, before it happens, that these credentials go to these hosts."""
    after, now = {"source": read.name, "hosts": list(places)}, desk.now()
    with desk.store.transaction() as cursor:
        for credential in used:
            credentials.note_use(cursor, credential.id, now, f"{read.name}, {by}")
            _note(desk, by, credential.id, "done", after, cursor)
        for name in plain:
            _note(desk, by, f"{name}, just typed", "done", after, cursor)


def _note_failure(desk: Desk, read: Source, by: str, instead: Instead, why: str) -> None:
    """Write down that what a credential was used for did not work."""
    tries = " (a new value)" if instead else ""
    named = {*references(read.connector, read.config).values()} or {
        f"{name}, just typed" for name in typed(read.connector, read.config)
    }
    for id in sorted(named):
        _note(desk, by, id, "failed", {"source": read.name, "why": why + tries})


def _note(desk: Desk, by: str, id: str, outcome: str, after: Any, cursor: Any = None) -> None:
    journal.note(
        desk, Caller(by, ""), ActionKind.SECURITY, "credential.used", id, after=after, outcome=outcome, cursor=cursor
    )  # fmt: skip
