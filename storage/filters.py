"""Filters: which of a target model's latest records are meant, as data and as SQL with bound values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.errors import Stop
from engine.model import FieldType, TargetModel
from engine.scan import identifier
from engine.types import refang
from storage.definitions import NotFound

PIPELINE = "_pipeline"
TIMES = (FieldType.TIMESTAMP, FieldType.DATE)
NUMBERS = (FieldType.INTEGER, FieldType.DECIMAL)
_SEARCHED = (FieldType.TEXT, FieldType.TEXTS, FieldType.JSON, *NUMBERS)
# The whole object says again what its fields say, and is most of what a record weighs.
_UNSEARCHED = ("object", "spec_version")
# An id is a word and a uuid: only what looks like a piece of one is looked for there.
_OF_AN_ID = re.compile(r"(?i).*--.*|[0-9a-f-]{4,}")
_SPAN = ".."


class BadFilter(Stop):
    """This filter can't be read."""


@dataclass(frozen=True)
class Filter:
    """What is asked for. Values of one field are alternatives; fields, search and run must all hold.

    A value is the field's own (of a list: one of its members), nothing for "has no value", or for numbers
    and times `from..to`, from included and to not, either left out. `_pipeline` is a field too.
    """

    search: str = ""
    whole: bool = False
    where: tuple[tuple[str, str], ...] = ()
    run: int | None = None

    @property
    def empty(self) -> bool:
        """Whether every record is meant."""
        return not self.search and not self.where and self.run is None


@dataclass(frozen=True)
class Condition:
    """SQL over the columns of `records.T`, and the values bound in it."""

    sql: str
    values: list[Any]


def held(cursor: DuckDBPyConnection, target: TargetModel) -> list[str]:
    """The model's fields that anything was ever kept in."""
    there = {row[0] for row in cursor.execute(f"DESCRIBE store.kept.{identifier(target.name)}").fetchall()}
    return [field.name for field in target.fields if field.name in there]


def condition(
    cursor: DuckDBPyConnection, target: TargetModel, asked: Filter, *, without: str = ""
) -> Condition:
    """The condition of a filter; `without` leaves out what is asked of one field."""
    parts: list[str] = []
    values: list[Any] = []
    if asked.search:
        _search(cursor, target, asked, parts, values)
    for name in dict.fromkeys(name for name, _ in asked.where):
        if name == without:
            continue
        ways = []
        for value in (value for other, value in asked.where if other == name):
            sql, bound = _way(target, name, value)
            ways.append(sql)
            values += bound
        parts.append(f"({' OR '.join(ways)})")
    if asked.run is not None:
        parts.append("_run = ?")
        values.append(asked.run)
    return Condition(" AND ".join(parts) or "true", values)


def _search(
    cursor: DuckDBPyConnection, target: TargetModel, asked: Filter, parts: list[str], values: list[Any]
) -> None:
    names = [
        name
        for name in held(cursor, target)
        if target.field(name).type in _SEARCHED
        and name not in _UNSEARCHED
        and (_OF_AN_ID.fullmatch(asked.search) or not _is_an_id(name))
    ]
    told = cursor.execute(f"SELECT lower(v), lower({refang('v')}) FROM (SELECT ? AS v)", [asked.search])
    terms = list(dict.fromkeys(term for term in (told.fetchone() or ()) if term))
    ways = []
    for name in names:
        column, kind = identifier(name), target.field(name).type
        for term in terms:
            if asked.whole:
                # A list has the value as one of its members.
                lowered = f"lower({column}::VARCHAR)"
                ways.append(
                    f"list_contains(list_transform({column}, x -> lower(x)), ?)"
                    if kind is FieldType.TEXTS
                    else f"{lowered} = ?"
                )
            else:
                ways.append(f"contains(lower({column}::VARCHAR), ?)")
            values.append(term)
    parts.append(f"({' OR '.join(ways)})" if ways else "false")


def _is_an_id(name: str) -> bool:
    return name == "id" or name.endswith(("_ref", "_refs"))


def _way(target: TargetModel, name: str, value: str) -> tuple[str, list[Any]]:
    if name == PIPELINE:
        return "_run IN (SELECT run FROM store.spire.runs WHERE pipeline = ?)", [value]
    try:
        kind = target.field(name).type
    except KeyError:
        raise NotFound(f"{target.name} has no field {name}.") from None
    column = identifier(name)
    if not value:
        return (
            f"({column} IS NULL OR len({column}) = 0)" if kind is FieldType.TEXTS else f"{column} IS NULL"
        ), []
    if kind in (*NUMBERS, *TIMES) and _SPAN in value:
        return _span(name, kind, value)
    if kind is FieldType.TEXTS:
        return f"list_contains({column}, ?)", [value]
    return f"{column}::VARCHAR = ?", [value]


def _span(name: str, kind: FieldType, value: str) -> tuple[str, list[Any]]:
    low, _, high = value.partition(_SPAN)
    try:
        bounds = [(sign, _bound(kind, text)) for sign, text in ((">=", low), ("<", high)) if text]
    except ValueError:
        raise BadFilter(
            f"{name}={value}", action="A span is from..to, in numbers or in ISO dates (2026-01-31)."
        ) from None
    if not bounds:
        return f"{identifier(name)} IS NOT NULL", []
    return (
        "(" + " AND ".join(f"{identifier(name)} {sign} ?" for sign, _ in bounds) + ")",
        [bound for _, bound in bounds],
    )


def _bound(kind: FieldType, text: str) -> Any:
    return datetime.fromisoformat(text).replace(tzinfo=None) if kind in TIMES else float(text)
