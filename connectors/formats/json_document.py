"""JSON documents: a list of objects wherever it stands, objects one after the other, or a single one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson

from connectors.formats.elements import Batch, Path, as_lines, batches
from connectors.formats.json_lines import all_objects, fields_of, parser, reason
from connectors.formats.limits import KEPT_OF_A_FAULT, NESTING, OBJECT_BYTES
from connectors.formats.lines import Bytes, bom, fill, lines_of
from connectors.formats.ndjson import kept
from connectors.formats.numerals import marked
from engine.model import Shape
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
HEAD = 1 << 22
_SAMPLE = 500
_LOOKS_LIKE_JSON = re.compile(rb'\s*(\{\s*"[^"]*"\s*:|\[\s*[\[{]\s*["\[{])')


class JsonDocument:
    """Rows of a JSON document, its record path found or given in `options["record_path"]`.

    The path is a list of keys, or a dotted string; an empty list is a document that is itself a list,
    None a document (or several in a row) that is one row.
    """

    name = "json"
    title = "JSON"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """JSON begins with a bracket and holds an object or a list of them."""
        head = fill(stream, HEAD)
        start = head[bom(head)[0] :].lstrip()[:1]
        if start not in (b"{", b"["):
            return None
        path = record_path(head)
        objects = sampled(stream, path)
        if not objects and not _LOOKS_LIKE_JSON.match(head[bom(head)[0] :][:4096]):
            return None
        options: dict[str, Any] = {"record_path": None if path is None else list(path)}
        return Shape(
            format=self.name, fields=fields_of(objects), options=options, notes=_notes(path, bool(objects))
        )

    def refit(self, stream: BinaryIO, shape: Shape) -> Shape:
        """The fields at the record path a person chose."""
        path = path_of(shape)
        objects = sampled(stream, path)
        return shape.model_copy(update={"fields": fields_of(objects), "notes": _notes(path, bool(objects))})

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every element of the list is a row or a fault, counted in order."""
        yield from chunks(stream, path_of(shape), chunk_bytes, int(shape.options.get("nesting", NESTING)))


def _notes(path: Path | None, some: bool) -> tuple[str, ...]:
    where = (f"the records stand at {'.'.join(path)}; what stands beside is not read",) if path else ()
    return where if some else (*where, "no whole object stands near its beginning")


def path_of(shape: Shape) -> Path | None:
    """The record path in the shape's options."""
    path = shape.options.get("record_path")
    if path is None:
        return None
    return tuple(path.split(".")) if isinstance(path, str) and path else tuple(path)


def chunks(stream: BinaryIO, path: Path | None, size: int, nesting: int = NESTING) -> Iterator[Chunk]:
    """The elements at a path as chunks of one object a line."""
    passed = 0
    for batch in batches(stream, path, size, nesting):
        yield _chunk(batch, passed)
        passed += len(batch.starts) + len(batch.pieces)


def sampled(stream: BinaryIO, path: Path | None, limit: int = _SAMPLE) -> list[dict[str, Any]]:
    """The first whole objects at a path, from the beginning of the stream only."""
    stream.seek(0)
    found: list[dict[str, Any]] = []
    for looked, batch in enumerate(batches(stream, path, 1 << 20)):
        for index in range(min(limit, len(batch.starts))):
            value = loads(batch.element(index))
            if isinstance(value, dict):
                found.append(value)
        if len(found) >= limit or looked >= 15:
            break
    return found[:limit]


def loads(text: bytes) -> Any:
    """The value of a JSON text; where only a trailing comma or the like is wrong DuckDB mends it; else None."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        with parser() as connection:
            row = connection.execute(
                "SELECT CASE WHEN json_valid($1) THEN json($1) END", [text.decode()]
            ).fetchone()
        return orjson.loads(row[0]) if row and row[0] else None
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return None


def record_path(head: bytes) -> Path | None:
    """Where most objects stand in a list, seen from the beginning of a document."""
    text = head[bom(head)[0] :].lstrip()
    if text[:1] == b"[":
        return ()
    value = loads(text)
    if isinstance(value, dict):
        lists = dict(_lists(value, ()))
        return max(lists, key=lambda path: lists[path]) if lists else None
    return _open_list(text)


def _lists(value: dict[str, Any], path: Path) -> Iterator[tuple[Path, int]]:
    for key, inner in value.items():
        if isinstance(inner, list) and sum(isinstance(item, dict) for item in inner) > len(inner) / 2:
            yield (*path, key), len(inner)
        elif isinstance(inner, dict) and len(path) < 4:
            yield from _lists(inner, (*path, key))


def _open_list(text: bytes) -> Path | None:
    """The outermost list still open, or else the longest, where the document is too long to be seen whole."""
    from connectors.formats.skeleton import lists

    seen = lists(text)
    return max(seen, key=lambda path: seen[path], default=None)


def _chunk(batch: Batch, passed: int) -> Chunk:
    data, bad = as_lines(batch), dict(batch.bad)
    for index in np.flatnonzero(batch.stops - batch.starts > OBJECT_BYTES - 4096).tolist():
        bad[index] = f"longer than {OBJECT_BYTES:,} bytes"
    if not bad and (np.frombuffer(batch.data, np.uint8)[batch.starts] == 123).all():
        return _laid_out(batch, passed, data, bad, prove=lambda: _proven(batch, passed, data, bad))
    return _proven(batch, passed, data, bad)


def _proven(batch: Batch, passed: int, data: Bytes | memoryview, bad: dict[int, str]) -> Chunk:
    if not bad and all_objects(data, len(batch.starts)):
        return _laid_out(batch, passed, data, bad)
    for index in range(len(batch.starts)):
        if index not in bad and (why := reason(batch.element(index))):
            bad[index] = why
    return _laid_out(batch, passed, data, bad)


def _laid_out(
    batch: Batch,
    passed: int,
    data: Bytes | memoryview,
    bad: dict[int, str],
    prove: Callable[[], Chunk] | None = None,
) -> Chunk:
    """The batch as a chunk: `data` has its elements one a line, of which the `bad` ones are faults."""
    count = len(batch.starts)
    mask = np.ones(count, bool)
    mask[list(bad)] = False
    before = np.array([piece.before for piece in batch.pieces], np.int64)
    place = np.arange(count) + np.searchsorted(np.sort(before), np.arange(count), "right") + passed + 1
    faults = [Fault(int(place[i]), batch.element(i)[:KEPT_OF_A_FAULT], why) for i, why in bad.items()]
    ordered = sorted(batch.pieces, key=lambda piece: piece.before)
    faults += [Fault(p.before + n + passed + 1, p.data, p.reason) for n, p in enumerate(ordered)]
    rows = np.flatnonzero(mask)
    places = place[rows]

    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [batch.element(int(rows[i])) for i in wanted]

    if bad:
        text = bytes(data)
        data = kept(text, lines_of(text), mask)
    longest = int((batch.stops - batch.starts)[rows].max(initial=0)) + 1
    data, mark, longest = marked(data, longest)
    straight = not len(rows) or int(places[-1]) - int(places[0]) == len(rows) - 1
    return Chunk(
        kind="lines",
        data=data,
        rows=len(rows),
        first_line=int(places[0]) if len(rows) else passed + 1,
        lines=None if straight else places,
        faults=tuple(sorted(faults, key=lambda fault: fault.line)),
        raw=raw,
        end=batch.end,
        longest=longest,
        mark=mark,
        prove=prove,
    )
