"""Facets: how a target model's records spread over the values of their fields, and over time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from duckdb import DuckDBPyConnection

from engine.model import FieldType, TargetField, TargetModel
from engine.scan import identifier
from storage import filters, glance, records
from storage.filters import PIPELINE, TIMES, Condition, Filter

SHOWN = 8
VALUES = 12
# Fields of more different values than these are searched, not chosen from.
_MOST = 300
_LOOKED_AT = 20_000
_FIRST = (
    "value_type", "type", "relationship_type", "tlp", "source", "confidence", "severity", "labels", "revoked", "threat",
    "indicator_types", "malware_types", "status",
)  # fmt: skip
_NEVER = (
    "object", "spec_version", "pattern_version", "lang", "name", "description", "value", "original", "pattern",
)  # fmt: skip
# STIX 2.1, Appendix A: what a confidence is called.
_BANDS = {"0..1": "none (0)", "1..30": "low (1–29)", "30..70": "medium (30–69)", "70..": "high (70–100)"}
_MAIN = (
    "first_seen", "valid_from", "published", "first_observed", "start_time", "submitted", "created", "modified",
    "last_seen",
)  # fmt: skip
_CENTURY = timedelta(days=36_525)
_DAYS, _WEEKS, _MONTHS = 70, 7 * 110, 31 * 120
# Above so many records they are counted in a sample of about so many, and the answer says so.
SAMPLED = 4_000_000


@dataclass(frozen=True)
class Value:
    """One value of a field, as a filter names it, and how many of the records have it."""

    value: str
    label: str
    count: int


@dataclass(frozen=True)
class Facet:
    """A field's commonest values. `more` says how many further values there are."""

    field: str
    title: str
    values: list[Value]
    more: int


@dataclass(frozen=True)
class Timeline:
    """Records by day, week, month or year of a field. `without` have no such time."""

    field: str
    title: str
    unit: str
    bars: list[tuple[datetime, int]]
    end: datetime | None
    without: int
    outside: int
    fields: list[tuple[str, str]]


@dataclass(frozen=True)
class Overview:
    """What the records under a filter are. `sample` is how many were looked at where not all were."""

    total: int
    facets: list[Facet]
    timeline: Timeline | None
    sample: int | None


@dataclass(frozen=True)
class _Ground:
    """What is counted: a table of the latest records, and by how much each stands for others."""

    table: str
    weight: float


def overview(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    asked: Filter,
    *,
    time: str = "",
    titles: dict[str, str] | None = None,
) -> Overview:
    """The records under a filter, by the values of their fields and by time.

    A field's counts leave out what is asked of the field itself, so that its other values can be added.
    `titles` names pipelines.
    """
    if not records.exists(cursor, target.name):
        return Overview(0, [], None, None)
    names = filters.held(cursor, target)
    facets = chosen(cursor, target, names, asked)
    times = [target.field(name) for name in names if target.field(name).type in TIMES]
    times = _by_use(cursor, target, times, time)
    needed = [
        *(f.name for f in facets),
        *(f.name for f in times),
        *(n for n, _ in asked.where if n != PIPELINE),
    ]
    with _ground(cursor, target, asked, needed) as (ground, rest):
        whole = filters.condition(cursor, target, rest)
        # How many there are is always counted and never estimated.
        total = _rows(cursor, target) if asked.empty else None
        if total is None:
            table = ground.table if asked.search else f"store.records.{identifier(target.name)}"
            total = _number(cursor, f"SELECT count(*) FROM {table} WHERE {whole.sql}", whole)
        found = [_facet(cursor, target, ground, rest, field) for field in facets]
        found.append(_pipelines(cursor, target, ground, rest, titles or {}))
        line = next(
            (
                line
                for field in times
                if (line := _timeline(cursor, ground, whole, rest, field, times)) is not None
            ),
            None,
        )
        sample = None
        if ground.weight > 1:
            sample = _number(cursor, f"SELECT count(*) FROM {ground.table}")
    return Overview(total, [f for f in found if f.values], line, sample)


