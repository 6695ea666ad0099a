"""Proof that lines are JSON objects, one a line: DuckDB's own parser counts them, orjson finds the odd ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import duckdb
import numpy as np
import orjson

from connectors.formats.limits import FIELDS, NESTING, OBJECT_BYTES
from connectors.formats.lines import Bytes, Lines, places
from engine.model import SourceField

_LOCK = threading.Lock()


@contextmanager
def memory(data: Bytes | memoryview) -> Iterator[str]:
    """The bytes as a path DuckDB can open; nothing reaches a disk."""
    handle = os.memfd_create("spire-format", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:", config={"threads": 1, "memory_limit": "1GB", "autoinstall_known_extensions": "false"}
    )


def parser() -> duckdb.DuckDBPyConnection:
    """A cursor on an empty in-memory DuckDB, used as a parser only."""
    with _LOCK:
        return _engine().cursor()


def all_objects(data: Bytes | memoryview, count: int) -> bool:
    """Whether the data is exactly `count` lines, each one JSON object."""
    if not count:
        return True
    with memory(data) as path, parser() as connection:
        try:
            found = connection.execute(
                "SELECT count(*) FILTER (starts_with(json, '{')), count(*) "
                f"FROM read_ndjson_objects('{path}', maximum_object_size={OBJECT_BYTES})"
            ).fetchone()
        except duckdb.Error:
            return False
    return found == (count, count)


def reason(line: bytes) -> str:
    """Why the line is not one JSON object; "" where it is."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _second_opinion(line, f"not valid JSON: {error.msg} at byte {error.pos + 1}")
    return "" if isinstance(value, dict) else f"a JSON {_named(value)}, not an object"


def _second_opinion(line: bytes, said: str) -> str:
    """DuckDB takes a little more than the standard (a trailing comma, NaN); both paths must agree."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "not valid JSON: not UTF-8"
    if not text.lstrip().startswith("{"):
        return said
    with parser() as connection:
        row = connection.execute("SELECT json_valid(?)", [text]).fetchone()
    return "" if row and row[0] else said


def _named(value: object) -> str:
    if value is None:
        return "null"
    return {list: "list", str: "string", bool: "boolean"}.get(type(value), "number")


def too_deep(data: Bytes, lines: Lines) -> np.ndarray:
    """Indices of lines that may be nested too deeply: those with more opening brackets than the limit."""
    opens = places(data, *b"{[")
    if len(opens) <= NESTING:
        return np.zeros(0, np.int64)
    upto = np.searchsorted(opens, lines.nexts)
    return np.flatnonzero(np.diff(upto, prepend=0) > NESTING)


def depth(line: bytes) -> int:
    """How deeply brackets nest in the line, strings left out."""
    at = places(line, *b"{[}]")
    at = at[(np.searchsorted(unescaped_quotes(line), at) & 1) == 0]
    return int(np.cumsum(steps_of(line, at)).max(initial=0))


def steps_of(data: Bytes, brackets: np.ndarray) -> np.ndarray:
    """1 for each bracket that opens, -1 for each that closes."""
    return np.where(np.frombuffer(data, np.uint8)[brackets] | 32 == 123, 1, -1)


def unescaped_quotes(data: Bytes, begin: int = 0, escaped: bool = False) -> np.ndarray:
    """Positions of the quotes that open or close strings, from `begin` on.

    `escaped` says that a backslash stood right before.
    """
    quotes = places(data, 34, begin=begin)
    if escaped and len(quotes) and quotes[0] == begin:
        quotes = quotes[1:]
    if data.find(b"\\", begin) < 0:
        return quotes
    slashes = places(data, 92, begin=begin)
    cuts = np.flatnonzero(np.diff(slashes) != 1)
    first = slashes[np.concatenate([[0], cuts + 1])]
    last = slashes[np.concatenate([cuts, [len(slashes) - 1]])]
    odd = ((last - first) & 1) == 0
    if escaped and first[0] == begin:
        odd[0] = not odd[0]
    after = last[odd] + 1
    found = np.searchsorted(quotes, after)
    within = found < len(quotes)
    found, after = found[within], after[within]
    return np.delete(quotes, found[quotes[found] == after])


def ends_escaped(data: Bytes, begin: int, escaped: bool) -> bool:
    """Whether the byte after this data is escaped by a backslash at its end; `escaped`, whether that at `begin` is."""
    at = len(data)
    while at > begin and data[at - 1] == 92:
        at -= 1
    return (len(data) - at + (escaped and at == begin)) % 2 == 1


def fields_of(objects: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> tuple[SourceField, ...]:
    """The fields the objects offer, in order of appearance: top-level keys, and `a.b` one level down.

    `first` are names that are offered whether seen or not.
    """
    found: dict[str, SourceField] = {name: SourceField(name=name, path=(name,)) for name in first}
    for item in objects:
        for key, value in item.items():
            _offer(found, key[:200], (key,))
            if isinstance(value, dict):
                for inner in value:
                    _offer(found, f"{key}.{inner}"[:200], (key, inner))
        if len(found) >= FIELDS:
            break
    return tuple(found.values())[:FIELDS]


def _offer(found: dict[str, SourceField], name: str, path: tuple[str, ...]) -> None:
    if name.strip() and name != "_raw" and name not in found:
        found[name] = SourceField(name=name, path=path)
