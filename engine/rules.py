"""Rules: what each operator checks on mapped values, in SQL and in words.

Three scopes. Row rules look at one row and become a bit of the plan's mask. `unique` needs all rows of
a run, so the store checks it (`SetCheck`): a row whose values occurred before, in the run or in stored
records of another key, is broken. `freshness` and `volume` judge the run as a whole once it is over
(`RunCheck`). A field without a value breaks no rule but `required`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from engine.casts import WORDS
from engine.model import FieldType, Rule, Severity
from engine.steps.catalogue import BadMapping, Options, told

Value = str | int | float | bool


class Nothing(Options):
    """No value."""


class TypeIs(Options):
    type: str = Field(title="Type or kind", description="A field type (integer, date, …) or kind (ipv4, …).")


class Range(Options):
    min: int | float | str | None = Field(default=None, title="From")
    max: int | float | str | None = Field(default=None, title="To")

    @model_validator(mode="after")
    def _has_an_end(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


class Length(Options):
    min: int | None = Field(default=None, ge=0, title="At least")
    max: int | None = Field(default=None, ge=0, title="At most")

    @model_validator(mode="after")
    def _has_an_end(self) -> Length:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


class Regex(Options):
    pattern: str = Field(min_length=1, title="Pattern", description="It must match the whole value.")


class Words(Options):
    values: tuple[Value, ...] | None = Field(default=None, max_length=5000, title="Values")
    vocabulary: str | None = Field(default=None, title="Vocabulary")

    @model_validator(mode="after")
    def _one_list(self) -> Words:
        if (not self.values) == (self.vocabulary is None):
            raise ValueError("give either values or vocabulary")
        return self


class Unique(Options):
    fields: tuple[str, ...] = Field(default=(), title="Together with")


class Reference(Options):
    target: str = Field(min_length=1, title="Target model")
    field: str = Field(min_length=1, title="Its field")


class DateOrder(Options):
    after: str | None = Field(default=None, title="Not before field")
    before: str | None = Field(default=None, title="Not after field")

    @model_validator(mode="after")
    def _one_side(self) -> DateOrder:
        if (self.after is None) == (self.before is None):
            raise ValueError("give either after or before")
        return self


class Compare(Options):
    is_: Literal["=", "!=", "<", "<=", ">", ">="] = Field(alias="is", title="Comparison")
    field: str | None = Field(default=None, title="Other field")
    value: Value | None = Field(default=None, title="Value")

    @model_validator(mode="after")
    def _one_side(self) -> Compare:
        if (self.field is None) == (self.value is None):
            raise ValueError("give either field or value")
        return self


class Freshness(Options):
    within: str = Field(
        pattern=r"^\d{1,5} ?(minute|hour|day|week)s?$", title="Newest value within", examples=["36 hours"]
    )


class Volume(Options):
    min: int | None = Field(default=None, ge=0, title="At least")
    max: int | None = Field(default=None, ge=0, title="At most")
    of: Literal["read", "accepted"] = Field(default="accepted", title="Rows counted")

    @model_validator(mode="after")
    def _has_an_end(self) -> Volume:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


class Condition(Options):
    sql: str = Field(min_length=1, title="Condition over target fields")


@dataclass(frozen=True)
class Operator:
    """One entry of the rule catalogue. `short(value)` reads the short forms people write."""

    name: str
    title: str
    summary: str
    options: type[Options]
    scope: Literal["row", "set", "run"] = "row"
    needs_field: bool = True
    short: Callable[[Any], Any] = lambda value: value


def _ends(value: Any) -> Any:
    return (
        {"min": value[0], "max": value[1]} if isinstance(value, list | tuple) and len(value) == 2 else value
    )


OPERATORS: dict[str, Operator] = {
    op.name: op
    for op in (
        Operator("required", "Must be there", "The field has a value that is not blank.", Nothing),
        Operator("type", "Must be of a type", "The value reads as a type or kind.", TypeIs,
                 short=lambda v: {"type": v} if isinstance(v, str) else v),
        Operator("range", "Between", "A number or date within limits, both included.", Range, short=_ends),
        Operator("length", "Length", "How many characters, or entries of a list.", Length,
                 short=lambda v: {"min": v, "max": v} if type(v) is int else _ends(v)),
        Operator("regex", "Matches a pattern", "The whole value matches a regular expression.", Regex,
                 short=lambda v: {"pattern": v} if isinstance(v, str) else v),
        Operator("in", "One of", "The value (every entry of a list) is in the list.", Words,
                 short=lambda v: {"values": v} if isinstance(v, list | tuple) else v),
        Operator("not_in", "None of", "The value (every entry of a list) is not in the list.", Words,
                 short=lambda v: {"values": v} if isinstance(v, list | tuple) else v),
        Operator("unique", "Unique", "No other record has the same value.", Unique, "set",
                 short=lambda v: {"fields": v} if isinstance(v, list | tuple) else v),
        Operator("reference", "Must exist in records", "A stored record has this value. Records of the same "
                 "run are not there yet: load what is referred to first.", Reference,
                 short=lambda v: dict(zip(("target", "field"), v.split(".", 1), strict=False)) if isinstance(v, str) else v),
        Operator("date_order", "Dates in order", "The date is not before (or not after) another field's.", DateOrder,
                 short=lambda v: {"after": v} if isinstance(v, str) else v),
        Operator("compare", "Compare", "The value compared with another field or a fixed value.", Compare),
        Operator("freshness", "Fresh", "The run's newest value of the field is recent.", Freshness, "run",
                 short=lambda v: {"within": v} if isinstance(v, str) else v),
        Operator("volume", "Number of rows", "How many rows the run brings.", Volume, "run", False, short=_ends),
        Operator("expression", "Own condition", "An SQL condition over the target's fields holds.", Condition,
                 needs_field=False, short=lambda v: {"sql": v} if isinstance(v, str) else v),
    )
}  # fmt: skip


@dataclass(frozen=True)
class SetCheck:
    """A rule over all rows: no two rows, here or stored under another key, share the values of `fields`."""

    bit: int
    rule: str
    kind: Literal["unique"]
    fields: tuple[str, ...]
    severity: Severity
    message: str


@dataclass(frozen=True)
class RunCheck:
    """A rule over a run that is over. Freshness: newest `field` within `within`; volume: rows between the limits."""

    rule: str
    kind: Literal["freshness", "volume"]
    field: str | None
    severity: Severity
    message: str
    within: timedelta | None = None
    minimum: int | None = None
    maximum: int | None = None
    of: Literal["read", "accepted"] = "accepted"


def run_check_holds(
    check: RunCheck, *, read: int, accepted: int, newest: datetime | None, now: datetime
) -> bool:
    """Whether the finished run keeps the rule. `newest` is the largest value of the field among its rows (UTC)."""
    if check.within is not None:
        if newest is not None and newest.tzinfo is None:
            newest = newest.replace(tzinfo=UTC)
        return newest is not None and now - newest <= check.within
    count = read if check.of == "read" else accepted
    return (check.minimum or 0) <= count and (check.maximum is None or count <= check.maximum)


def options_of(rule: Rule) -> Any:
    """The rule's value checked against its operator, short forms spelled out."""
    operator = OPERATORS[rule.operator]
    where = f"rule {rule.id}"
    if operator.needs_field and rule.field is None:
        raise BadMapping(f"{where}: the operator {rule.operator} needs a field.")
    value = operator.short(rule.value)
    if value is not None and not isinstance(value, dict):
        raise BadMapping(f"{where}: the value does not suit {rule.operator}.")
    try:
        return operator.options.model_validate(value or {})
    except ValidationError as error:
        raise BadMapping(f"{where}: {told(error)}.") from error