@contextmanager
def _ground(
    cursor: DuckDBPyConnection, target: TargetModel, asked: Filter, needed: list[str]
) -> Iterator[tuple[_Ground, Filter]]:
    """What to count in, and the filter that is left to apply there.

    A search reads every text of every record, so it is done once and its few records set aside.
    """
    table = f"store.records.{identifier(target.name)}"
    if asked.search:
        aside = f"temp.{identifier('found_' + secrets.token_hex(6))}"
        where = filters.condition(cursor, target, replace(asked, where=()))
        columns = ", ".join([*map(identifier, dict.fromkeys(needed)), "_run"])
        cursor.execute(
            f"CREATE TEMP TABLE {aside} AS SELECT {columns} FROM {table} WHERE {where.sql}", where.values
        )
        try:
            yield _Ground(aside, 1.0), replace(asked, search="", run=None)
        finally:
            cursor.execute(f"DROP TABLE {aside}")
        return
    rows = _rows(cursor, target)
    if rows <= SAMPLED:
        yield _Ground(table, 1.0), asked
        return
    name = identifier(target.name)
    share = 100 * SAMPLED / 2 / rows
    sampled = (
        f"(SELECT k.* FROM store.kept.{name} k TABLESAMPLE system({share:.4f} PERCENT) REPEATABLE (1) "
        f"ANTI JOIN store.superseded.{name} s ON k._seq = s.seq)"
    )
    yield _Ground(sampled, 100 / share), asked


def chosen(
    cursor: DuckDBPyConnection, target: TargetModel, names: list[str], asked: Filter
) -> list[TargetField]:
    """The fields worth choosing from: those with few values among many records, the telling ones first."""
    candidates = [
        field
        for field in map(target.field, names)
        if field.name not in (*target.key, *_NEVER)
        and not field.name.endswith(("_ref", "_refs"))
        and field.type not in (*TIMES, FieldType.JSON)
    ]
    if not candidates:
        return []
    looked = ", ".join(
        f"approx_count_distinct({c}), count({c})"
        for c in (f"{identifier(f.name)}::VARCHAR" for f in candidates)
    )
    table = f"store.kept.{identifier(target.name)}"
    there = _number(cursor, f"SELECT count(*) FROM {table}")
    if there > 5 * _LOOKED_AT:
        # The same rows every time: facets must not come and go.
        table += f" TABLESAMPLE system({100 * _LOOKED_AT / there:.4f} PERCENT) REPEATABLE (1)"
    row = cursor.execute(f"SELECT count(*), {looked} FROM {table}").fetchone()
    rows, counts = (row[0], row[1:]) if row else (0, ())
    wanted = {name for name, _ in asked.where}
    found = []
    for field, distinct, filled in zip(candidates, counts[::2], counts[1::2], strict=True):
        named = field.vocabulary is not None or field.type is FieldType.BOOLEAN or field.name in _FIRST
        telling = (distinct > 1 or (distinct == 1 and filled < rows)) and filled * 50 >= rows
        few = distinct <= _MOST and (named or distinct * 2 <= filled)
        if field.name in wanted or (telling and few):
            found.append(field)
    order = {name: place for place, name in enumerate(_FIRST)}
    found.sort(key=lambda f: (f.name not in wanted, order.get(f.name, len(order))))
    kept = found[:SHOWN]
    kept.sort(key=lambda f: order.get(f.name, len(order)))
    return kept


def _by_use(
    cursor: DuckDBPyConnection, target: TargetModel, times: list[TargetField], wanted: str
) -> list[TargetField]:
    """Times of most records first, in the order of what they tell; the wanted one before all."""
    if not times:
        return []
    listed = ", ".join(f"count({identifier(f.name)})" for f in times)
    rows = cursor.execute(f"SELECT count(*), {listed} FROM store.kept.{identifier(target.name)}").fetchall()[
        0
    ]
    filled = dict(zip((f.name for f in times), rows[1:], strict=True))

    def place(field: TargetField) -> tuple[bool, bool, int]:
        order = _MAIN.index(field.name) if field.name in _MAIN else len(_MAIN)
        return field.name != wanted, filled[field.name] * 2 < rows[0], order

    return sorted(times, key=place)


def _facet(
    cursor: DuckDBPyConnection, target: TargetModel, ground: _Ground, asked: Filter, field: TargetField
) -> Facet:
    where = filters.condition(cursor, target, asked, without=field.name)
    column = identifier(field.name)
    if field.name == "confidence":
        value = f"CASE WHEN {column} < 1 THEN '0..1' WHEN {column} < 30 THEN '1..30' WHEN {column} < 70 THEN '30..70' WHEN {column} >= 70 THEN '70..' END"
    elif field.type is FieldType.TEXTS:
        value = f"unnest(CASE WHEN len({column}) > 0 THEN list_distinct({column}) ELSE [NULL] END)"
    else:
        value = f"{column}"
    # Grouped before it is made text: a value's text is then made once, not for each record.
    grouped = f"SELECT {value} AS v FROM {ground.table} WHERE {where.sql}"
    rows = cursor.execute(
        f"SELECT v::VARCHAR, n, count(*) OVER () FROM (SELECT v, count(*) AS n FROM ({grouped}) GROUP BY v) "
        f"ORDER BY n DESC, v LIMIT {VALUES}",
        where.values,
    ).fetchall()
    picked = {value for name, value in asked.where if name == field.name}
    shown = [_value(field, row[0], row[1], ground) for row in rows]
    absent = picked - {one.value for one in shown}
    # What was chosen stays in sight, so that it can be taken back.
    shown += [_value(field, value or None, 0, ground) for value in sorted(absent)]
    if field.name == "confidence":
        shown.sort(key=lambda v: list(_BANDS).index(v.value) if v.value in _BANDS else -1, reverse=True)
    more = int(rows[0][2]) - len(rows) if rows else 0
    return Facet(field.name, field.title or field.name, shown, more)


