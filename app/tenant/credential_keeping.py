"""Keeping credentials: added, changed, rotated after every source that uses them was tried, removed, moved in.

A secret that somebody types into a source becomes a credential of that source's own, bound to the hosts its
configuration names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from duckdb import DuckDBPyConnection

from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.credential_places import value_of
from app.tenant.credential_use import Candidate, references, tried, typed
from app.tenant.defining import NameTaken, slug
from app.tenant.desk import Desk
from connectors import hosts_of
from connectors.credential_hosts import covers
from engine.errors import SpireError, Stop
from engine.model import Source
from engine.ports import Stage
from storage import credentials, definitions
from storage.audit import ActionKind
from storage.credentials import Credential
from storage.definitions import ChangedMeanwhile, Definition

State = Literal["open", "ends soon", "ended"]
# What holds a connector's configuration, and so may refer to credentials.
USERS = ("source", "publication")


class KeptElsewhere(Stop):
    """This credential's value is not kept here."""


class StillUsed(Stop):
    """Something would stop working without this credential."""


class Widened(Stop):
    """A credential is bound to more hosts only by giving its value anew."""


@dataclass(frozen=True)
class Use:
    """What uses a credential, in which of its settings."""

    kind: str
    read: Source
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """How something that uses a credential fared with a value."""

    use: Use | None
    stages: tuple[Stage, ...]

    @property
    def ok(self) -> bool:
        return all(stage.ok for stage in self.stages)


def state(credential: Credential, now: datetime) -> State:
    """Whether it has ended, or will soon."""
    if credential.expires is None or credential.expires > now + credentials.WARN:
        return "open"
    return "ended" if credential.expires <= now else "ends soon"


def uses(cursor: DuckDBPyConnection, id: str | None = None) -> dict[str, list[Use]]:
    """What uses each credential, or one of them."""
    found: dict[str, list[Use]] = {}
    for kind in USERS:
        for definition in definitions.all_latest(cursor, kind):
            read = _configured(definition)
            named = references(read.connector, read.config)
            for each in dict.fromkeys(named.values()):
                if id in (None, each):
                    settings = tuple(name for name, other in named.items() if other == each)
                    found.setdefault(each, []).append(Use(kind, read, settings))
    return found


def _configured(definition: Definition) -> Source:
    """A definition as far as its connection goes."""
    body = definition.body
    return Source(
        id=definition.id, name=body.get("name") or definition.id, connector=body.get("connector", ""),
        config=body.get("config") or {},
    )  # fmt: skip


# ── adding ───────────────────────────────────────────────────────────────────────────────────────────


def add(desk: Desk, who: Caller, new: Credential, value: str | None) -> Credential:
    """Keep a new credential. Its id is made of its name where it has none."""
    with desk.store.transaction() as cursor:
        taken = {each.id for each in credentials.every(cursor)}
        if new.id in taken:
            raise NameTaken(f"credential {new.id}.", action="Choose another name.")
        added = replace(new, id=new.id or _unused(new.name, taken))
        _write(desk, who, cursor, added, value)
    post_notice(desk)
    return added


def _unused(name: str, taken: set[str]) -> str:
    wanted = slug(name, "credential")
    return next(
        id for id in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))) if id not in taken
    )


def _write(desk: Desk, who: Caller, cursor: DuckDBPyConnection, new: Credential, value: str | None) -> None:
    credentials.add(cursor, desk.keys, new, value)
    _note(desk, who, "added", new, cursor, after=_told(new))


def take_in(
    desk: Desk, who: Caller, read: Source, before: Source | None = None
) -> tuple[Source, Callable[[DuckDBPyConnection], None]]:
    """A source whose typed secrets are references, and what keeps those secrets in the transaction that saves it.

    A secret typed in the place of a credential that nothing else uses is its new value; else it becomes one.
    """
    given = typed(read.connector, read.config)
    if not given:
        return read, lambda cursor: None
    places = hosts_of(read)
    with desk.store.cursor() as cursor:
        there = {each.id: each for each in credentials.every(cursor)}
        used = uses(cursor)
    former = references(before.connector, before.config) if before else {}
    now, taken, writes = desk.now(), set(there), list[Callable[[DuckDBPyConnection], None]]()
    config = dict(read.config)
    for name, typed_value in given.items():
        # One that is spent by its use may have been tried, and followed by another, since it was typed.
        value = desk.followers.newest(typed_value)
        own = there.get(former.get(name, ""))
        alone = own is not None and [use.read.id for use in used.get(own.id, [])] == [read.id]
        if own is not None and own.place == "stored" and alone and list(former.values()).count(own.id) == 1:
            config[name] = {"credential": own.id}
            writes.append(_replacing(desk, who, replace(own, hosts=places), value, now))
            continue
        new = _of_source(read, name, places, taken, by=who.user, at=now)
        config[name] = {"credential": new.id}
        writes.append(_adding(desk, who, new, value))

    def keep(cursor: DuckDBPyConnection) -> None:
        for write in writes:
            write(cursor)

    return read.model_copy(update={"config": config}), keep