def message_of(rule: Rule, kind: FieldType = FieldType.TEXT) -> str:
    """The rule's own message, or what it demands in plain words. `kind` is the type of the rule's field."""
    if rule.message:
        return rule.message
    o, f = options_of(rule), rule.field or "row"
    match rule.operator:
        case "required":
            return f"{f} is missing"
        case "type":
            return f"{f} is not {_type_words(o.type)}"
        case "range":
            noun = "a date" if kind in (FieldType.TIMESTAMP, FieldType.DATE) else "a number"
            return f"{f} is not {noun} {_limits(o.min, o.max)}"
        case "length":
            unit = "entries" if kind is FieldType.TEXTS else "characters"
            return f"{f} does not have {_limits(o.min, o.max)} {unit}"
        case "regex":
            return f"{f} does not match the pattern {o.pattern}"
        case "in" | "not_in":
            words = f"the vocabulary {o.vocabulary}" if o.vocabulary else _list(o.values)
            return f"{f} is {'not ' if rule.operator == 'in' else ''}one of {words}"
        case "unique":
            return f"{' and '.join((f, *o.fields))} occurs more than once"
        case "reference":
            return f"{f} is no {o.field} of a stored {o.target}"
        case "date_order":
            return f"{f} is before {o.after}" if o.after else f"{f} is after {o.before}"
        case "compare":
            words = {"=": "equal to", "!=": "different from", "<": "less than", "<=": "at most", ">": "greater than",
                     ">=": "at least"}[o.is_]  # fmt: skip
            return f"{f} is not {words} {o.field if o.field else o.value}"
        case "freshness":
            return f"the newest {f} is older than {o.within}"
        case "volume":
            return f"the number of rows {o.of} is not {_limits(o.min, o.max)}"
        case _:
            return f"the condition {o.sql} does not hold"


def _limits(low: object, high: object) -> str:
    if low is not None and high is not None:
        return f"between {low} and {high}" if low != high else f"{low}"
    return f"at least {low}" if low is not None else f"at most {high}"


def _list(values: tuple[Value, ...]) -> str:
    shown = ", ".join(str(v) for v in values[:10])
    return shown + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def _type_words(name: str) -> str:
    return WORDS.get(FieldType(name), name) if name in set(FieldType) else f"of the kind {name}"
