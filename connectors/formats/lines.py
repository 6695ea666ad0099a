"""Physical lines: where they start and end in a block of bytes, whatever the encoding.

A line ends at LF, CR LF or a lone CR. In UTF-16 and UTF-32 the same holds for their wider units, so
a line's bytes are always a plain slice of the source.
"""

from __future__ import annotations

import codecs
import ctypes
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

Bytes = bytes | bytearray
LINE_LIMIT = 1_900_000  # DuckDB refuses CSV lines over 2,000,000 bytes
KEPT_OF_A_HUGE_LINE = 1 << 16
_RUNAWAY = 1 << 24
_PIECE = 1 << 18
_CROWDED = 1 << 20  # each line costs its reader some hundred bytes, so lines are bounded like bytes are
_BYTES: np.dtype[np.unsignedinteger] = np.dtype("u1")

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def bom(head: bytes) -> tuple[int, str]:
    """Length of the byte order mark at the start of `head` and the encoding it names, or (0, "")."""
    return next(((len(mark), name) for mark, name in BOMS if head.startswith(mark)), (0, ""))


def plain(encoding: str) -> str:
    """The encoding's canonical name; ASCII is read as UTF-8, which contains it."""
    name = codecs.lookup(encoding or "utf-8").name
    return "utf-8" if name in ("utf-8", "ascii", "utf-8-sig") else name


def unit(encoding: str) -> np.dtype[np.unsignedinteger]:
    """The width and byte order in which line ends stand in this encoding."""
    wide = {"utf-16-le": "<u2", "utf-16-be": ">u2", "utf-32-le": "<u4", "utf-32-be": ">u4"}
    return np.dtype(wide.get(encoding, "u1"))