def _of_source(
    read: Source, setting: str, places: tuple[str, ...], taken: set[str], *, by: str, at: datetime
) -> Credential:
    """A credential of a source's own, for one of its settings; its id is taken from here on."""
    new = Credential(
        id=_unused(f"{read.name} {setting}", taken), name=f"{read.name}: {setting.replace('_', ' ')}"[-200:],
        kind=setting if setting in ("password", "token", "certificate") else "secret",
        hosts=places, place="stored", reference="", created=at, created_by=by,
    )  # fmt: skip
    taken.add(new.id)
    return new


def _adding(desk: Desk, who: Caller, new: Credential, value: str) -> Callable[[DuckDBPyConnection], None]:
    return lambda cursor: _write(desk, who, cursor, new, value)


def _replacing(
    desk: Desk, who: Caller, own: Credential, value: str, now: datetime
) -> Callable[[DuckDBPyConnection], None]:
    def write(cursor: DuckDBPyConnection) -> None:
        rotated = credentials.rotate(cursor, desk.keys, own, value, by=who.user, at=now)
        _note(desk, who, "rotated", rotated, cursor, after=_told(rotated))

    return write


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────


def change(desk: Desk, who: Caller, id: str, altered: dict[str, Any]) -> Credential:
    """Another name, kind or end, or fewer hosts. Errors: Widened, NotFound."""
    with desk.store.transaction() as cursor:
        before = credentials.get(cursor, id)
        now = replace(before, **altered)
        more = [host for host in now.hosts if not covers(before.hosts, host)]
        if more:
            raise Widened(
                ", ".join(more), action="Rotate it with these hosts, or add a credential of its own for them."
            )
        credentials.change(cursor, now)
        _note(desk, who, "changed", now, cursor, before=_told(before), after=_told(now))
    post_notice(desk)
    return now


def remove(desk: Desk, who: Caller, id: str, *, force: bool) -> None:
    """Delete a credential. StillUsed where something would stop working, unless forced."""
    with desk.store.transaction() as cursor:
        gone = credentials.get(cursor, id)
        used = uses(cursor, id).get(id, [])
        if used and not force:
            names = ", ".join(use.read.name for use in used)
            raise StillUsed(f"{gone.name} is used by {names}.", action="Give them another one first.")
        credentials.remove(cursor, id)
        broken = {"breaks": [use.read.id for use in used]} if used else None
        _note(desk, who, "removed", gone, cursor, before=_told(gone), after=broken)
    post_notice(desk)


# ── trying and rotating ──────────────────────────────────────────────────────────────────────────────


def test(desk: Desk, who: Caller, id: str) -> list[Trial]:
    """Try a credential as it is with everything that uses it, stage by stage; at least whether its value is there."""
    with desk.store.cursor() as cursor:
        credential = credentials.get(cursor, id)
        used = uses(cursor, id).get(id, [])
    if not used:
        return [Trial(None, (_value_stage(desk, credential),))]
    return [Trial(use, tuple(tried(desk, use.read, by=who.user))) for use in used]


def _value_stage(desk: Desk, credential: Credential) -> Stage:
    try:
        value_of(desk, credential)
    except SpireError as error:
        return Stage("value", False, f"{error.happened} {error.where}".strip(), error.action)
    return Stage("value", True, "it is there; nothing uses it yet")


