"""The elements of a JSON list, wherever it stands in its document, cut out of a stream block by block.

Only quotes, escapes and brackets are looked at, with numpy, so a list of any length needs the memory
of one block and its longest element. What stands between elements is looked at too: nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import orjson

from connectors.formats.json_lines import ends_escaped, steps_of, unescaped_quotes
from connectors.formats.limits import KEPT_OF_A_FAULT, NESTING, OBJECT_BYTES, Damaged
from connectors.formats.lines import Bytes, bom, fill, filled, places

Path = tuple[str, ...]
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*$', re.DOTALL)
_KEY_REACH = 512
_BLANKS = b" \t\r\n"
_STRAYS = 1000
_NONE = np.zeros(0, np.int64)
_LONGEST_GAP = 64
_IS_BLANK = np.isin(np.arange(256), list(_BLANKS))


@dataclass(frozen=True)
class Piece:
    """Bytes that are no element, why, and before which element of the batch they stand."""

    before: int
    data: bytes
    reason: str


@dataclass
class Batch:
    """Elements `data[starts[i]:stops[i]]` of one block. `bad` says of some why they are no rows."""

    data: bytearray
    starts: np.ndarray
    stops: np.ndarray
    bad: dict[int, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    end: int = 0
    # where line ends were made blanks in `data`, and what stood there
    blanked: np.ndarray = field(default_factory=lambda: _NONE)
    before: np.ndarray = field(default_factory=lambda: _NONE)

    def element(self, index: int) -> bytes:
        """An element as it stood in the source."""
        start, stop = int(self.starts[index]), int(self.stops[index])
        first, last = np.searchsorted(self.blanked, [start, stop])
        if first == last:
            return bytes(memoryview(self.data)[start:stop])
        text = self.data[start:stop]
        np.frombuffer(text, np.uint8)[self.blanked[first:last] - start] = self.before[first:last]
        return bytes(text)


def batches(
    stream: BinaryIO, path: Path | None, size: int, nesting: int = NESTING, longest: int = OBJECT_BYTES
) -> Iterator[Batch]:
    """The elements of the list at `path` in each document of the stream; of None, the documents themselves."""
    head = fill(stream, 4)
    mark, _ = bom(head)
    cutter = _Cutter(path, nesting, longest, mark)
    carry, seen = head[mark:], 0
    while True:
        data = filled(stream, carry, size)
        last = len(data) < len(carry) + size
        batch = cutter.feed(data, seen, last)
        carry, seen = cutter.held, len(cutter.held)
        if len(batch.starts) or batch.pieces:
            yield batch
        if last:
            return


class _Cutter:
    """What is known between two blocks: the open strings and brackets, and the element not yet whole."""

    def __init__(self, path: Path | None, nesting: int, longest: int, offset: int) -> None:
        self.path, self.nesting, self.longest, self.offset = path, nesting, longest, offset
        self.level = 0 if path is None else len(path) + 1  # brackets open around an element
        self.in_string = self.escaped = False
        self.depth = 0
        self.keys: list[str] = []
        self.inside = path is None  # within the list
        self.fresh_list = True  # no element of this list seen yet
        self.held = b""
        self.opened = -1  # where in `held` an element begins that has not ended
        self.flaw = ""  # what is wrong with that element
        self.head: bytes | None = None  # its beginning, once it is too long to hold
        self.head_at = 0
        self.lists = 0

    def feed(self, data: bytearray, begin: int, last: bool) -> Batch:
        """Cut a block, of which all before `begin` was `held` of the one before; `last`: nothing follows."""
        quotes = unescaped_quotes(data, begin, self.escaped)
        marks = places(data, *b"{[}]", begin=begin)
        marks = marks[((np.searchsorted(quotes, marks) & 1) == 1) == self.in_string]
        marks, steps, after = self._without_strays(marks, steps_of(data, marks))
        batch = self._cut(data, marks, steps, after, self._torn(data, begin, quotes))
        self.escaped = ends_escaped(data, begin, self.escaped)
        self.in_string ^= bool(len(quotes) & 1)
        self.depth = int(after[-1]) if len(after) else self.depth
        if last:
            self._end(batch)
        batch.end = self.offset
        return batch

    def _without_strays(
        self, marks: np.ndarray, steps: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Leave out brackets that close what was never opened."""
        for _ in range(_STRAYS):
            after = np.cumsum(steps) + self.depth
            stray = int(np.argmax(after < 0)) if len(after) else 0
            if not len(after) or after[stray] >= 0:
                return marks, steps, after
            marks, steps = np.delete(marks, stray), np.delete(steps, stray)
        raise Damaged(f"more than {_STRAYS} brackets close nothing, near byte {self.offset:,}")

    def _torn(self, data: bytearray, begin: int, quotes: np.ndarray) -> np.ndarray:
        """Line ends inside strings, which JSON forbids."""
        at = _line_ends(data, begin)
        return at[((np.searchsorted(quotes, at) & 1) == 1) != self.in_string]

    def _cut(
        self, data: bytearray, marks: np.ndarray, steps: np.ndarray, after: np.ndarray, torn: np.ndarray
    ) -> Batch:
        batch = Batch(data, _NONE, _NONE)
        opening = steps > 0
        at, begin = 0, 0  # the next mark; where what has not been accounted for begins
        if not self.inside:
            begin = len(data)
        while True:
            if not self.inside:
                found = self._walk(data, marks, opening, after, at)
                if found < 0:
                    break
                at, begin = found + 1, int(marks[found]) + 1
            done = np.flatnonzero(after[at:] < self.level) if self.path is not None else _NONE
            stop = at + int(done[0]) if len(done) else len(marks)
            closed = int(marks[stop]) if len(done) else -1
            begin = self._list(batch, begin, closed, marks[at:stop], opening[at:stop], after[at:stop], torn)
            if closed < 0:
                break
            self.inside, at = False, stop + 1
        self._hold(data, begin)
        return batch

    def _walk(
        self, data: bytearray, marks: np.ndarray, opening: np.ndarray, after: np.ndarray, at: int
    ) -> int:
        """Follow the opening brackets above the list; the mark that opens the list, or -1."""
        path = self.path or ()
        reach = len(path)
        for index in (np.flatnonzero(opening[at:] & (after[at:] - 1 <= reach)) + at).tolist():
            above, place = int(after[index]) - 1, int(marks[index])
            key = _KEY.search(data, max(0, place - _KEY_REACH), place) if above else None
            del self.keys[above:]
            self.keys.append(_text(key[1]) if key else "")
            if above == reach and data[place] == 91 and tuple(self.keys[1:]) == path:
                self.inside = self.fresh_list = True
                self.lists += 1
                return index
        return -1

    def _list(
        self,
        batch: Batch,
        begin: int,
        closed: int,
        marks: np.ndarray,
        opening: np.ndarray,
        after: np.ndarray,
        torn: np.ndarray,
    ) -> int:
        """Add the elements between two places; where the part not yet accounted for begins."""
        starts = marks[opening & (after == self.level + 1)]
        stops = marks[~opening & (after == self.level)] + 1
        flaws: dict[int, str] = {}
        if self.opened >= 0:
            starts = np.concatenate([[self.opened], starts])
            if self.flaw:
                flaws[0] = self.flaw
        whole = len(stops)
        deep = marks[after > self.level + self.nesting]
        for spots, flaw in ((torn, "a line end inside a string"), (deep, self._deep())):
            for element in np.unique(np.searchsorted(starts, spots, "right") - 1).tolist():
                if 0 <= element < whole and spots[0] < stops[element]:
                    inside = (spots >= starts[element]) & (spots < stops[element])
                    if inside.any():
                        flaws[element] = flaw
                elif element >= whole and element < len(starts):
                    flaws[element] = flaw
        first = len(batch.starts)
        if whole or closed >= 0 or len(starts) > whole:
            self._gaps(batch, begin, starts, stops, closed)
        if whole and self.head is not None:
            batch.pieces.append(
                Piece(first, self.head, f"longer than {self.longest:,} bytes; this is its beginning")
            )
            self.head = None
            starts, stops = starts[1:], stops[1:]
            flaws = {n - 1: why for n, why in flaws.items() if n}
            whole -= 1
        batch.starts = np.concatenate([batch.starts, starts[:whole]])
        batch.stops = np.concatenate([batch.stops, stops])
        batch.bad.update({first + n: why for n, why in flaws.items() if n < whole})
        self.flaw = flaws.get(whole, "") if len(starts) > whole else ""
        self.opened = int(starts[whole]) if len(starts) > whole else -1
        if self.opened >= 0:
            return self.opened
        if len(stops):
            return int(stops[-1]) if closed < 0 else closed + 1
        return begin if closed < 0 else closed + 1

    def _deep(self) -> str:
        return f"nested more than {self.nesting} levels deep"

    def _gaps(self, batch: Batch, begin: int, starts: np.ndarray, stops: np.ndarray, closed: int) -> None:
        """Look at what stands between elements: one comma in a list, nothing between documents."""
        data, first = batch.data, len(batch.starts)
        froms = np.concatenate([[begin], stops])
        tos = np.append(starts, closed) if closed >= 0 else starts
        froms = froms[: len(tos)]
        wanted = b"" if self.path is None else b","
        units = np.frombuffer(data, np.uint8)
        if self.opened >= 0:  # the gap before an element that was already open has been seen
            froms, tos = froms[1:], tos[1:]
            first += 1
        sure = _only(units, froms, tos, wanted)
        for index in np.flatnonzero(~sure).tolist():
            gap = bytes(data[int(froms[index]) : int(tos[index])]).strip(_BLANKS)
            if gap in (wanted, b""):
                continue
            for value in _scalars(gap):
                batch.pieces.append(
                    Piece(first + index - (self.head is not None), value, "not a JSON object")
                )

    def _hold(self, data: bytearray, begin: int) -> None:
        """Keep what the next block needs."""
        keep = begin if self.inside else max(0, len(data) - _KEY_REACH)
        if self.opened >= 0:
            keep = self.opened
            if len(data) - keep > self.longest:
                if self.head is None:
                    self.head = bytes(data[keep : keep + KEPT_OF_A_FAULT])
                    self.head_at = self.offset + keep
                keep = len(data)
            self.opened = 0
        self.held = bytes(memoryview(data)[keep:])
        self.offset += keep

    def _end(self, batch: Batch) -> None:
        """The stream is over: say what it broke off in."""
        place, rest = len(batch.starts), self.held.strip(_BLANKS)
        if self.opened >= 0:
            raw = self.held[:KEPT_OF_A_FAULT] if self.head is None else self.head
            at = self.offset if self.head is None else self.head_at
            batch.pieces.append(
                Piece(place, raw, f"the file ends inside this object, which begins at byte {at}")
            )
        elif self.inside and self.path is not None:
            for value in _scalars(rest) or [b""]:
                batch.pieces.append(Piece(place, value, "the file ends before its list is closed"))
        elif self.inside and rest:
            batch.pieces.append(Piece(place, rest[:KEPT_OF_A_FAULT], "not a JSON object"))
        elif self.depth:
            batch.pieces.append(
                Piece(place, rest[-KEPT_OF_A_FAULT:], "the file ends before its brackets are closed")
            )
        elif self.path is not None and not self.lists:
            where = ".".join(self.path) or "the top level"
            batch.pieces.append(Piece(place, rest[:KEPT_OF_A_FAULT], f"no list at {where}"))


