"""Exploring: records browsed by filter, one record with its past, and whole models for export; all read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine.model import FieldType, TargetModel
from engine.scan import identifier, literal
from engine.types import defang
from storage import filters, glance, records
from storage.definitions import NotFound
from storage.filters import Filter

# The column of `of_events` with the uuid of the MISP event a record came in.
EVENT = "_event"
_CAME = "json_extract_string(object, ['$.inside.Event.uuid', '$.row', '$.uuid'])"


@dataclass(frozen=True)
class Page:
    """Some of the records that match, and how many do."""

    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True)
class Lack:
    """What a format can't do without: a record where all fields of one of `absent` are empty is left out.

    `kinds` are the only values of `value_type` there is a form for, `of` a field and how it may not begin. A record that keeps its whole
    object of another's making (`object` with `mark` in it) needs neither.
    """

    reason: str
    absent: tuple[tuple[str, ...], ...] = ()
    kinds: tuple[str, ...] = ()
    of: tuple[str, str] = ("", "")


def browse(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    asked: Filter = Filter(),  # noqa: B008 - frozen
    *,
    order: str = "",
    descending: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> Page:
    """The latest records of a target model under a filter. Without an order the newest come first."""
    for name in [order] if order else []:
        if name not in (f.name for f in target.fields):
            raise NotFound(f"{target.name} has no field {name}.")
    where = filters.condition(cursor, target, asked) if records.exists(cursor, target.name) else None
    if where is None:
        return Page([], 0)
    by = f"{identifier(order) if order else '_seq'} {'DESC' if descending or not order else 'ASC'} NULLS LAST"
    table = f"store.records.{identifier(target.name)}"
    # First which, then what: a sort that carries every field of every record is ten times slower. A search
    # reads every text, so what it finds is counted in passing; all else is quicker counted by itself.
    counted = ", count(*) OVER ()" if asked.search else ""
    picked = cursor.execute(
        f"SELECT _seq{counted} FROM {table} WHERE {where.sql} ORDER BY {by}, _seq DESC "
        f"LIMIT {int(limit)} OFFSET {int(offset)}",
        where.values,
    ).fetchall()
    if asked.empty:
        total = glance.counts(cursor)[target.name]
    elif counted and picked:
        total = picked[0][1]
    else:
        total = cursor.execute(f"SELECT count(*) FROM {table} WHERE {where.sql}", where.values).fetchall()[0][
            0
        ]
    if not picked:
        return Page([], int(total))
    listed = ", ".join(str(int(row[0])) for row in picked)
    result = cursor.execute(
        f"SELECT printf('%016x', _kh) AS _id, * EXCLUDE (_kh, _vh) FROM {table} WHERE _seq IN ({listed})"
    )
    place = {row[0]: at for at, row in enumerate(picked)}
    return Page(sorted(_dicts(result), key=lambda row: place[row["_seq"]]), int(total))


def versions_of(cursor: DuckDBPyConnection, target: TargetModel, id: str) -> list[dict[str, Any]]:
    """Every version of the record whose `_id` (hex of its key's hash) is given, newest first."""
    try:
        key = int(id, 16)
    except ValueError:
        raise NotFound(f"{target.name} {id}.") from None
    if not records.exists(cursor, target.name):
        raise NotFound(f"{target.name} {id}.")
    name = identifier(target.name)
    result = cursor.execute(
        f"SELECT printf('%016x', v._kh) AS _id, v.* EXCLUDE (_kh, _vh), s.seq IS NULL AS _latest "
        f"FROM store.versions.{name} v LEFT JOIN store.superseded.{name} s ON s.seq = v._seq "
        "WHERE v._kh = ? ORDER BY _latest DESC, v._seq DESC",
        [key],
    )
    found = _dicts(result)
    if not found:
        raise NotFound(f"{target.name} {id}.")
    return found


def defanged(cursor: DuckDBPyConnection, values: Sequence[str]) -> list[str]:
    """Values written so that nobody clicks on them."""
    rows = cursor.execute(
        f"SELECT {defang('v')} FROM (SELECT unnest(?::VARCHAR[]) AS v)", [list(values)]
    ).fetchall()
    return [row[0] for row in rows]


def batches(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    asked: Filter = Filter(),  # noqa: B008 - frozen
    *,
    rows: int = 10_000,
) -> Iterator[pa.RecordBatch]:
    """The latest records under a filter as Arrow, a bounded piece at a time: what exports are made of."""
    if not records.exists(cursor, target.name):
        return iter(())
    where = filters.condition(cursor, target, asked)
    result = cursor.execute(
        f"SELECT * FROM store.records.{identifier(target.name)} WHERE {where.sql} ORDER BY _seq", where.values
    )
    return iter(result.to_arrow_reader(rows))


def of_events(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    asked: Filter = Filter(),  # noqa: B008 - frozen
    *,
    within: bool,
    rows: int = 2_000,
) -> Iterator[pa.RecordBatch]:
    """The latest records `within` the MISP events they came in, event by event, or those that came in none."""
    if not records.exists(cursor, target.name):
        return iter(())
    where = filters.condition(cursor, target, asked)
    event = f"CASE WHEN {_CAME}[1] <> '' THEN {_CAME}[1] WHEN {_CAME}[2] = 'event' THEN nullif({_CAME}[3], '') END"
    result = cursor.execute(
        f"SELECT *, {event} AS {EVENT} FROM store.records.{identifier(target.name)} WHERE {where.sql} "
        f"AND {EVENT} IS {'NOT ' if within else ''}NULL ORDER BY {f'{EVENT}, ' if within else ''}_seq",
        where.values,
    )
    return iter(result.to_arrow_reader(rows))


def sightings(
    cursor: DuckDBPyConnection, target: TargetModel, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The sightings of these records by the record they are of."""
    if not ids or not records.exists(cursor, target.name):
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    result = cursor.execute(
        f"SELECT * FROM store.records.{identifier(target.name)} WHERE sighting_of_ref IN (SELECT unnest(?)) "
        "ORDER BY _seq",
        [list(ids)],
    )
    for row in _dicts(result):
        found.setdefault(row["sighting_of_ref"], []).append(row)
    return found


def lacking(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    asked: Filter,
    lacks: Sequence[Lack],
    whole: Mapping[str, str],
) -> tuple[int, dict[str, int]]:
    """How many records a filter means, and how many of them an export leaves out, by the first reason.

    `whole` are JSON paths of `object`, each with a field or none: a record whose object has something at all of
    them, and what those fields say, leaves as it came.
    """
    if not records.exists(cursor, target.name):
        return 0, {}
    where = filters.condition(cursor, target, asked)
    arms = " ".join(f"WHEN {_lacks(target, lack)} THEN {literal(lack.reason)}" for lack in lacks)
    as_it_came = "false"
    if whole and any(f.name == "object" for f in target.fields):
        found_there = {path: f"coalesce(json_extract_string(object, {literal(path)}), '')" for path in whole}
        as_it_came = " AND ".join(
            f"{there} = {identifier(whole[path])}" if whole[path] else f"{there} <> ''"
            for path, there in found_there.items()
        )
    case = f"CASE WHEN {as_it_came} THEN NULL {arms} END" if arms else "NULL"
    found = cursor.execute(
        f"SELECT {case} AS reason, count(*) FROM store.records.{identifier(target.name)} "
        f"WHERE {where.sql} GROUP BY 1 ORDER BY 2 DESC",
        where.values,
    ).fetchall()
    return sum(row[1] for row in found), {row[0]: row[1] for row in found if row[0]}


def _lacks(target: TargetModel, lack: Lack) -> str:
    known = {f.name: f.type for f in target.fields}

    def empty(name: str) -> str:
        if name not in known:
            return "true"
        column = identifier(name)
        if known[name] is FieldType.TEXTS:
            return f"coalesce(len({column}), 0) = 0"
        return f"coalesce({column}::VARCHAR, '') = ''"

    ways = [f"({' AND '.join(map(empty, group))})" for group in lack.absent]
    if lack.kinds:
        ways.append(f"value_type NOT IN ({', '.join(map(literal, lack.kinds))})")
    if lack.of[0]:
        ways.append(f"starts_with(coalesce({identifier(lack.of[0])}, ''), {literal(lack.of[1])})")
    return f"({' OR '.join(ways)})" if ways else "true"


def _dicts(result: DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [d[0] for d in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@contextmanager
def interruptible(cursor: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """Closes the cursor at the end, whatever is still under way on it."""
    try:
        yield cursor
    finally:
        with suppress(duckdb.Error):
            cursor.close()
