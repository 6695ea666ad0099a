"""Proof that lines of a delimited text are rows as they stand, without looking at them one by one.

A line is proven when its quotes pair up, each quoted field starts and ends at a delimiter or at the
line's edge, and the right number of delimiters stands outside quotes. Everything else is left to the
exact splitter. The proof works on the positions of delimiters, quotes and line ends only.
"""

from __future__ import annotations

import numpy as np

from connectors.formats.lines import Bytes, Lines, places

_LF, _SPACE = 10, 32


def proven(data: Bytes, lines: Lines, delimiter: int, quote: int, width: int) -> np.ndarray | None:
    """For each line whether it is a row of `width` columns as it stands; None if all are.

    `data` has no lone CR. `delimiter` and `quote` are byte values, -1 for none.
    """
    if not len(lines):
        return None
    units = np.frombuffer(data, np.uint8)
    quoted = quote >= 0 and bytes((quote,)) in data
    at = places(data, _LF, *([delimiter] if delimiter >= 0 else []), *([quote] if quoted else []))
    kinds = units[at]
    if units[-1] != _LF:  # the last line ends with the data
        at = np.append(at, len(data))
        kinds = np.append(kinds, _LF)
    count = len(lines)
    if _periodic(units, at, kinds, lines, count, delimiter, quote if quoted else -1, width):
        return None
    good = _judge(units, at, kinds, lines, delimiter, quote if quoted else -1, width)
    return None if good.all() else good


def _periodic(
    units: np.ndarray,
    at: np.ndarray,
    kinds: np.ndarray,
    lines: Lines,
    count: int,
    delimiter: int,
    quote: int,
    width: int,
) -> bool:
    """Whether every line has the marks of the first one, in its order, and they stand where they may."""
    period = int(np.argmax(kinds == _LF)) + 1
    # each column is looked at on its own, which a line of nothing but quotes must not make expensive
    if len(kinds) != period * count or not width <= period <= 8 * width + 64:
        return False
    first = kinds[:period]
    table = kinds.reshape(count, period)
    if not (table == first).all():
        return False
    if quote < 0:
        return period == width and (width > 1 or bool((lines.ends > lines.starts).all()))
    parity = np.cumsum(first == quote) & 1
    if parity[-1] or int(((first == delimiter) & (parity == 0)).sum()) != width - 1:
        return False
    positions = at.reshape(count, period)
    for column in np.flatnonzero(first == quote):
        if parity[column]:  # opens
            here = positions[:, column]
            gap = here - (positions[:, column - 1] if column else lines.starts - 1)
            if not (gap == 1).all():
                if column and first[column - 1] == quote:
                    return False
                if not ((gap == 1) | ((gap == 2) & (units[here - 1] == _SPACE))).all():
                    return False
        else:
            after = lines.ends if column + 1 == period - 1 else positions[:, column + 1]
            if not (after - positions[:, column] == 1).all():
                return False
    return True


def _judge(
    units: np.ndarray,
    at: np.ndarray,
    kinds: np.ndarray,
    lines: Lines,
    delimiter: int,
    quote: int,
    width: int,
) -> np.ndarray:
    """Line by line, each on its own."""
    stops = np.flatnonzero(kinds == _LF)
    lengths = np.diff(stops, prepend=-1)
    is_delimiter = kinds == delimiter
    if quote < 0:
        good: np.ndarray = _per_line(is_delimiter, stops) == width - 1
        return good & (lines.ends > lines.starts)
    is_quote = kinds == quote
    seen = np.cumsum(is_quote, dtype=np.int32)
    line_base = np.concatenate([[0], seen[stops[:-1]]])
    inside = ((seen - is_quote - np.repeat(line_base, lengths)) & 1).astype(bool)
    good = _per_line(is_delimiter & ~inside, stops) == width - 1
    good &= ((seen[stops] - line_base) & 1) == 0
    good &= lines.ends > lines.starts
    line_of = np.repeat(np.arange(len(stops), dtype=np.int32), lengths)
    previous_at = np.concatenate([[-1], at[:-1]])
    previous = np.concatenate([[_LF], kinds[:-1]]).astype(kinds.dtype)
    opens = is_quote & ~inside
    bad = opens & ((at - previous_at) != 1)
    closes = is_quote & inside
    following_at = np.where(np.append(kinds[1:], _LF) == _LF, lines.ends[line_of], np.append(at[1:], at[-1]))
    bad |= closes & ((following_at - at) != 1)
    # one blank before a quoted field is how several feeds write, and is no part of the field
    spaced = np.flatnonzero(bad & opens & ((at - previous_at) == 2) & (previous != quote))
    bad[spaced[units[at[spaced] - 1] == _SPACE]] = False
    good[line_of[bad]] = False
    return good


def _per_line(flags: np.ndarray, stops: np.ndarray) -> np.ndarray:
    return np.diff(np.cumsum(flags, dtype=np.int32)[stops], prepend=0)
