"""Numbers that a double would not keep as they are written, set between marks so that they pass a parser as text.

The database's parser makes a double of every number with a point: 1.50 comes back as 1.5, and of many digits
only the first seventeen. A string comes back as it is, so such a number becomes one for the way through the
parser, and its marks are taken off on the other side (`engine.scan`). A number with an exponent and no point
is left to the parser, which writes it out: 1e5 comes back as 100000.0. To look for those too, among all the
hashes there are, would cost as much again.
"""

from __future__ import annotations

import re

import numpy as np

from connectors.formats.json_lines import unescaped_quotes
from connectors.formats.lines import Bytes

_POINT, _MINUS, _PLUS, _ZERO, _COLON = 46, 45, 43, 48, 58
# As many digits as every double gives back.
_SURE = 15
# Smaller numbers are written with an exponent: 0.0000001 as 1e-7.
_ZEROS = 6
_PIECE = 1 << 16
_ESCAPED = re.compile(rb"\\u([fF][dD][dDeE][0-9a-fA-F])")
# Code points that stand for no character; the first that a piece of data does not hold is its mark.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]

_BEFORE = np.isin(np.arange(256), list(b":,[ \t\r\n"))
_AFTER = np.isin(np.arange(256), list(b",]} \t\r\n"))
_BLANK = np.isin(np.arange(256), list(b" \t\r\n"))
_DIGIT = np.isin(np.arange(256), list(b"0123456789"))
_STEP = _DIGIT.astype(np.int64)
_LEFT = _BEFORE | _DIGIT | np.isin(np.arange(256), _MINUS)
_LETTER = np.isin(np.arange(256), list(b"eE"))


def marked(data: Bytes | memoryview, longest: int, mark: str = "") -> tuple[Bytes | memoryview, str, int]:
    """JSON with the numbers in question as strings between marks, the mark, and how long its lines are at most.

    The data itself and "" where there is none. What is valid stays so and what is not does too: a number
    becomes a string only where it is a whole value. `longest` is the length of the longest line before. A
    `mark` that is given is one that the data does not hold.
    """
    starts, stops = _found(np.frombuffer(data, np.uint8), data)
    mark = (mark or mark_for(data)) if len(starts) else ""
    if not mark:
        return data, "", longest
    opening, closing = f'"{mark}'.encode(), f'{mark}"'.encode()
    view, at = memoryview(data), 0
    parts: list[memoryview | bytes] = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        parts += (view[at:start], opening, view[start:stop], closing)
        at = stop
    made = b"".join([*parts, view[at:]])
    # The shortest such number, with the comma before it, grows by less than two bytes a byte.
    return made, mark, longest + min(2 * longest, len(made) - len(view))


def unmarked(data: bytes, mark: str) -> bytes:
    """JSON with the strings between marks as numbers again."""
    return data.replace(f'"{mark}'.encode(), b"").replace(f'{mark}"'.encode(), b"") if mark else data


def mark_for(data: Bytes | memoryview) -> str:
    """A mark that the data does not hold, written out or escaped; "" where it holds them all."""
    text = bytes(data)
    # Single bytes are looked for much faster, and mostly settle it.
    escaped = (
        {int(code, 16) for code in _ESCAPED.findall(text)} if b"\\uf" in text or b"\\uF" in text else set()
    )
    written = _MARKS[0].encode()[:1] in text
    return next((m for m in _MARKS if ord(m) not in escaped and not (written and m.encode() in text)), "")


def _found(units: np.ndarray, data: Bytes | memoryview) -> tuple[np.ndarray, np.ndarray]:
    """Where the numbers begin and end that would come back otherwise than they are written."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    points = _points(units)
    # One look to the left settles most versions and addresses, two more most times: a colon that a digit
    # stands before is none between a name and its value.
    points = points[_LEFT.take(units.take(points - 2, mode="clip"))]
    timed = units.take(points - 3, mode="clip") == _COLON
    points = points[~(timed & _DIGIT.take(units.take(points - 4, mode="clip")))]
    if not len(points):
        return nothing
    stops = _past_digits(units, points + 1)
    power = _LETTER[units.take(stops, mode="clip")]
    if power.any():
        stops[power] = _past_power(units, stops[power])
    good = _AFTER[units.take(stops, mode="clip")]
    points, stops, power = points[good], stops[good], power[good]
    first = _before_digits(units, points)
    starts = first - (units[first - 1] == _MINUS)
    # A number that begins with a needless zero is no JSON.
    good = _BEFORE[units[starts - 1]] & ((units[first] != _ZERO) | (points - first == 1))
    good &= power | ~_given_back(units, first, points, stops)
    starts, stops = starts[good], stops[good]
    if not len(starts):
        return nothing
    outside = (np.searchsorted(unescaped_quotes(bytes(data)), starts) & 1) == 0
    starts, stops = starts[outside], stops[outside]
    value = units.take(_past_blanks(units, stops), mode="clip") != _COLON
    return starts[value], stops[value]


def _points(units: np.ndarray) -> np.ndarray:
    """Points between two digits."""
    found = [np.zeros(0, np.int64)]
    for at in range(0, len(units) - 2, _PIECE):
        # Compared piece by piece, so that it stays in the processor's cache.
        piece = units[at : at + _PIECE + 2]
        digit = piece - _ZERO < 10
        found.append(np.flatnonzero((piece[1:-1] == _POINT) & digit[:-2] & digit[2:]) + (at + 1))
    return np.concatenate(found)


def _past_power(units: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Each position of a letter e moved past its exponent; it stays where there is none."""
    first = letters + 1
    first += np.isin(units.take(first, mode="clip"), (_MINUS, _PLUS))
    stops = _past_digits(units, first)
    return np.where(stops > first, stops, letters)


def _past_blanks(units: np.ndarray, at: np.ndarray) -> np.ndarray:
    at = at.copy()
    while (blank := _BLANK[units.take(at, mode="clip")] & (at < len(units))).any():
        at += blank
    return at


def _past_digits(units: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Each position moved to the right past the digits there."""
    return _moved(units, at, 1, 0)


def _before_digits(units: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Each position moved to the left to the first of the digits before it."""
    return _moved(units, at, -1, -1)


def _moved(units: np.ndarray, at: np.ndarray, by: int, look: int) -> np.ndarray:
    at = at.copy()
    # Nearly all numbers are short; the few long ones are then followed on their own.
    for _ in range(2):
        at += by * _STEP.take(units.take(at + look, mode="clip"))
    at = np.clip(at, 0, len(units))
    moving = np.flatnonzero(_DIGIT.take(units.take(at + look, mode="clip")))
    while len(moving):
        at[moving] += by
        here = at[moving]
        moving = moving[_DIGIT[units.take(here + look, mode="clip")] & (here > 0) & (here < len(units))]
    return at


def _given_back(units: np.ndarray, first: np.ndarray, points: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Which numbers a double gives back as they stand, an exponent apart."""
    behind = stops - points - 1
    short = points - first + behind <= _SURE
    ends = (units[stops - 1] != _ZERO) | (behind == 1)
    tiny = np.ones(len(points), bool)
    for step in range(1, _ZEROS + 1):
        tiny &= units[np.minimum(points + step, stops)] == _ZERO
    return short & ends & ~tiny
