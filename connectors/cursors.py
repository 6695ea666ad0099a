"""Cursors in words, and whether a source could have given one: read from their parts, as no two kinds are alike.

A connector that knows better says so itself, by `cursor_told(config, cursor)` and `cursor_doubt(config, cursor)` beside
its `read`.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors import CONNECTORS, lateness
from connectors.moments import moment_of
from engine.model import Source
from engine.ports import Cursor

NOTHING_READ = "Nothing has been read yet: the next run begins at the beginning."
_NAMED = 5
# A cursor with one of these is no value that another read could begin a little before.
_ENTIRE = {"token", "key", "complete"}
_LONG = 60
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d|[+-]\d\d)?)?")
# The parts that every cursor of a connector has, and of what kind; what else it holds may be there.
_FORMS: dict[str, dict[str, str]] = {
    "taxii": {"collections": "times by name"},
    "postgres": {"column": "text", "value": "text"},
    "mysql": {"column": "text", "value": "text"},
    "folder": {"files": "entries by name"},
    "misp_feed": {"known": "marks"},
    "paste": {"sha256": "text"},
    "misp": {"at": "number"},
}
Judge = Callable[[Any, Cursor], str]


def told(source: Source, cursor: Cursor | None) -> str:
    """Where a source stands, in a sentence or two."""
    if cursor is None:
        return NOTHING_READ
    own = _own(source, "cursor_told")
    if own is not None:
        return own(_config(source), cursor)
    said = [*_by_name(source, cursor), *_others(cursor)]
    if not said:
        return "This source gives no position: each run asks for everything."
    overlap = _overlap(source)
    if overlap and not _ENTIRE & set(cursor):
        ordered = next(
            (cursor["value"] for name in ("column", "field") if name in cursor and "value" in cursor), None
        )
        unit = "" if ordered is not None and time_of(str(ordered)) is None else " seconds"
        said.append(f"the next run reads the {overlap:g}{unit} before it again")
        said += lateness.told(cursor, overlap)
    return f"{_capital('; '.join(said))}."


def _overlap(source: Source) -> float:
    """How far before its cursor a source reads again, as it is set or by default; 0 where it does not."""
    connector = CONNECTORS.get(source.connector)
    field = connector.config.model_fields.get("overlap") if connector else None
    given = source.config.get("overlap", field.default if field else None)
    return float(given) if isinstance(given, int | float) else 0.0


def doubt(source: Source, cursor: Cursor, before: Sequence[Cursor] = ()) -> str:
    """Why this source can't have given the cursor, "" where it can. `before` are those it did give, the last first."""
    own = _own(source, "cursor_doubt")
    if own is not None and (why := own(_config(source), cursor)):
        return why
    why = _misshapen(source, cursor) or _elsewhere(source, cursor)
    if why:
        return why
    if not before:
        known = source.connector in _FORMS or own is not None or not cursor
        return "" if known else "this source has given no cursor yet that it could be compared with"
    differing = [_unlike(cursor, given) for given in before]
    return "" if "" in differing else differing[0]


# ── words ────────────────────────────────────────────────────────────────────────────────────────────


def _by_name(source: Source, cursor: Cursor) -> list[str]:
    """What is known of parts by their names."""
    said = []
    collections = cursor.get("collections")
    if isinstance(collections, dict):
        each = [
            f"collection {_short(name)} up to {moment(at)}" for name, at in list(collections.items())[:_NAMED]
        ]
        more = len(collections) - _NAMED
        said.append(
            "everything added to the server before: "
            + ", ".join(each)
            + (f", and {more:,} more" if more > 0 else "")
        )
    if cursor.get("complete"):
        said.append("all of it; the next run reads all of it again")
    elif "key" in cursor:
        said.append(f"of a read of all of it everything up to {cursor['key']} {moment(cursor.get('value'))}")
    for name in ("column", "field"):
        if name in cursor and "value" in cursor:
            said.append(f"everything whose {cursor[name]} is {moment(cursor['value'])} or less")
    files = cursor.get("files")
    if isinstance(files, int):
        last = f", the last one {cursor['last']}" if cursor.get("last") else ""
        said.append(f"{files:,} file{'s' if files != 1 else ''} read, each as it was then{last}")
    elif isinstance(files, dict):
        newest = max(files.items(), key=lambda item: _changed(item[1]), default=None)
        count = f"{len(files):,} file{'s' if len(files) != 1 else ''} read"
        said.append(count + (f", the newest {newest[0]}" if newest else ""))
    elif isinstance(cursor.get("known"), str):
        number = _marks(cursor["known"])
        one, many = ("entry", "entries") if source.connector == "url" else ("event", "events")
        said.append(f"{number:,} {one if number == 1 else many} read, each as it was then")
    waiting = cursor.get("waiting")
    if isinstance(waiting, dict):
        number = sum(_marks(each) for each in waiting.values())
        said.append(f"{number:,} page{'s' if number != 1 else ''} still to be fetched")
    if "since" in cursor:
        said.append(f"everything up to {moment(cursor['since'])}")
    if "at" in cursor:
        said.append(f"everything up to {moment(cursor['at'])}")
    if "modified" in cursor:
        told_as = "the file as it was on" if source.connector == "url" else "everything changed up to"
        said.append(f"{told_as} {moment(cursor['modified'])}")
    if "through" in cursor:
        said.append(f"all days up to {moment(cursor['through'])}")
    if "token" in cursor:
        said.append("all changes up to a place in their stream that only the server can read")
    if cursor.get("anew"):
        said.append("everything is read anew before changes are followed")
    if "etag" in cursor:
        said.append(f"the file the server calls {_short(cursor['etag'])}")
    if "sha256" in cursor:
        said.append(f"the text whose SHA-256 begins with {str(cursor['sha256'])[:12]}")
    return said