def fill(stream: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes, fewer only at the end of the stream."""
    data = stream.read(size)
    if len(data) == size or not data:
        return data
    parts, got = [data], len(data)
    while got < size and (data := stream.read(size - got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def holds(data: Bytes | memoryview, what: bytes) -> bool:
    """Whether these bytes stand anywhere in the data. The C library looks four times as fast as Python does."""
    if not len(data) or _MEMMEM is None:
        return what in bytes(data)
    units = np.frombuffer(data, np.uint8)
    return _MEMMEM(units.ctypes.data, len(units), what, len(what)) is not None


def _memmem() -> Callable[[int, int, bytes, int], int | None] | None:
    function = getattr(ctypes.CDLL(None), "memmem", None) if os.name == "posix" else None
    if function is not None:
        function.restype = ctypes.c_void_p
        function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return function


_MEMMEM = _memmem()


def filled(stream: BinaryIO, carry: bytes, size: int) -> bytearray:
    """`carry` and then exactly `size` bytes of the stream, fewer only at its end; no byte is copied twice."""
    data = bytearray(len(carry) + size)
    data[: len(carry)] = carry
    got = len(carry)
    with memoryview(data) as view:
        while got < len(data) and (more := cast(io.BufferedIOBase, stream).readinto(view[got:])):
            got += more
    del data[got:]
    return data


def places(data: Bytes, *values: int, begin: int = 0) -> np.ndarray:
    """Where any of these byte values stands in the data from `begin` on, in order.

    It is looked at piece by piece: what is compared then stays in the processor's cache.
    """
    units = np.frombuffer(data, np.uint8)
    narrow = np.int32 if len(units) < 1 << 31 else np.int64
    found = [np.zeros(0, narrow)]
    for at in range(begin, len(units), _PIECE):
        piece = units[at : at + _PIECE]
        marks = piece == values[0]
        for value in values[1:]:
            marks |= piece == value
        found.append((np.flatnonzero(marks) + at).astype(narrow))
    return np.concatenate(found)


@dataclass(frozen=True)
class Lines:
    """Byte offsets of each line's start, of the end of its text, and of the next line's start."""

    starts: np.ndarray
    ends: np.ndarray
    nexts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


def lines_of(data: Bytes, kind: np.dtype[np.unsignedinteger] = _BYTES) -> Lines:
    """All lines of a block; text after the last line end is a line too."""
    width = kind.itemsize
    whole = len(data) // width * width
    units = np.frombuffer(data, kind, count=whole // width)
    stops = places(data, 10) if width == 1 else np.flatnonzero(units == 10)
    if len(data) and (width > 1 or b"\r" in data):
        returns = places(data, 13) if width == 1 else np.flatnonzero(units == 13)
        lone = returns[(returns + 1 == len(units)) | (units[np.minimum(returns + 1, len(units) - 1)] != 10)]
        if len(lone):
            stops = np.sort(np.concatenate([stops, lone]))
        ends = stops - ((units[stops] == 10) & (stops > 0) & (units[np.maximum(stops - 1, 0)] == 13))
    else:
        ends = stops
    nexts = stops + 1
    starts = np.concatenate([[0], nexts[:-1]]) if len(nexts) else nexts
    last = int(nexts[-1]) if len(nexts) else 0
    starts, ends, nexts = starts * width, ends * width, nexts * width
    if last * width < len(data):
        starts = np.append(starts, last * width)
        ends = np.append(ends, len(data))
        nexts = np.append(nexts, len(data))
    return Lines(starts.astype(np.int64), ends.astype(np.int64), nexts.astype(np.int64))


def cut(data: Bytes, width: int = 1, encoding: str = "utf-8") -> int:
    """Where the last whole line of a block ends, 0 if it holds none.

    A CR at the very end may be half of a CR LF, so it does not count.
    """
    for mark in ("\n", "\r"):
        needle = mark.encode(encoding) if width > 1 else mark.encode()
        at = data.rfind(needle, 0, len(data) - (width if mark == "\r" else 0))
        while at > 0 and at % width:
            at = data.rfind(needle, 0, at + len(needle) - 1)
        if at >= 0:
            return at + len(needle)
    return 0


@dataclass
class Block:
    """Whole lines of a source. `offset` and `first_line` say where they stand in it.

    `huge` is set instead of lines for one line too long to hold: `data` is its beginning.
    """

    data: Bytes
    offset: int
    first_line: int
    last: bool
    huge: bool = False
    consumed: int = -1  # the reader sets how many bytes it used; the rest comes again with the next block
    lines_used: int = 0


def blocks(
    stream: BinaryIO, encoding: str, size: int, carry: bytes = b"", offset: int = 0
) -> Iterator[Block]:
    """What is left of the stream as blocks of whole lines, about `size` bytes each.

    `carry` was read from it already; `offset` is where that stands. A block of very many short lines
    is cut shorter.

    After each block the reader must have set `consumed` and `lines_used`, so that a row that runs on
    past the block can be seen whole in the next one.
    """
    width = unit(encoding).itemsize
    ended, want, first_line, most = False, size, 1, _CROWDED
    while True:
        asked = max(want - len(carry), size // 4 if len(carry) < size else 0)
        data = bytearray(carry) if ended else filled(stream, carry, asked)
        ended = ended or len(data) < len(carry) + asked
        if not data:
            return
        stop = len(data) if ended else cut(data, width, encoding)
        if not stop:
            carry = bytes(data)
            if len(carry) < _RUNAWAY:
                want = len(carry) * 2
                continue
            start = carry[:KEPT_OF_A_HUGE_LINE]
            skipped, carry = _skip_line(stream, carry, width, encoding)
            yield Block(start, offset, first_line, False, huge=True, consumed=skipped, lines_used=1)
            offset, first_line, want = offset + skipped, first_line + 1, size
            continue
        uncrowded = _uncrowded(data, stop, most, width, encoding)
        stop, last = uncrowded or stop, ended and not uncrowded
        rest = bytes(memoryview(data)[stop:])
        del data[stop:]
        block = Block(data, offset, first_line, last)
        yield block
        carry = bytes(memoryview(data)[block.consumed :]) + rest
        if block.consumed == 0 and not last:
            want, most = max(len(carry) * 2, want), most * 2
            continue
        want, most = size, _CROWDED
        offset += block.consumed
        first_line += block.lines_used
        if ended and not carry:
            return


def _uncrowded(data: Bytes, stop: int, most: int, width: int, encoding: str) -> int:
    """Where to cut a block that holds many more lines than `most`, 0 where it does not."""
    units, lines, step = np.frombuffer(data, np.uint8), 0, 1 << 20
    for at in range(step, stop, step):
        piece = units[at - step : at]
        lines += int(max(np.count_nonzero(piece == 10), np.count_nonzero(piece == 13)))
        if lines > most:
            return cut(data[:at], width, encoding)
    return 0


def _skip_line(stream: BinaryIO, data: bytes, width: int, encoding: str) -> tuple[int, bytes]:
    """Read on to the end of a line too long to hold: (its length, what was read after it)."""
    length = 0
    while data:
        stop = cut_first(data, width, encoding)
        if stop:
            return length + stop, data[stop:]
        keep = 2 * width  # a line end may straddle two reads
        length += len(data) - keep
        fresh = fill(stream, 1 << 22)
        if not fresh:
            return length + keep, b""
        data = data[-keep:] + fresh
    return length, b""


def cut_first(data: Bytes, width: int, encoding: str) -> int:
    """Where the first line of a block ends, 0 if it does not."""
    table = lines_of(data, unit(encoding))
    if not len(table) or int(table.nexts[0]) >= len(data):
        return 0
    return int(table.nexts[0])
