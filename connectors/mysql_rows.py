"""The rows of a MySQL answer as lines of CSV, taken off the wire thousands at a time.

The driver signs in, asks, and learns what the columns are. Rows it would take apart value by value; here a block of
them is taken apart column by column, over all its rows at once. In the text protocol a packet is its length in three
bytes, its number in one, and a row; in a row each value is led by its length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pymysql
from numpy.typing import NDArray
from pymysql.constants import CR
from pymysql.cursors import SSCursor
from pymysql.err import raise_mysql_exception
from pymysql.protocol import MysqlPacket

from connectors.database import Broke
from connectors.pieces import stream_of

_BLOCK = 1 << 18
_HEADER = struct.Struct("<I")
_HEAD = _HEADER.size
# A packet of this size goes on in the next one; a row of more than the other is taken apart by itself.
_FULL, _LONG = 0xFFFFFF, 1 << 20
_END, _ERROR = b"\xfe", b"\xff"
# What leads a value: its length up to 250, nothing at all, or how many bytes of length follow.
_NULL, _TWO, _THREE = 0xFB, 0xFC, 0xFD
_QUOTE, _COMMA, _LINE, _RETURN = b'",\n\r'
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def csv_of(cursor: SSCursor, header: Sequence[str], binary: Sequence[bool], where: str) -> BinaryIO:
    """What a cursor has just asked for as a stream of CSV, without a header where that is empty.

    Values of binary columns come as hexadecimal, as PostgreSQL writes them. Where the server ends it early,
    reading raises Broke, which names `where`.
    """
    result: Any = cursor._result  # type: ignore[attr-defined,unused-ignore]
    # From here on the driver must not look for rows, nor read them away when it is done.
    result.unbuffered_active = False
    blocks = _blocks(result.connection._rfile, header, np.array(binary))

    def following() -> bytes:
        try:
            return next(blocks, b"")
        except (pymysql.Error, OSError) as error:
            raise Broke(f"{where}: {type(error).__name__}.") from None

    return stream_of(following)


def field(value: bytes) -> bytes:
    """A text as a field of a CSV (RFC 4180)."""
    if b"," in value or b'"' in value or b"\n" in value or b"\r" in value:
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value


def hexadecimal(value: bytes) -> bytes:
    """Bytes that are no text, written as PostgreSQL does."""
    return b"\\x" + value.hex().encode()


def _blocks(stream: Any, header: Sequence[str], binary: NDArray[np.bool_]) -> Iterator[bytes]:
    if header:
        yield b",".join(field(name.encode()) for name in header) + b"\n"
    packets = _Packets(stream)
    while True:
        block, starts = packets.take()
        if starts:
            yield lines(block, np.array(starts), binary)
        elif packets.long:
            yield _line(packets.joined(), binary)
        else:
            return


def _line(row: bytes, binary: NDArray[np.bool_]) -> bytes:
    """A long row: there are few, and each is worth its time and not the memory of looking at all of it at once."""
    packet = MysqlPacket(row, "")
    values = (packet.read_length_coded_string() for _ in binary)
    fields = (
        b"" if value is None else hexadecimal(value) if shown else field(value)
        for shown, value in zip(binary, values, strict=True)
    )
    return b",".join(fields) + b"\n"


class _Packets:
    """Packets as they come: whole ones, as many as there are once some hundred kilobytes are."""

    def __init__(self, stream: Any) -> None:
        self._socket = stream.raw
        self._held: Bytes = np.empty(2 * _BLOCK, np.uint8)
        self._view = memoryview(self._held.data)
        # The driver has read ahead a little. Its stream is left empty, and all else comes from below it.
        ahead = stream.read1(_BLOCK)
        self._begin, self._end = 0, len(ahead)
        self._view[: len(ahead)] = ahead
        self._over = False
        # Whether the next row is a long one.
        self.long = False

    def take(self) -> tuple[Bytes, list[int]]:
        """Rows in their packets, and where each packet begins; none at the end, or where the next row is long.

        They are good until the next question.
        """
        at, starts = 0, list[int]()
        while not self._over:
            at, ahead = self._whole(at, starts)
            self.long = ahead > _LONG
            if self._over or self.long or at >= _BLOCK:
                break
            self._more(at + _HEAD + ahead)
        begin, self._begin = self._begin, self._begin + at
        return self._held[begin : self._begin], starts

    def joined(self) -> bytes:
        """The long row that is next."""
        parts, size = list[bytes](), _FULL
        while size == _FULL:
            self._more(_HEAD)
            size = _HEADER.unpack_from(self._view, self._begin)[0] & _FULL
            self._more(_HEAD + size)
            self._begin += _HEAD + size
            parts.append(bytes(self._view[self._begin - size : self._begin]))
        self.long = False
        return b"".join(parts)

    def _whole(self, at: int, starts: list[int]) -> tuple[int, int]:
        """Note where whole packets begin; the place after the last of them, and how long the next one says it is."""
        view, begin, there, ahead = self._view, self._begin, self._end - self._begin, 0
        while there - at >= _HEAD:
            ahead = _HEADER.unpack_from(view, begin + at)[0] & _FULL
            if ahead > _LONG or there - at < _HEAD + ahead:
                break
            starts.append(at)
            at += _HEAD + ahead
            ahead = 0
        if starts:
            # Nothing comes after what ends an answer.
            last = starts[-1] + _HEAD
            what = view[begin + last : begin + at]
            if what[:1] == _ERROR:
                raise_mysql_exception(bytes(what))
            if what[:1] == _END and len(what) < 9:
                self._over, at = True, starts.pop()
        return at, ahead

    def _more(self, wanted: int) -> None:
        """Wait until so many bytes are there; as many more come along as are there already."""
        if self._begin + wanted > len(self._held):
            there = self._held[self._begin : self._end]
            if wanted > len(self._held):
                self._held = np.empty(wanted + _BLOCK, np.uint8)
                self._view = memoryview(self._held.data)
            self._held[: len(there)] = there
            self._begin, self._end = 0, len(there)
        while self._end - self._begin < wanted:
            came = self._socket.readinto(self._view[self._end :])
            if not came:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST)
            self._end += came


def lines(block: Bytes, starts: Numbers, binary: NDArray[np.bool_]) -> bytes:
    """Rows in their packets as lines of CSV.

    Nothing and an empty text are both an empty field; a row's only one is quoted then, since an empty line is
    no row in CSV.
    """
    sizes, missing, kept = _values(block, starts, len(binary))
    # Of what leads a value one byte is left, which becomes what stands before it.
    after = np.cumsum(sizes + 1)
    before = after - sizes - 1
    kept[before] = 0
    [special] = np.nonzero((kept == _QUOTE) | (kept == _COMMA) | (kept == _LINE) | (kept == _RETURN))
    at, what = list[Numbers](), list[Bytes]()
    shown = np.tile(binary, len(starts)) & ~missing
    if shown.any():
        inside = np.repeat(shown, sizes + 1)
        inside[before] = False
        special = special[~inside[special]]
        [digits] = np.nonzero(inside)
        values = kept[digits]
        kept[digits] = _DIGITS[values >> 4]
        begins = before[shown] + 1
        at += [begins, begins, digits + 1]
        what += [np.full(len(begins), mark, np.uint8) for mark in b"\\x"] + [_DIGITS[values & 15]]
    quoted = np.unique(np.searchsorted(before, special, "right") - 1)
    if len(binary) == 1:
        quoted = np.union1d(quoted, np.flatnonzero((sizes == 0) & ~shown))
    quotes = [before[quoted] + 1, after[quoted], special[kept[special] == _QUOTE]]
    at += quotes
    what += [np.full(len(each), _QUOTE, np.uint8) for each in quotes]
    kept[before] = _COMMA
    kept[before[:: len(binary)]] = _LINE
    places = np.concatenate(at)
    whole: Bytes = np.insert(kept, places, np.concatenate(what)) if len(places) else kept
    # What stands before the first value would have ended the line before it.
    return whole[1:].tobytes() + b"\n"


def _values(block: Bytes, starts: Numbers, columns: int) -> tuple[Numbers, NDArray[np.bool_], Bytes]:
    """Each value's size and whether it is missing, row by row, and all of them with one byte before each."""
    ends = np.append(starts[1:], len(block))
    keep = np.ones(len(block), np.bool_)
    keep[starts[:, None] + np.arange(_HEAD)] = False
    sizes = np.empty((len(starts), columns), np.int64)
    missing = np.zeros((len(starts), columns), np.bool_)
    at = starts + _HEAD
    for column in range(columns):
        if (at >= ends).any():
            raise pymysql.InternalError(CR.CR_MALFORMED_PACKET)
        lead = block[at]
        at, size = at + 1, lead.astype(np.int64)
        [other] = np.nonzero(lead >= _NULL)
        if len(other):
            size[other] = 0
            missing[other, column] = lead[other] == _NULL
            for mark, width in ((_TWO, 2), (_THREE, 3)):
                long = other[lead[other] == mark]
                where = at[long][:, None] + np.arange(width)
                if where.size and where.max() >= len(block):
                    raise pymysql.InternalError(CR.CR_MALFORMED_PACKET)
                size[long] = block[where] @ (1 << 8 * np.arange(width))
                keep[where] = False
                at[long] += width
        at += size
        sizes[:, column] = size
    if (at != ends).any():
        raise pymysql.InternalError(CR.CR_MALFORMED_PACKET)
    return sizes.ravel(), missing.ravel(), block[keep]
