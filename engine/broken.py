"""Row rules in SQL: an expression that is true where a row breaks the rule, NULL or false where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp

from engine.casts import DUCKDB, convert
from engine.expression import expression, fields_of
from engine.model import FieldType, Rule
from engine.rules import Compare, Range, Value, Words, options_of
from engine.steps.catalogue import BadMapping, Context, pattern
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


@dataclass(frozen=True)
class Mapped:
    """A mapped value the rules see: its column, and its type."""

    column: Expr
    type: FieldType


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
            return _length(_text(value, context), value.type, o.min, o.max)
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
    if name is None or name not in values:
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
    ends: list[Expr] = []
    if low is not None:
        ends.append(exp.LT(this=value, expression=tree(low)))
    if high is not None:
        ends.append(exp.GT(this=value, expression=tree(high)))
    return either(*ends)


def _length(value: Expr, kind: FieldType, low: int | None, high: int | None) -> Expr:
    if kind is FieldType.TEXTS:
        return _outside(call("len", value), low, high)
    # The bytes are known and mostly settle it, for a character has one to four; characters must be counted.
    size = call("strlen", value)
    unsure: list[Expr] = [exp.LT(this=size, expression=tree(4 * low))] if low else []
    if high is not None:
        unsure.append(exp.GT(this=size.copy(), expression=tree(high)))
    outside = _outside(call("length", value.copy()), low, high)
    return exp.and_(either(*unsure), outside) if unsure else outside


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
        odd = keep(value.column, "entry", _odd(entry, one_of(entry, [str(w) for w in known]), wanted))
        return exp.GT(this=call("len", odd), expression=tree(0))
    if value.type in (FieldType.INTEGER, FieldType.DECIMAL):
        inside: Expr = exp.In(this=value.column, expressions=[_limit(w, value.type, context) for w in known])
        return _odd(value.column, inside, wanted)
    written = context.once(_text(value, context))
    inside = one_of(written, [w if isinstance(w, str) else _written(w) for w in known])
    return _odd(written, inside, wanted)


def _odd(value: Expr, inside: Expr, wanted: bool) -> Expr:
    """A value that is there, and is not within where that is wanted, or is where it is not."""
    return exp.and_(given(value), no(inside)) if wanted else inside


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_SIGNS: dict[str, type[exp.Expr]] = {
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
