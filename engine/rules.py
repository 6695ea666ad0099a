"""Rules: what each operator checks on mapped values, in SQL and in words.

Three scopes. Row rules look at one row and become a bit of the plan's mask. `unique` needs all rows of
a run, so the store checks it (`SetCheck`): a row whose values occurred before, in the run or in stored
records of another key, is broken. `freshness` and `volume` judge the run as a whole once it is over
(`RunCheck`). A field without a value breaks no rule but `required`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from sqlglot import exp

from engine.casts import DUCKDB, WORDS, convert
from engine.expression import expression, fields_of
from engine.model import FieldType, Rule, Severity
from engine.steps.catalogue import BadMapping, Context, Options, pattern, told
from engine.steps.intel import kind_of
from engine.steps.numbers import exact
from engine.steps.tree import (
    Expr,
    absent,
    call,
    cast,
    column,
    either,
    given,
    keep,
    no,
    one_of,
    raw,
    sql,
    text,
    tree,
)
from engine.steps.values import known_words

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
class Mapped:
    """A mapped value the rules see: its column, and its type."""

    column: Expr
    type: FieldType


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


def message_of(rule: Rule) -> str:
    """The rule's own message, or what it demands in plain words."""
    if rule.message:
        return rule.message
    o, f = options_of(rule), rule.field or "row"
    match rule.operator:
        case "required":
            return f"{f} is missing"
        case "type":
            return f"{f} is not {_type_words(o.type)}"
        case "range":
            return f"{f} is not {_limits(o.min, o.max)}"
        case "length":
            return f"{f} is not {_limits(o.min, o.max)} long"
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
            return f"{f} does not meet {o.sql}"


def _limits(low: object, high: object) -> str:
    if low is not None and high is not None:
        return f"between {low} and {high}" if low != high else f"{low}"
    return f"at least {low}" if low is not None else f"at most {high}"


def _list(values: tuple[Value, ...]) -> str:
    shown = ", ".join(str(v) for v in values[:10])
    return shown + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def _type_words(name: str) -> str:
    return WORDS.get(FieldType(name), name) if name in set(FieldType) else f"of the kind {name}"


def broken(rule: Rule, values: Mapping[str, Mapped], context: Context) -> Expr:
    """SQL that is true where a row breaks the rule, and NULL or false where it does not."""
    o = options_of(rule)
    if rule.operator == "expression":
        return _condition(rule, o.sql, values, context)
    value = _mapped(rule, rule.field, values)
    match rule.operator:
        case "required":
            return missing(value)
        case "type":
            return _type(value, o.type, context)
        case "range":
            return _range(value, o, context)
        case "length":
            return _outside(
                call("len" if value.type is FieldType.TEXTS else "length", _text(value, context)),
                o.min,
                o.max,
            )
        case "regex":
            return no(call("regexp_full_match", _text(value, context), pattern(o.pattern, context.where)))
        case "in" | "not_in":
            return _words(value, o, rule.operator == "in", context)
        case "reference":
            table = context.stored(o.target, o.field)
            known = exp.select(cast(column(o.field), "VARCHAR")).from_(table).where(given(column(o.field)))
            looked = context.once(_text(value, context))
            return exp.and_(given(looked), no(exp.In(this=looked, query=exp.Subquery(this=known))))
        case "date_order":
            other = _mapped(rule, o.after or o.before, values)
            for field in (value, other):
                if field.type not in (FieldType.TIMESTAMP, FieldType.DATE):
                    raise BadMapping(f"{context.where}: date_order needs date or timestamp fields.")
            kind = exp.LT if o.after else exp.GT
            return kind(this=value.column, expression=other.column)
        case _:
            return _compare(rule, value, o, values, context)


def missing(value: Mapped) -> Expr:
    """The value is not there: NULL, blank text or an empty list."""
    if value.type is FieldType.TEXT:
        return exp.or_(absent(value.column), exp.EQ(this=value.column, expression=text("")))
    if value.type is FieldType.TEXTS:
        return exp.or_(absent(value.column), exp.EQ(this=call("len", value.column), expression=tree(0)))
    return absent(value.column)


def _mapped(rule: Rule, name: str | None, values: Mapping[str, Mapped]) -> Mapped:
    if name not in values:
        raise BadMapping(f"rule {rule.id}: the target has no field {name}.")
    return values[name]


def _text(value: Mapped, context: Context) -> Expr:
    if value.type is FieldType.TEXTS:
        return value.column
    return convert(value.column, value.type, FieldType.TEXT, context)[0]


