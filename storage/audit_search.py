"""Audit events asked for: those that a search finds, and what they come to when counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.audit import COLUMNS, Connection, Row, checked, spoken


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


def step_for(first: str, last: str) -> str:
    """The finest of hour and day whose bars between two times can be told apart."""
    hours = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 3600
    return "hour" if hours < MOST_BARS else "day"


# How much of an event's time names its hour, and its day.
LENGTH = {"hour": 13, "day": 10}


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
    numbers = f"SELECT seq FROM {checked(table)} WHERE {where} ORDER BY seq DESC LIMIT {int(limit)}"
    connection.execute(
        f"SELECT {columns} FROM {checked(table)} WHERE seq IN ({numbers}) ORDER BY seq DESC", values
    )
    return [Row(*one) for one in connection.fetchmany(limit)]


def summary(connection: Connection, table: str, search: Search) -> Summary:
    """What a search finds, counted."""
    where, values = _where(search)
    chosen = f"FROM {checked(table)} WHERE {where}"
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
