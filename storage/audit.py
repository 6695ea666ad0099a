"""Audit: events in a chain of HMACs, so that none can be changed, dropped or slipped in unseen.

Each row's hash covers its fields, its number and the hash before it, under the audit key. The chain's head
(count and last hash) is kept in another place as well (`audit_heads` of the control database), so a cut
tail shows too. What this can't show: a change by someone who holds the audit key and can write both places.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from engine.errors import Bug, Stop
from storage.masking import masked

FIRST = "0" * 64


class Level(StrEnum):
    """How much a tenant writes down."""

    MINIMAL = "minimal"
    STANDARD = "standard"
    COMPREHENSIVE = "comprehensive"


class ActionKind(StrEnum):
    """What sort of action an event is about."""

    SECURITY = "security"  # accounts, keys, roles, sign-ins, refusals
    CHANGE = "change"  # definitions and settings
    EXPORT = "export"  # records leave the product
    RUN = "run"  # runs, undo, repair, replay
    QUERY = "query"  # a person's own SQL
    READ = "read"  # looking at records, rejects, lineage


_WRITTEN: dict[Level, frozenset[ActionKind]] = {
    Level.MINIMAL: frozenset({ActionKind.SECURITY, ActionKind.CHANGE, ActionKind.EXPORT}),
    Level.STANDARD: frozenset(ActionKind) - {ActionKind.READ},
    Level.COMPREHENSIVE: frozenset(ActionKind),
}


def written(level: Level | str, kind: ActionKind | str, outcome: str = "done") -> bool:
    """Whether an event is written down at this level. What was refused always is."""
    return outcome == "refused" or ActionKind(kind) in _WRITTEN[Level(level)]


@dataclass(frozen=True)
class Event:
    """Who did what to what, and how it went (`done`, `refused` or `failed`). Secrets are masked on writing."""

    kind: ActionKind
    who: str
    action: str
    object: str = ""
    outcome: str = "done"
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Row:
    """An event as it is stored: a link of the chain. `before` and `after` are JSON text."""

    seq: int
    at: str
    who: str
    action: str
    kind: str
    tenant: str
    object: str
    outcome: str
    before: str
    after: str
    prev: str
    hash: str = field(default="")


def spoken(at: datetime) -> str:
    """A time as events carry it, so that the texts compare as the times do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Head:
    """Where a chain stood: how many rows it had, and the hash of the last."""

    count: int = 0
    hash: str = FIRST


@dataclass(frozen=True)
class Verdict:
    """What `verify` found. `broken` is the number of the first row that does not hold."""

    ok: bool
    head: Head
    broken: int | None = None
    reason: str = ""


class ChainBroken(Stop):
    """The audit log does not go on where it stood: rows were removed or replaced."""


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(masked(value), ensure_ascii=False, sort_keys=True)


def _plain(text: str) -> str:
    # Databases refuse NUL and lone surrogates, and an event must not be lost over one.
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _hash(key: bytes, row: Row) -> str:
    # A JSON list is unambiguous: no two different rows read the same.
    spoken = json.dumps(astuple(row)[:-1], ensure_ascii=True, separators=(",", ":"))
    return hmac.new(key, spoken.encode(), hashlib.sha256).hexdigest()


def link(key: bytes, head: Head, tenant: str, event: Event, at: datetime) -> Row:
    """The row that carries an event on from `head`. `at` has a time zone."""
    if at.tzinfo is None:
        raise Bug("an audit event's time has a time zone")
    row = Row(
        seq=head.count + 1,
        at=spoken(at),
        who=_plain(event.who),
        action=_plain(event.action),
        kind=ActionKind(event.kind).value,
        tenant=_plain(tenant),
        object=_plain(str(masked(event.object))),
        outcome=_plain(event.outcome),
        before=_plain(_text(event.before)),
        after=_plain(_text(event.after)),
        prev=head.hash,
    )
    return replace(row, hash=_hash(key, row))


def head_after(row: Row) -> Head:
    """The head of a chain that ends with this row."""
    return Head(row.seq, row.hash)


def verify(rows: Iterable[Row], key: bytes, witness: Head | None = None) -> Verdict:
    """Check every link in order, and against a head kept elsewhere.

    A chain may be ahead of its witness (a crash came between the two), never behind it or beside it.
    """
    head = Head()
    for row in rows:
        reason = _fault(row, key, head)
        if reason:
            return Verdict(False, head, head.count + 1, reason)
        head = head_after(row)
        if witness is not None and row.seq == witness.count and row.hash != witness.hash:
            return Verdict(False, head, row.seq, f"event {row.seq} is not the one that was witnessed")
    if witness is not None and head.count < witness.count:
        reason = f"the log ends at event {head.count} and had {witness.count}: its end was cut off"
        return Verdict(False, head, head.count + 1, reason)
    return Verdict(True, head)


def _fault(row: Row, key: bytes, head: Head) -> str:
    if row.seq != head.count + 1:
        return f"event {head.count + 1} is missing: event {row.seq} stands in its place"
    if not hmac.compare_digest(row.prev.encode(), head.hash.encode()):
        return f"event {row.seq} does not follow event {head.count}"
    if not hmac.compare_digest(row.hash.encode(), _hash(key, row).encode()):
        return f"event {row.seq} was changed"
    return ""


# In a tenant's store (DuckDB)

COLUMNS = tuple(each.name for each in fields(Row))
_TABLE = re.compile(r'("[^"]+"|\w+)(\.("[^"]+"|\w+)){0,2}')


class Connection(Protocol):
    """What is needed of a DuckDB connection or cursor."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int = ..., /) -> list[Any]: ...


def checked(table: str) -> str:
    """The table's name, qualified or not; Bug where it is anything else."""
    if not _TABLE.fullmatch(table):
        raise Bug("not the name of a table")
    return table


def ddl(table: str) -> str:
    """The statement that makes the audit table where it is missing. `table` is qualified."""
    columns = ", ".join(f'"{name}" VARCHAR NOT NULL' for name in COLUMNS if name != "seq")
    return f"CREATE TABLE IF NOT EXISTS {checked(table)} (seq BIGINT PRIMARY KEY, {columns})"


def head(connection: Connection, table: str) -> Head:
    """Where the chain in this table stands."""
    connection.execute(f"SELECT seq, hash FROM {checked(table)} ORDER BY seq DESC LIMIT 1")
    found = connection.fetchone()
    return Head(*found) if found else Head()


def append(
    connection: Connection, table: str, key: bytes, tenant: str, events: Sequence[Event], at: datetime
) -> Head:
    """Add events to the chain; gives its new head, for the witness.

    Takes part in the transaction that is open, so an event and its change commit together. Two appends
    at once can't both commit: the number is a primary key, and the caller serialises commits.
    """
    now = head(connection, table)
    places = ", ".join("?" for _ in COLUMNS)
    for event in events:
        row = link(key, now, tenant, event, at)
        connection.execute(f"INSERT INTO {checked(table)} VALUES ({places})", list(astuple(row)))
        now = head_after(row)
    return now


def rows(connection: Connection, table: str, after: int = 0, limit: int | None = None) -> Iterator[Row]:
    """The rows with a number above `after`, in order, a few thousand in memory at a time.

    Give it a cursor of its own: another statement on the same one would end the reading.
    """
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    connection.execute(f"SELECT {columns} FROM {checked(table)} WHERE seq > ? ORDER BY seq{bound}", [after])
    while some := connection.fetchmany(2048):
        for one in some:
            yield Row(*one)