_KNOWN = {
    "collections", "column", "field", "value", "files", "last", "known", "since", "at", "etag", "sha256", "modified",
    "through", "token", "anew", "key", "complete", "window", "late", "waiting", "asked",
}  # fmt: skip


def _marks(text: object) -> int:
    """How many marks a part of a cursor holds."""
    return len(str(text)) * 3 // 32


def _others(cursor: Cursor) -> list[str]:
    """Parts that nobody has words for: name and value, long ones by their length."""
    return [
        f"{name.replace('_', ' ')} {_part(value)}" for name, value in cursor.items() if name not in _KNOWN
    ]


def _part(value: object) -> str:
    if isinstance(value, dict):
        return f"with {len(value):,} entries" if len(value) > _NAMED else ", ".join(
            f"{name} {_part(each)}" for name, each in value.items()
        )  # fmt: skip
    if isinstance(value, list):
        return f"with {len(value):,} entries"
    return moment(value)


def moment(value: object) -> str:
    """A value as a person reads it: a time in UTC, a long mark by its length."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 10**9 <= value < 4 * 10**9:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    text = str(value)
    found = time_of(text)
    if found is not None:
        if len(text) == 10:
            return text
        fraction = f".{found:%f}".rstrip("0") if found.microsecond else ""
        return f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S}{fraction} UTC"
    return _short(text)


def time_of(text: str) -> datetime | None:
    """The moment a text names, None where it names none. Without a zone it is taken for UTC."""
    inner = re.search(r'"\$date":\s*(?:"([^"]+)"|\{"\$numberLong":\s*"(-?\d+)"\})', text)
    if inner and inner[2]:
        return datetime.fromtimestamp(int(inner[2]) / 1000, UTC)
    text = inner[1] if inner else text.strip().strip('"')
    if not _TIME.fullmatch(text):
        return None
    return moment_of(text)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONG else f"{text[:20]}… ({len(text):,} characters)"


def _changed(entry: object) -> float:
    if isinstance(entry, list) and len(entry) > 1 and isinstance(entry[1], int | float):
        return float(entry[1])
    return 0.0


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ── doubts ───────────────────────────────────────────────────────────────────────────────────────────


def _misshapen(source: Source, cursor: Cursor) -> str:
    """What is wrong with the parts that all cursors of this connector have."""
    if "key" in cursor and not source.config.get("cursor"):
        return ""  # a table that is read whole, by its key
    if source.connector == "url" and (why := _of_a_feed(cursor)):
        return why
    for name, kind in _FORMS.get(source.connector, {}).items():
        if name not in cursor:
            return f"it lacks {name}"
        if why := _wrong(cursor[name], kind):
            return f"{name} {why}"
    return ""


def _of_a_feed(cursor: Cursor) -> str:
    """What is wrong with what it says of entries that were read, and of pages that were not."""
    waiting = cursor.get("waiting", {})
    if not isinstance(waiting, dict) or not all(str(tries).isdigit() for tries in waiting):
        return "waiting does not say how often each was asked for"
    parts = {"known": cursor["known"]} if "known" in cursor else {}
    wrong = ((name, _wrong(value, "marks")) for name, value in [*parts.items(), *waiting.items()])
    return next((f"{name} {why}" for name, why in wrong if why), "")


def _wrong(value: object, kind: str) -> str:
    if kind == "text":
        return "" if isinstance(value, str) and value else "is no text"
    if kind == "number":
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "is no number"
    if kind == "marks":
        try:
            whole = isinstance(value, str) and len(base64.b64decode(value, validate=True)) % 8 == 0
        except (binascii.Error, ValueError):
            whole = False
        return "" if whole else "is no list of marks"
    if not isinstance(value, dict):
        return "does not name its entries"
    if kind == "times by name":
        odd = next(
            (name for name, at in value.items() if not isinstance(at, str) or time_of(at) is None), None
        )
        return f"holds for {odd} what is no time" if odd is not None else ""
    odd = next((name for name, entry in value.items() if not isinstance(entry, list)), None)
    return f"holds for {odd} what is no entry" if odd is not None else ""


def _elsewhere(source: Source, cursor: Cursor) -> str:
    """Where a part belongs to another configuration than the source has now."""
    wanted = source.config.get("cursor")
    for name in ("column", "field"):
        if name in cursor and wanted and cursor[name] != wanted:
            return f"the source is read by {wanted}, not by {cursor[name]}"
    return ""


def _unlike(cursor: Cursor, before: Cursor) -> str:
    """Where it is of another form than the last one the source gave."""
    missing = sorted(set(before) - set(cursor))
    if missing:
        return f"it lacks {', '.join(missing)}, which the source gives"
    unknown = sorted(set(cursor) - set(before))
    if unknown:
        return f"the source does not give {', '.join(unknown)}"
    for name, value in cursor.items():
        then = before[name]
        if type(value) is not type(then) and not (_number(value) and _number(then)):
            return f"{name} is of another type than the source gives"
        if (
            isinstance(value, str)
            and isinstance(then, str)
            and (time_of(then) is None) != (time_of(value) is None)
        ):
            return f"{name} is {'no time, as the source gives' if time_of(then) else 'a time, which the source does not give'}"
        if isinstance(value, str) and isinstance(then, str) and _is_number(then) and not _is_number(value):
            return f"{name} is no number, as the source gives"
    return ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None


def _own(source: Source, name: str) -> Judge | None:
    connector = CONNECTORS.get(source.connector)
    if connector is None:
        return None
    found: Judge | None = getattr(sys.modules[connector.config.__module__], name, None)
    return found


def _config(source: Source) -> Any:
    return CONNECTORS[source.connector].config.model_validate(source.config)
