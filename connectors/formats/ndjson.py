"""NDJSON: one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import orjson

from connectors.formats.json_lines import all_objects, depth, fields_of, reason, too_deep
from connectors.formats.limits import KEPT_OF_A_FAULT, NESTING, OBJECT_BYTES
from connectors.formats.lines import Block, Bytes, Lines, blocks, bom, fill, lines_of
from connectors.formats.numerals import marked
from engine.model import Shape
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
HEAD = 1 << 20
_SAMPLE = 2000


class Ndjson:
    """Rows of newline-delimited JSON."""

    name = "ndjson"
    title = "NDJSON (one JSON object a line)"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """NDJSON is several lines most of which are objects on their own."""
        objects, lines = sampled(stream)
        if not objects or (lines < 2 and not name.lower().endswith((".ndjson", ".jsonl"))):
            return None
        if len(objects) * 3 < lines and not _first_is_object(stream):
            return None
        return Shape(format=self.name, fields=fields_of(objects))

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every line that is not blank is a row or a fault."""
        head = fill(stream, 4)
        mark, _ = bom(head)
        for block in blocks(stream, "utf-8", chunk_bytes, carry=head[mark:], offset=mark):
            chunk = _read(block)
            if chunk.rows or chunk.faults:
                yield chunk


def _first_is_object(stream: BinaryIO) -> bool:
    stream.seek(0)
    head = fill(stream, HEAD)
    first = head[bom(head)[0] :].lstrip().partition(b"\n")[0]
    return not reason(first)


def sampled(stream: BinaryIO) -> tuple[list[dict[str, object]], int]:
    """The objects among the first whole lines, and how many lines were looked at."""
    head = fill(stream, HEAD)
    mark, _ = bom(head)
    lines = head[mark:].split(b"\n")
    if len(head) == HEAD:
        lines.pop()
    lines = [line for line in lines if line.strip()][:_SAMPLE]
    if not lines or not lines[0].lstrip().startswith(b"{"):
        return [], len(lines)
    objects = []
    for line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            objects.append(value)
    return objects, len(lines)


def _read(block: Block) -> Chunk:
    if block.huge:
        fault = Fault(
            block.first_line, bytes(block.data), f"longer than {OBJECT_BYTES:,} bytes; this is its beginning"
        )
        return Chunk("lines", b"", 0, block.first_line, faults=(fault,), end=block.offset + block.consumed)
    lines = lines_of(block.data)
    block.consumed, block.lines_used = len(block.data), len(lines)
    if _plausible(block.data, lines):
        return _chunk(block, lines, None, prove=lambda: _proven(block, lines))
    return _proven(block, lines)


def _plausible(data: Bytes, lines: Lines) -> bool:
    """Whether every line begins like an object, and none is one that the database must not see."""
    return (
        bool((np.frombuffer(data, np.uint8)[lines.starts] == 123).all())
        and not len(too_deep(data, lines))
        and int((lines.ends - lines.starts).max()) <= OBJECT_BYTES - 4096
        and not _lone_return(data)
    )


def _lone_return(data: Bytes) -> bool:
    return b"\r" in data and data.count(b"\r") != data.count(b"\r\n")


def _proven(block: Block, lines: Lines) -> Chunk:
    return _chunk(block, lines, _faults(block.data, lines))


def _chunk(
    block: Block, lines: Lines, faults: dict[int, str] | None, prove: Callable[[], Chunk] | None = None
) -> Chunk:
    if faults is None:
        rows, data = np.arange(len(lines)), block.data
    else:
        mask = np.ones(len(lines), bool)
        mask[list(faults)] = False
        rows = np.flatnonzero(mask)
        data = kept(block.data, lines, mask)
    broken = {n: why for n, why in (faults or {}).items() if why}
    longest = int((lines.nexts - lines.starts)[rows].max(initial=0))
    given, mark, longest = marked(data, longest)
    return Chunk(
        kind="lines",
        data=given,
        rows=len(rows),
        first_line=block.first_line + (int(rows[0]) if len(rows) else 0),
        lines=None
        if not len(rows) or int(rows[-1]) - int(rows[0]) == len(rows) - 1
        else rows + block.first_line,
        faults=tuple(
            Fault(block.first_line + n, _line(block.data, lines, n)[:KEPT_OF_A_FAULT], why)
            for n, why in broken.items()
        ),
        raw=_raw(block.data, lines, rows),
        end=block.offset + block.consumed,
        longest=longest,
        mark=mark,
        prove=prove,
    )


def _raw(data: Bytes, lines: Lines, rows: np.ndarray):  # type: ignore[no-untyped-def]
    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [_line(data, lines, int(rows[i])) for i in wanted]

    return raw


def _line(data: Bytes, lines: Lines, index: int) -> bytes:
    return bytes(data[int(lines.starts[index]) : int(lines.ends[index])])


def kept(data: Bytes, lines: Lines, mask: np.ndarray) -> bytes:
    """The lines under the mask, joined; CR, a blank to JSON, becomes LF."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    parts = [data[int(lines.starts[a]) : int(lines.nexts[b - 1])] for a, b in zip(begins, ends, strict=True)]
    joined = b"".join(part if part[-1:] in b"\r\n" else part + b"\n" for part in parts)
    return joined.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in joined else joined


def _faults(data: Bytes, lines: Lines) -> dict[int, str] | None:
    """None where every line is an object; else the lines to leave out: why, or "" for blank ones."""
    found: dict[int, str] = {}
    for line in too_deep(data, lines).tolist():
        if depth(_line(data, lines, line)) > NESTING:
            found[line] = f"nested more than {NESTING} levels deep"
    for line in np.flatnonzero(lines.ends - lines.starts > OBJECT_BYTES - 4096).tolist():
        found[line] = f"longer than {OBJECT_BYTES:,} bytes"
    if not found and not _lone_return(data) and all_objects(data, len(lines)):
        return None
    for line in range(len(lines)):
        text = _line(data, lines, line)
        if line in found:
            continue
        if not text.strip():
            found[line] = ""
        elif why := reason(text):
            found[line] = why
    return found