def _value(field: TargetField, value: str | None, count: int, ground: _Ground) -> Value:
    named = value or ""
    label = "no value" if value is None else value
    if field.name == "confidence":
        label = _BANDS.get(named, label)
    elif field.type is FieldType.BOOLEAN and value is not None:
        label = "yes" if value == "true" else "no"
    return Value(named, label, round(count * ground.weight))


def _pipelines(
    cursor: DuckDBPyConnection, target: TargetModel, ground: _Ground, asked: Filter, titles: dict[str, str]
) -> Facet:
    where = filters.condition(cursor, target, asked, without=PIPELINE)
    rows = cursor.execute(
        f"SELECT r.pipeline, sum(n) FROM (SELECT _run, count(*) AS n FROM {ground.table} WHERE {where.sql} "
        "GROUP BY _run) g JOIN store.spire.runs r ON r.run = g._run GROUP BY 1 ORDER BY 2 DESC, 1",
        where.values,
    ).fetchall()
    values = [Value(row[0], titles.get(row[0], row[0]), round(int(row[1]) * ground.weight)) for row in rows]
    if len(values) < 2 and not any(name == PIPELINE for name, _ in asked.where):
        values = []
    return Facet(PIPELINE, "Pipeline", values[:VALUES], max(0, len(values) - VALUES))


def _timeline(
    cursor: DuckDBPyConnection,
    ground: _Ground,
    where: Condition,
    asked: Filter,
    field: TargetField,
    times: list[TargetField],
) -> Timeline | None:
    column = f"{identifier(field.name)}::TIMESTAMP"
    from_table = f"FROM {ground.table} WHERE {where.sql}"
    found = cursor.execute(
        f"SELECT min(t), max(t), count(*) - count(t), count(t) FROM (SELECT {column} AS t {from_table}) ",
        where.values,
    ).fetchone()
    if found is None or found[0] is None:
        return None
    low, high, without, filled = found
    between, bound = f"{column} IS NOT NULL", list[datetime]()
    if high - low > _CENTURY:
        # One wrong year would squeeze all others into a line; it is counted as outside.
        low, high = cursor.execute(
            f"SELECT quantile_disc({column}, 0.005), quantile_disc({column}, 0.995) {from_table}",
            where.values,
        ).fetchall()[0]
        between, bound = f"{column} BETWEEN ? AND ?", [low, high]
    unit = _unit(high - low)
    rows = cursor.execute(
        f"SELECT date_trunc('{unit}', {column}) AS t, count(*) {from_table} AND {between} GROUP BY 1 ORDER BY 1",
        [*where.values, *bound],
    ).fetchall()
    counts = {_moment(row[0]): round(row[1] * ground.weight) for row in rows}
    bars, at = [], min(counts)
    last = max(counts)
    while at <= last:
        bars.append((at, counts.get(at, 0)))
        at = following(at, unit)
    named = [(each.name, each.title or each.name) for each in times]
    return Timeline(
        field.name,
        field.title or field.name,
        unit,
        bars,
        at,
        round(without * ground.weight),
        max(0, round(filled * ground.weight) - sum(counts.values())),
        named,
    )


def _unit(span: timedelta) -> str:
    days = span.days
    return "day" if days <= _DAYS else "week" if days <= _WEEKS else "month" if days <= _MONTHS else "year"


def following(at: datetime, unit: str) -> datetime:
    """The start of the next day, week, month or year."""
    if unit in ("day", "week"):
        return at + timedelta(days=7 if unit == "week" else 1)
    if unit == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at.replace(year=at.year + 1)


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime.fromisoformat(str(value))


def _rows(cursor: DuckDBPyConnection, target: TargetModel) -> int:
    return glance.counts(cursor).get(target.name, 0)


def _number(cursor: DuckDBPyConnection, sql: str, where: Condition | None = None) -> int:
    row = cursor.execute(sql, where.values if where else []).fetchone()
    return int(row[0]) if row else 0