def _type(value: Mapped, name: str, context: Context) -> Expr:
    as_text = context.once(convert(value.column, value.type, FieldType.TEXT, context)[0])
    if name in set(FieldType):
        read = convert(as_text, FieldType.TEXT, FieldType(name), context)[0]
    else:
        read = raw(kind_of(name, context.where).canonical(sql(as_text)))
    return exp.and_(exp.NEQ(this=as_text, expression=text("")), absent(read))


def _outside(value: Expr, low: Any, high: Any) -> Expr:
    ends = []
    if low is not None:
        ends.append(exp.LT(this=value, expression=tree(low)))
    if high is not None:
        ends.append(exp.GT(this=value, expression=tree(high)))
    return either(*ends)


def _range(value: Mapped, o: Range, context: Context) -> Expr:
    low, high = (None if end is None else _limit(end, value.type, context) for end in (o.min, o.max))
    if value.type is FieldType.TEXT:
        number = context.once(exact(value.column, context))
        return exp.or_(exp.and_(given(value.column), absent(number)), _outside(number, low, high))
    return _outside(value.column, low, high)


def _limit(end: Value, kind: FieldType, context: Context) -> Expr:
    """A limit as a literal of the field's type."""
    if kind in (FieldType.TIMESTAMP, FieldType.DATE):
        try:
            moment = datetime.fromisoformat(str(end))
        except ValueError as error:
            raise BadMapping(f"{context.where}: {end} is not a date such as 2024-01-31.") from error
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return cast(text(moment.isoformat(" ")), "TIMESTAMP")
    if kind in (FieldType.INTEGER, FieldType.DECIMAL, FieldType.TEXT):
        if not re.fullmatch(r"[+-]?\d{1,29}([.]\d{1,9})?", str(end)):
            raise BadMapping(f"{context.where}: {end} is not a number.")
        return cast(text(str(end)), "DECIMAL(38, 9)")
    raise BadMapping(f"{context.where}: a {kind.value} field has no range.")


def _words(value: Mapped, o: Words, wanted: bool, context: Context) -> Expr:
    if o.vocabulary:
        known: list[Value] = sorted(
            {w for w in known_words(o.vocabulary, context.where).values() if w is not None}
        )
    else:
        known = list(o.values or ())
    if value.type is FieldType.TEXTS:
        entry = column("entry")
        inside = one_of(entry, [str(w) for w in known])
        odd = keep(value.column, "entry", no(inside) if wanted else inside)
        return exp.GT(this=call("len", odd), expression=tree(0))
    if value.type in (FieldType.INTEGER, FieldType.DECIMAL):
        inside = exp.In(this=value.column, expressions=[_limit(w, value.type, context) for w in known])
    else:
        inside = one_of(_text(value, context), [w if isinstance(w, str) else _written(w) for w in known])
    return no(inside) if wanted else inside


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_SIGNS: dict[str, type[exp.Expression]] = {
    "=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip


def _compare(rule: Rule, value: Mapped, o: Compare, values: Mapping[str, Mapped], context: Context) -> Expr:
    left = value.column
    if o.field is not None:
        other = _mapped(rule, o.field, values)
        right = other.column
        numbers = {FieldType.INTEGER, FieldType.DECIMAL}
        moments = {FieldType.TIMESTAMP, FieldType.DATE}
        if (
            other.type is not value.type
            and not {other.type, value.type} <= numbers | set()
            and not ({other.type, value.type} <= moments)
        ):
            raise BadMapping(f"{context.where}: {rule.field} and {o.field} are of different types.")
    elif value.type in (FieldType.INTEGER, FieldType.DECIMAL, FieldType.TIMESTAMP, FieldType.DATE):
        right = _limit(o.value, value.type, context)  # type: ignore[arg-type]
    elif value.type in (FieldType.TEXT, FieldType.BOOLEAN):
        left, right = _text(value, context), text(_written(o.value))  # type: ignore[arg-type]
    else:
        raise BadMapping(f"{context.where}: a {value.type.value} field cannot be compared with a value.")
    return no(_SIGNS[o.is_](this=left, expression=right))


def _condition(rule: Rule, written: str, values: Mapping[str, Mapped], context: Context) -> Expr:
    checked = expression(written, context.where, {name: DUCKDB[v.type] for name, v in values.items()})
    if checked.type != "BOOLEAN":
        raise BadMapping(f"{context.where}: the expression gives {checked.type}, not true or false.")
    condition = checked.tree
    for node in list(fields_of(condition)):
        replacement = values[node.name].column.copy()
        if node is condition:
            condition = replacement
        else:
            node.replace(replacement)
    violated = call("coalesce", no(condition), False)
    return call("coalesce", call("try", violated), True) if checked.can_raise else violated