def rotate(
    desk: Desk,
    who: Caller,
    id: str,
    value: str,
    *,
    hosts: tuple[str, ...] | None = None,
    expires: datetime | None = None,
    force: bool = False,
) -> tuple[bool, list[Trial]]:
    """Try a new value with everything that uses the credential, then put it in the old one's place.

    Where a trial fails the old value stays, unless forced. Between the trials and the one transaction that
    replaces it the new value is in memory only, so whatever ends us before leaves the old one as it was.
    """
    with desk.store.cursor() as cursor:
        before = credentials.get(cursor, id)
        used = uses(cursor, id).get(id, [])
    if before.place != "stored":
        raise KeptElsewhere(before.name, action="Change it where it is kept, then test it here.")
    wanted = replace(before, hosts=hosts or before.hosts, expires=expires)
    instead = {id: Candidate(wanted, value)}
    trials = [Trial(use, tuple(tried(desk, use.read, by=who.user, instead=instead))) for use in used]
    fits = all(trial.ok for trial in trials)
    if not fits and not force:
        failed = [trial.use.read.id for trial in trials if trial.use and not trial.ok]
        journal.note(
            desk, who, ActionKind.SECURITY, "credential.rotated", id, after={"failed_with": failed}, outcome="failed",
        )  # fmt: skip
        return False, trials
    with desk.store.transaction() as cursor:
        if credentials.get(cursor, id).revision != before.revision:
            raise ChangedMeanwhile(f"credential {id}.", action="Look at it again, then rotate it.")
        newest = desk.followers.newest(value)
        now = credentials.rotate(cursor, desk.keys, wanted, newest, by=who.user, at=desk.now())
        told = _told(now) | ({} if fits else {"forced": True})
        _note(desk, who, "rotated", now, cursor, before=_told(before), after=told)
    post_notice(desk)
    return True, trials


# ── opening a tenant ─────────────────────────────────────────────────────────────────────────────────


def prepare(desk: Desk) -> None:
    """Make the place for credentials, and move in the secrets that sources held themselves: both or neither."""
    with desk.store.transaction() as cursor:
        if not credentials.ready(cursor):
            credentials.prepare(cursor)
            _move_in(desk, cursor)
    post_notice(desk)


def _move_in(desk: Desk, cursor: DuckDBPyConnection) -> None:
    """Every secret in any version of a source becomes a credential, and leaves the definition."""
    who, taken = Caller("Phantom Spire", ""), set[str]()
    moved: dict[tuple[str, str], dict[str, str] | str] = {}

    def without(found: Definition) -> dict[str, Any] | None:
        body = found.body
        held = typed(body["connector"], body["config"])
        for name, value in held.items():
            # The newest version's value is the one that counts; of what was deleted nothing is kept.
            if (found.id, name) not in moved:
                new = "" if found.deleted else _moved(desk, who, cursor, body, name, value, taken)
                moved[found.id, name] = new
        changed = {**body["config"], **{name: moved[found.id, name] for name in held}}
        return {**body, "config": changed} if held else None

    definitions.rewrite(cursor, "source", without)


def _moved(
    desk: Desk,
    who: Caller,
    cursor: DuckDBPyConnection,
    body: dict[str, Any],
    name: str,
    value: str,
    taken: set[str],
) -> dict[str, str]:
    read = Source.model_validate(body)
    try:
        places = hosts_of(read)
    except SpireError:
        # A configuration that no longer holds names no host; its secret waits to be rotated with some.
        places = ()
    new = _of_source(read, name, places, taken, by=who.user, at=desk.now())
    _write(desk, who, cursor, new, value)
    return {"credential": new.id}


def post_notice(desk: Desk) -> None:
    """Say for the doctor when credentials end."""
    with desk.store.cursor() as cursor:
        ends = [each.expires for each in credentials.every(cursor) if each.expires is not None]
    credentials.post_notice(desk.store.folder, ends)


def _told(credential: Credential) -> dict[str, Any]:
    """What an audit event says of a credential."""
    return {
        "name": credential.name,
        "kind": credential.kind,
        "hosts": list(credential.hosts),
        "kept": credential.place,
        "place": credential.reference,
        "ends": credential.expires.isoformat() if credential.expires else None,
    }


def _note(
    desk: Desk,
    who: Caller,
    what: str,
    credential: Credential,
    cursor: DuckDBPyConnection,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    journal.note(
        desk, who, ActionKind.SECURITY, f"credential.{what}", credential.id, before=before, after=after, cursor=cursor
    )  # fmt: skip