def _text(key: bytes) -> str:
    try:
        return str(orjson.loads(b'"' + key + b'"'))
    except orjson.JSONDecodeError:
        return key.decode("utf-8", "replace")


def _scalars(gap: bytes) -> list[bytes]:
    """The values in a stretch between elements, or the stretch itself where it is none."""
    inner = gap.strip(_BLANKS + b",")
    if not inner:
        return []
    try:
        return [orjson.dumps(value) for value in orjson.loads(b"[" + inner + b"]")]
    except orjson.JSONDecodeError:
        return [inner[:KEPT_OF_A_FAULT]]


def _only(units: np.ndarray, froms: np.ndarray, tos: np.ndarray, mark: bytes) -> np.ndarray:
    """Flags on the short stretches that hold nothing but the mark, first of all, and blanks."""
    lengths = tos - froms
    sure = (lengths >= len(mark)) & (lengths <= _LONGEST_GAP)
    for at in range(int(lengths[sure].max(initial=0))):
        here = np.flatnonzero(sure & (lengths > at))
        found = units[froms[here] + at]
        sure[here] = found == mark[at] if at < len(mark) else _IS_BLANK[found]
    return sure


def as_lines(batch: Batch) -> Bytes | memoryview:
    """The elements one a line: line ends inside become blanks, everything else stays as it is.

    Where there is room between elements the batch's own bytes are changed, and it notes what they were.
    """
    data, starts, stops = batch.data, batch.starts, batch.stops
    if not len(starts):
        return b""
    gaps = starts[1:] - stops[:-1]
    if len(gaps) and (gaps.min() < 1 or gaps.max() > _LONGEST_GAP):
        pieces = [data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
        return b"\n".join(p.replace(b"\n", b" ").replace(b"\r", b" ") for p in pieces) + b"\n"
    units = np.frombuffer(data, np.uint8)
    batch.blanked = _line_ends(data)
    batch.before = units[batch.blanked]
    units[batch.blanked] = 32
    froms = stops[:-1]
    units[froms] = 10
    for step in range(1, int(gaps.max(initial=0))):
        units[froms[gaps > step] + step] = 32
    return memoryview(data)[int(starts[0]) : int(stops[-1])]


def _line_ends(data: bytearray, begin: int = 0) -> np.ndarray:
    if data.find(b"\n", begin) < 0 and data.find(b"\r", begin) < 0:
        return _NONE
    return places(data, 10, 13, begin=begin)
