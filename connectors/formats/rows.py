"""The exact splitter: one row of a delimited text at a time, for what the proof could not settle.

Quotes follow RFC 4180 with the two liberties Python and DuckDB also take: a quote inside an unquoted
field is a character like any other, and blanks around a quoted field are no part of it. A quoted field
may run over line ends only if it closes soon, in the right place, with the right number of columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectors.formats.lines import LINE_LIMIT, Bytes, Lines

ROW_LINES = 500
_BLANKS = b" \t"
_OPEN = "a quote opens and does not close where a field may end"


@dataclass(frozen=True)
class Quoting:
    """The bytes a dialect is made of; empty where it has none. `width` is the number of columns, 0 for any."""

    delimiter: bytes
    quote: bytes
    escape: bytes
    width: int

    def write(self, fields: list[bytes]) -> bytes:
        """The row in this dialect, every field quoted where there are quotes."""
        if not self.quote:
            return self.delimiter.join(fields)
        if self.escape and self.escape != self.quote:
            fields = [f.replace(self.escape, self.escape * 2) for f in fields]
        escaped = (self.escape or self.quote) + self.quote
        return self.delimiter.join(self.quote + f.replace(self.quote, escaped) + self.quote for f in fields)


@dataclass(frozen=True)
class Row:
    """A row and the last physical line it stands on."""

    fields: list[bytes]
    last: int


@dataclass(frozen=True)
class Broken:
    """Why a line is no row. `open_ended` where a quote did not close before the data in hand ended."""

    reason: str
    open_ended: bool = False


class _Unclosed(Exception):
    def __init__(self, reason: str, at: int) -> None:
        self.reason = reason
        self.at = at


def split(data: Bytes, lines: Lines, index: int, how: Quoting, stop_line: int) -> Row | Broken:
    """The row that starts on line `index`; it may run up to, not into, line `stop_line`.

    `stop_line` is where the block or the reach of a quoted field ends.
    """
    if how.width == 1 and not how.quote:
        return Row([bytes(data[lines.starts[index] : lines.ends[index]])], index)
    limit = min(stop_line, index + ROW_LINES)
    try:
        fields, last = _fields(data, lines, index, how, limit)
    except _Unclosed as broken:
        cut_short = (
            limit == len(lines) and stop_line == len(lines) and broken.at >= int(lines.ends[limit - 1])
        )
        return Broken(broken.reason, open_ended=cut_short)
    if why := miscount(len(fields), how.width):
        # what closed a quote on a later line was not meant to: read the opening line on its own
        return Broken(_OPEN if last > index else why)
    return Row(fields, last)


def miscount(found: int, width: int) -> str:
    """What is wrong with a number of columns; "" where it is right, or where any will do."""
    if not width or found == width:
        return ""
    return f"too {'few' if found < width else 'many'} columns: {found} of {width}"


def _fields(data: Bytes, lines: Lines, index: int, how: Quoting, limit: int) -> tuple[list[bytes], int]:
    at, end, first = int(lines.starts[index]), int(lines.ends[index]), index
    fields: list[bytes] = []
    while True:
        begin = _past_blanks(data, at, end, how.delimiter)
        if how.quote and data.startswith(how.quote, begin) and begin < end:
            value, after, index = _quoted(data, begin + len(how.quote), lines, index, limit, how)
            end = int(lines.ends[index])
            at = _past_blanks(data, after, end, how.delimiter)
            if at < end and not data.startswith(how.delimiter, at):
                spread = at > int(lines.ends[first])
                raise _Unclosed(_OPEN if spread else "text stands after a closing quote", -1)
            more = at < end
        else:
            value, at, more = _unquoted(data, at, end, how)
        fields.append(value)
        if not more or (how.width == 1 and not how.delimiter):
            return fields, index
        at += len(how.delimiter)


def _past_blanks(data: Bytes, at: int, end: int, delimiter: bytes) -> int:
    while at < end and data[at] in _BLANKS and data[at : at + 1] != delimiter:
        at += 1
    return at


def _unquoted(data: Bytes, at: int, end: int, how: Quoting) -> tuple[bytes, int, bool]:
    """An unquoted field: (value, where it ends, whether another follows)."""
    if not how.escape or how.escape == how.quote:
        stop = data.find(how.delimiter, at, end) if how.delimiter else -1
        return bytes(data[at : stop if stop >= 0 else end]), stop, stop >= 0
    value = bytearray()
    while at < end:
        if data.startswith(how.escape, at) and at + 1 < end:
            value += data[at + 1 : at + 2]
            at += 2
        elif how.delimiter and data.startswith(how.delimiter, at):
            return bytes(value), at, True
        else:
            value += data[at : at + 1]
            at += 1
    return bytes(value), at, False


def _quoted(
    data: Bytes, at: int, lines: Lines, index: int, limit: int, how: Quoting
) -> tuple[bytes, int, int]:
    """A quoted field from after its opening quote: (value, position after the closing quote, its line)."""
    stop = min(int(lines.ends[limit - 1]), int(lines.starts[index]) + LINE_LIMIT)
    escape = how.escape if how.escape and how.escape != how.quote else b""
    parts: list[Bytes] = []
    while True:
        close = data.find(how.quote, at, stop)
        if escape and (mark := data.find(escape, at, stop)) >= 0 and (close < 0 or mark < close):
            parts += [data[at:mark], data[mark + 1 : mark + 2]]
            at = mark + 2
            continue
        if close < 0:
            raise _Unclosed(_OPEN, stop)
        parts.append(data[at:close])
        at = close + 1
        if data.startswith(how.quote, at) and not escape:
            parts.append(how.quote)
            at += 1
            continue
        if close >= lines.nexts[index]:
            index += int(np.searchsorted(lines.nexts[index:limit], close, "right"))
        return b"".join(parts), at, index
