"""The steps a source field needs on its way to a target field, told from its values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine import types
from engine.model import FieldType, Step, TargetField
from engine.profile import Column, DateFormat
from engine.profile.shapes import PLACEHOLDERS, quoted
from engine.suggest.values import known_share, meant

# What DuckDB itself reads as a truth value.
_BOOLEANS = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"})
_SEPARATORS = (";", "|", ",", " / ", " ")
_DEFANGED = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[:\]|\[dot\]|\[at\]|\[@\]|^hxxp|^h__p|\[://\]", re.IGNORECASE)


@dataclass(frozen=True)
class Chain:
    """Steps that can be taken as they are, or `choices` between chains that only a person can settle."""

    steps: tuple[Step, ...] = ()
    sql: str | None = None
    choices: tuple[tuple[Step, ...], ...] = ()
    note: str = ""


def day_first(columns: Sequence[Column]) -> bool | None:
    """Whether the columns whose dates leave no doubt have the day first; None where they don't say or disagree."""
    said = {
        date.format.startswith("%d")
        for column in columns
        for date in column.dates
        if not column.ambiguous_dates and date.alone and date.format[:2] in ("%d", "%m")
    }
    return said.pop() if len(said) == 1 else None


def chain(column: Column, field: TargetField, days: bool | None = None) -> Chain:
    """The chain for a pair. `days` says which order of day and month the neighbours have, if any."""
    first = _blanks(column)
    if field.type in (FieldType.TIMESTAMP, FieldType.DATE):
        return _moment(column, first, days)
    if field.name == "confidence" or (field.type in (FieldType.INTEGER, FieldType.DECIMAL)):
        return Chain((*first, *_number(column, field)))
    if field.type is FieldType.TEXTS:
        return Chain((*first, *_list(column)))
    if field.type is FieldType.JSON:
        return Chain(first, sql=None if column.type == "json" else _linked(column))
    if field.type is FieldType.BOOLEAN and not {s.lower() for s in column.samples} <= _BOOLEANS:
        return Chain((*first, Step(step="boolean")))
    if field.kind:
        return Chain((*first, *_kind(column, field.kind)))
    if field.vocabulary:
        return Chain((*first, *_foreign(column, field.vocabulary)))
    return Chain(first)


def _linked(column: Column) -> str:
    """A URL as the list of one external reference (STIX 2.1 §2.5)."""
    name = quoted(column.name)
    return f"""CASE WHEN {name} <> '' THEN concat('[{{"source_name":"reference","url":', to_json({name}), '}}]') END"""


def _foreign(column: Column, vocabulary: str) -> tuple[Step, ...]:
    """A value map for words the vocabulary has under another name only, such as `IP-Adresse`."""
    known = types.VOCABULARIES[vocabulary].words()
    found = {
        word
        for word in (*column.samples, *(top.value for top in column.top))
        if word.strip().lower() not in known
    }
    values = {word: value for word in sorted(found) if (value := meant(vocabulary, word)) is not None}
    return (Step(step="map", options={"values": values, "otherwise": "keep"}),) if values else ()


def _blanks(column: Column) -> tuple[Step, ...]:
    if not column.placeholders:
        return ()
    used = sorted({top.value.strip().lower() for top in column.top} & set(PLACEHOLDERS))
    return (Step(step="null_if", options={"values": used or list(PLACEHOLDERS)}),)


def defanged(value: str) -> bool:
    """Whether a value is written so that nobody clicks it."""
    return _DEFANGED.search(value) is not None


def _kind(column: Column, kind: str) -> tuple[Step, ...]:
    refang = (Step(step="refang"),) if any(map(defanged, column.samples)) else ()
    return (*refang, Step(step="canonical", options={"kind": kind}))


def _moment(column: Column, first: tuple[Step, ...], days: bool | None) -> Chain:
    dates = column.dates
    if not dates or {date.format for date in dates} == {"iso"}:
        return Chain(first)
    if column.ambiguous_dates:
        pair = [date for date in dates if date.format[:2] in ("%d", "%m")]
        decided = [date for date in pair if days is not None and (date.format.startswith("%d")) == days]
        if decided:
            order = "day" if days else "month"
            return Chain(
                (*first, _parse(decided)), note=f"{order} first, as in the other dates of this source"
            )
        return Chain(choices=tuple((*first, _parse([date])) for date in pair or dates))
    return Chain((*first, _parse(dates)))


def _parse(dates: Sequence[DateFormat]) -> Step:
    formats = [date.format for date in dates]
    alone = formats[0] if len(formats) == 1 and not formats[0].startswith("%") else formats
    return Step(step="parse_date", options={"formats": alone})


def _number(column: Column, field: TargetField) -> tuple[Step, ...]:
    if column.type not in ("integer", "number"):
        if field.name == "confidence" and known_share(column, "confidence") >= 0.5:
            return (Step(step="map", options={"vocabulary": "confidence", "otherwise": "reject"}),)
        if field.vocabulary and field.vocabulary in types.VOCABULARIES:
            return (Step(step="map", options={"vocabulary": field.vocabulary, "otherwise": "reject"}),)
        return ()
    steps: list[Step] = []
    if column.type == "number" and any("," in sample for sample in column.samples):
        steps.append(Step(step="number", options={"decimal": ","}))
    spread = column.numbers
    if field.name in ("confidence", "score") and column.type == "number" and spread:
        if spread.lowest >= 0 and spread.highest <= 1:
            steps = steps or [Step(step="number")]
            steps.append(Step(step="scale", options={"factor": 100.0}))
        if field.type is FieldType.INTEGER:
            steps = steps or [Step(step="number")]
            steps.append(Step(step="round"))
    return tuple(steps)


def separator(column: Column) -> str | None:
    """What stands between the entries of a column of lists; None where each value is one entry."""
    samples = [sample for sample in column.samples if not sample.startswith(("[", "{"))]
    for mark in _SEPARATORS:
        parted = [sample for sample in samples if mark in sample.strip()]
        if not parted:
            continue
        parts = [part.strip() for sample in parted for part in sample.split(mark)]
        # Words, not sentences: a comma inside prose separates nothing.
        limit = 1 if mark == " " else 4
        if len(parted) >= 0.05 * len(samples) and all(len(part.split()) <= limit for part in parts):
            return mark
    return None


def _list(column: Column) -> tuple[Step, ...]:
    if column.type == "json" or all(sample.startswith("[") for sample in column.samples):
        return ()
    mark = separator(column)
    if mark is None or mark == " ":
        return ()
    return (Step(step="split", options={"by": mark}),)
