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


@dataclass(frozen=True)
class Search:
    """Which events are asked for; what is empty asks for nothing. `object` and `text` may stand anywhere.

    `text` is looked for in every field a person reads. Times are aware of their zone; `until` is excluded.
    """

    text: str = ""
    who: str = ""
    action: str = ""
    kind: str = ""
    object: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


# The fields a text is looked for in, and those whose usual values a summary counts.
READ_BY_PEOPLE = ("who", "action", "object", "outcome", "before", "after")
COUNTED = ("who", "action", "kind", "outcome")
MOST_VALUES = 50
MOST_BARS = 100
MOST_STRETCHES = 400


@dataclass(frozen=True)
class Bar:
    """A stretch of the time line: the hour or day (UTC) it begins with, its events, and those not `done`."""

    start: str
    events: int
    wrong: int


@dataclass(frozen=True)
class Summary:
    """What a search finds, counted: in all, along time, and by the values of some fields, commonest first."""

    total: int
    step: str
    bars: list[Bar]
    values: dict[str, list[tuple[str, int]]]


def spoken(at: datetime) -> str:
    """A time as events carry it, so that the texts compare as the times do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def step_for(first: str, last: str) -> str:
    """The finest of hour and day whose bars between two times can be told apart."""
    hours = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 3600
    return "hour" if hours < MOST_BARS else "day"


# How much of an event's time names its hour, and its day.
LENGTH = {"hour": 13, "day": 10}


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


_SECRET_NAME = re.compile(
    r"pass(word|phrase|wd)|secret|token|credential|authori[sz]ation|cookie|private|bearer|dsn$|"
    r"(api|auth|access|account|signing|encryption|wrapped|shared)[ _-]?keys?$|^(key|pwd|pw|pass)$",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r"([?&;\s][\w-]*(?:pass|secret|token|key|sig|auth)[\w-]*=)[^&;\s\"']+", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\w+://)[^/@\s]+@")
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
MASK = "•••"


def masked(value: Any, name: str = "") -> Any:
    """The value without secrets: by the name they stand under, in URLs, and in authorisation headers."""
    if isinstance(value, dict):
        return {str(key): masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        # A target model's `key` is a list of field names; a connector's `key` is a string.
        return [masked(item, "" if name == "key" else name) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return MASK
    if isinstance(value, str | int | float) and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, int | float):
        return value
    text = str(value)
    return _BEARER.sub(
        rf"\1 {MASK}", _SECRET_PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(rf"\1{MASK}@", text))
    )


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


def _checked(table: str) -> str:
    if not _TABLE.fullmatch(table):
        raise Bug("not the name of a table")
    return table


def ddl(table: str) -> str:
    """The statement that makes the audit table where it is missing. `table` is qualified."""
    columns = ", ".join(f'"{name}" VARCHAR NOT NULL' for name in COLUMNS if name != "seq")
    return f"CREATE TABLE IF NOT EXISTS {_checked(table)} (seq BIGINT PRIMARY KEY, {columns})"


def head(connection: Connection, table: str) -> Head:
    """Where the chain in this table stands."""
    connection.execute(f"SELECT seq, hash FROM {_checked(table)} ORDER BY seq DESC LIMIT 1")
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
        connection.execute(f"INSERT INTO {_checked(table)} VALUES ({places})", list(astuple(row)))
        now = head_after(row)
    return now


def rows(connection: Connection, table: str, after: int = 0, limit: int | None = None) -> Iterator[Row]:
    """The rows with a number above `after`, in order, a few thousand in memory at a time.

    Give it a cursor of its own: another statement on the same one would end the reading.
    """
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    connection.execute(f"SELECT {columns} FROM {_checked(table)} WHERE seq > ? ORDER BY seq{bound}", [after])
    while some := connection.fetchmany(2048):
        for one in some:
            yield Row(*one)


def _where(search: Search) -> tuple[str, list[Any]]:
    clauses, values = ["true"], list[Any]()
    for name in COUNTED:
        if wanted := getattr(search, name):
            clauses.append(f'"{name}" = ?')
            values.append(wanted)
    if search.object:
        clauses.append('contains(lower("object"), lower(?))')
        values.append(search.object)
    if search.text:
        clauses.append("(" + " OR ".join(f'contains(lower("{n}"), lower(?))' for n in READ_BY_PEOPLE) + ")")
        values += [search.text] * len(READ_BY_PEOPLE)
    for bound, sign in ((search.since, ">="), (search.until, "<")):
        if bound is not None:
            clauses.append(f'"at" {sign} ?')
            values.append(spoken(bound))
    return " AND ".join(clauses), values


def found(
    connection: Connection, table: str, search: Search, *, before: int | None = None, limit: int = 100
) -> list[Row]:
    """The events a search finds, newest first; those with a lower number than `before`."""
    where, values = _where(search)
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    if before is not None:
        where, values = f"{where} AND seq < ?", [*values, before]
    # Numbers first, rows then: the sort carries no texts.
    numbers = f"SELECT seq FROM {_checked(table)} WHERE {where} ORDER BY seq DESC LIMIT {int(limit)}"
    connection.execute(
        f"SELECT {columns} FROM {_checked(table)} WHERE seq IN ({numbers}) ORDER BY seq DESC", values
    )
    return [Row(*one) for one in connection.fetchmany(limit)]


def summary(connection: Connection, table: str, search: Search) -> Summary:
    """What a search finds, counted."""
    where, values = _where(search)
    chosen = f"FROM {_checked(table)} WHERE {where}"
    connection.execute(f'SELECT count(*), min("at"), max("at") {chosen}', values)
    total, first, last = connection.fetchone()
    if not total:
        return Summary(0, "hour", [], {name: [] for name in COUNTED})
    step = step_for(first, last)
    start = f'left("at", {LENGTH[step]})'
    fields = ", ".join(f'"{name}"' for name in COUNTED)
    # One pass for all of them: with a text to look for, the pass is what costs.
    connection.execute(
        f"SELECT grouping_id({start}, {fields}), coalesce({start}, {fields}), count(*) AS events, "
        f"count(*) FILTER (outcome <> 'done') {chosen} "
        f"GROUP BY GROUPING SETS (({start}), {', '.join(f'({each})' for each in fields.split(', '))}) "
        "ORDER BY events DESC",
        values,
    )
    bars: list[Bar] = []
    counted: dict[str, list[tuple[str, int]]] = {name: [] for name in COUNTED}
    # In a set's number the bits of the grouped columns are 0, the first column's bit the highest.
    names = {
        2 ** (len(COUNTED) + 1) - 1 - 2 ** (len(COUNTED) - 1 - place): n for place, n in enumerate(COUNTED)
    }
    while some := connection.fetchmany(2048):
        for set_, value, events, wrong in some:
            if (name := names.get(set_)) is None:
                bars.append(Bar(value, events, wrong))
            elif len(counted[name]) < MOST_VALUES:
                counted[name].append((value, events))
    return Summary(total, step, sorted(bars, key=lambda bar: bar.start)[-MOST_STRETCHES:], counted)
