"""How text becomes a typed value, and back, without losing a digit in silence."""

from __future__ import annotations

from sqlglot import exp

from engine.model import FieldType
from engine.steps.catalogue import Context
from engine.steps.dates import moment, utc
from engine.steps.lists import as_texts
from engine.steps.numbers import exact, whole
from engine.steps.tree import Expr, call, cast, choose

DUCKDB: dict[FieldType, str] = {
    FieldType.TEXT: "VARCHAR",
    FieldType.INTEGER: "BIGINT",
    FieldType.DECIMAL: "DECIMAL(38,9)",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.TIMESTAMP: "TIMESTAMP",
    FieldType.DATE: "DATE",
    FieldType.JSON: "JSON",
    FieldType.TEXTS: "VARCHAR[]",
}

WORDS: dict[FieldType, str] = {
    FieldType.TEXT: "text",
    FieldType.INTEGER: "a whole number",
    FieldType.DECIMAL: "a number",
    FieldType.BOOLEAN: "yes or no",
    FieldType.TIMESTAMP: "a date and time",
    FieldType.DATE: "a date",
    FieldType.JSON: "valid JSON",
    FieldType.TEXTS: "a list",
}


def convert(value: Expr, have: FieldType, want: FieldType, context: Context) -> tuple[Expr, bool]:
    """The value as `want`, and whether it can get lost on the way (so that a check must stand by)."""
    if have is want:
        return value, False
    if want is FieldType.TEXT:
        return to_text(value, have, context), False
    if have is FieldType.TEXT:
        return from_text(value, want, context), True
    if (have, want) == (FieldType.INTEGER, FieldType.DECIMAL):
        return cast(value, "DECIMAL(38, 9)"), False
    if (have, want) == (FieldType.DATE, FieldType.TIMESTAMP):
        return cast(value, "TIMESTAMP"), False
    if (have, want) == (FieldType.TIMESTAMP, FieldType.DATE):
        return cast(value, "DATE"), False
    if (have, want) == (FieldType.DECIMAL, FieldType.INTEGER):
        value = context.once(value)
        return choose((exp.EQ(this=value, expression=call("trunc", value)), cast(value, "BIGINT"))), True
    if want is FieldType.JSON:
        return call("to_json", value), False
    return from_text(to_text(value, have, context), want, context), True


def to_text(value: Expr, have: FieldType, context: Context) -> Expr:
    """The value as people and feeds write it: ISO dates in UTC, numbers without idle zeros, lists as JSON."""
    match have:
        case FieldType.TEXTS:
            return cast(call("to_json", value), "VARCHAR")
        case FieldType.TIMESTAMP:
            shown = call("replace", cast(value, "VARCHAR"), " ", "T")
            return exp.DPipe(this=shown, expression=exp.Literal.string("Z"))
        case FieldType.DECIMAL:
            return call("rtrim", call("rtrim", cast(value, "VARCHAR"), "0"), ".")
        case _:
            return cast(value, "VARCHAR")


def from_text(value: Expr, want: FieldType, context: Context) -> Expr:
    """Text as a typed value, NULL where it is none; blank text is no value."""
    match want:
        case FieldType.INTEGER:
            return whole(value, context)
        case FieldType.DECIMAL:
            return exact(value, context)
        case FieldType.BOOLEAN:
            return cast(call("trim", value), "BOOLEAN")
        case FieldType.TIMESTAMP:
            return moment(value, context)
        case FieldType.DATE:
            value = context.once(value)
            plain = call("regexp_full_match", value, r"\d{4}-\d{2}-\d{2}")
            return choose((plain, cast(value, "DATE")), otherwise=cast(moment(value, context), "DATE"))
        case FieldType.JSON:
            return cast(value, "JSON")
        case FieldType.TEXTS:
            return as_texts(value, context)
        case _:
            return value


def native(duckdb_type: str, value: Expr) -> tuple[Expr, FieldType]:
    """The result of a user's expression, of whatever DuckDB type, as one of our types."""
    name = duckdb_type.split("(", maxsplit=1)[0] if not duckdb_type.endswith("[]") else "[]"
    if name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return cast(value, "BIGINT"), FieldType.INTEGER
    if name in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
        return cast(value, "TIMESTAMP"), FieldType.TIMESTAMP
    if name == "TIMESTAMP WITH TIME ZONE":
        return utc(value), FieldType.TIMESTAMP
    if name == "[]":
        return cast(value, "VARCHAR[]"), FieldType.TEXTS
    if name in ("STRUCT", "MAP"):
        return call("to_json", value), FieldType.JSON
    plain = {
        "BOOLEAN": FieldType.BOOLEAN,
        "DATE": FieldType.DATE,
        "JSON": FieldType.JSON,
        "VARCHAR": FieldType.TEXT,
    }
    if name in plain:
        return value, plain[name]
    return cast(value, "VARCHAR"), FieldType.TEXT
