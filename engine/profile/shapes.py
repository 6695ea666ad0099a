"""The shapes a value can have, as SQL: its mask, its date formats, its type at first sight."""

from __future__ import annotations

from engine import types

PLACEHOLDERS = ("-", "--", "n/a", "na", "null", "none", "nil", "unknown", "(none)", "\\n", "#n/a", "nan", "?")

# Formats in the order a reader would try them; d/m before m/d only because one must come first.
DATE_FORMATS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%m-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%m-%d-%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%y",
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M:%S",
    "%Y年%m月%d日",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y",
    "%d %b %Y %H:%M:%S",
    "%d %B %Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%B %d, %Y",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y %I:%M:%S %p",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S %Z %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S %Z",
    "%Y%m%dT%H%M%S",
    "%Y%m%dT%H%M%SZ",
)

# A value one of the formats above could read: a cheap gate before the costly strptime.
_DATE_LIKE = (
    r"[0-9]{1,4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,4}.*"
    r"|[0-9]{1,2}[- /][A-Za-z]{3,9}[- /,][0-9]{2,4}.*"
    r"|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2,8} [0-9]{1,2},? .*"
    r"|[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}.*"
    r"|[0-9]{8}T[0-9]{6}Z?"
)
_ISO = r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}(?:[T ][0-9]{1,2}:[0-9]{2}.*)?"

# Epochs between September 2001 and 2036: ten digits for seconds, thirteen for milliseconds.
EPOCHS = {"epoch": 10, "epoch_ms": 13}
_INTEGER = r"[+-]?[0-9]{1,18}"
_NUMBER = r"[+-]?(?:[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_MANGLED = r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}"
_TLP = r"tlp[:_ -]?(?:white|clear|green|amber(?:[+_ -]?strict)?|red)"
_BOOLEAN = ("true", "false", "yes", "no", "t", "f", "y", "n", "on", "off")

# Types of a number or a moment, from narrow to wide: what holds the first is also of the second.
WIDER = {"integer": "number", "date": "timestamp"}
PLAIN = ("integer", "number", "boolean", "date", "timestamp", "json", "tlp", "text", "mangled")


def literal(text: str) -> str:
    """The text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _whole(value: str, pattern: str) -> str:
    return f"regexp_full_match({value}, {literal(pattern)})"


def mask(value: str) -> str:
    """SQL: the pattern mask of a value's first 200 characters, runs collapsed.

    Upper case is A, lower case a, a digit 9, anything else itself; a run of five or more changes
    between them, as in a hash or a token, is x.
    """
    masked = f"left({value}, 200)"
    for pattern, letter in ((r"\p{Lu}+", "A"), (r"[\p{Ll}\p{Lo}]+", "a"), (r"[0-9]+", "9"), (r"\s+", " ")):
        masked = f"regexp_replace({masked}, {literal(pattern)}, {literal(letter)}, 'g')"
    return f"regexp_replace({masked}, '[Aa9]{{5,}}', 'x', 'g')"


def placeholder(value: str) -> str:
    """SQL: whether a trimmed value only says that there is none."""
    return f"(length({value}) < 8 AND lower({value}) IN ({', '.join(map(literal, PLACEHOLDERS))}))"


def is_iso(value: str) -> str:
    """SQL: whether a value is an ISO 8601 date or time (a slash between its numbers is allowed)."""
    cast = f"(TRY_CAST({value} AS TIMESTAMP) IS NOT NULL OR TRY_CAST({value} AS TIMESTAMPTZ) IS NOT NULL)"
    return f"CASE WHEN {_whole(value, _ISO)} THEN {cast} ELSE false END"


def reads_as(value: str, form: str) -> str:
    """SQL: whether a value can be read in one date format."""
    if form == "iso":
        return is_iso(value)
    if form in EPOCHS:
        zeros = EPOCHS[form] - 10
        low, high = "1000000000", "2099999999"
        return (
            f"({_whole(value, f'[0-9]{{{EPOCHS[form]}}}')} "
            f"AND {value} BETWEEN '{low}{'0' * zeros}' AND '{high}{'9' * zeros}')"
        )
    if form == "%Y%m%d":
        gate = _whole(value, "(?:19|20)[0-9]{6}")
    else:
        gate = _whole(value, _DATE_LIKE)
    return f"CASE WHEN {gate} THEN try_strptime({value}, {literal(form)}) IS NOT NULL ELSE false END"


def is_date_like(value: str) -> str:
    """SQL: whether some known format, ISO included, reads the value as a date or time."""
    formats = ", ".join(map(literal, DATE_FORMATS))
    by_format = f"CASE WHEN {_whole(value, _DATE_LIKE)} THEN try_strptime({value}, [{formats}]) IS NOT NULL ELSE false END"
    return f"({is_iso(value)} OR {by_format})"


def is_type(value: str, name: str) -> str:
    """SQL: whether a trimmed value is of a type of `Column.type` (dates apart: see `reads_as`)."""
    match name:
        case "integer":
            return _whole(value, _INTEGER)
        case "number":
            return _whole(value, _NUMBER)
        case "boolean":
            return f"(length({value}) < 6 AND lower({value}) IN ({', '.join(map(literal, _BOOLEAN))}))"
        case "date" | "timestamp":
            return is_date_like(value)
        case "json":
            return f"CASE WHEN left({value}, 1) IN ('{{', '[') THEN json_valid({value}) ELSE false END"
        case "tlp":
            return _whole(f"lower({value})", _TLP)
        case "mangled":
            return _whole(value, _MANGLED)
        case "text":
            return "true"
        case "indicator":
            return f"{types.recognise(value)} IS NOT NULL"
        case _:
            return f"{types.KINDS[name].canonical(value)} IS NOT NULL"


def shape(value: str) -> str:
    """SQL: the narrowest type a trimmed value has at first sight, `text` where it has none."""
    order = ("integer", "mangled", "number", "boolean", "json", "tlp")
    tests = " ".join(f"WHEN {is_type(value, name)} THEN '{name}'" for name in order)
    day = f"CASE WHEN length({value}) <= 11 AND instr({value}, ':') = 0 THEN 'date' ELSE 'timestamp' END"
    return (
        f"CASE {tests} WHEN {is_date_like(value)} THEN {day} "
        f"ELSE coalesce({types.recognise(value)}, 'text') END"
    )
