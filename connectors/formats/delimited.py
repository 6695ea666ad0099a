"""CSV, TSV and every other delimited text, read so that each physical line is a row or a fault.

Rows go to DuckDB as they stand where a block is proven clean; otherwise only the lines that fail the
proof are split one by one and written anew. Rows always end in LF, so DuckDB must be told
`new_line='\\n'`: then a CR inside a quoted field stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from connectors.formats.header import renewed, unique
from connectors.formats.lines import LINE_LIMIT, Block, Bytes, Lines, blocks, fill
from connectors.formats.proof import proven
from connectors.formats.rows import Broken, Quoting, Row, miscount, split
from connectors.formats.text import Text, blank, decoded, encoding_of, level, starts
from engine.model import Dialect, Shape
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
_UNUSED = "\x1f\x1e\x1d\x1c\x01\x02"


class Delimited:
    """Rows of a delimited text."""

    name = "csv"
    title = "CSV, TSV and other delimited text"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """Any text is a table of at least one column; what is not text is None."""
        from connectors.formats.dialect import sniff

        return sniff(stream, name)

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every physical line after the header is in one chunk, as a row, as part of one, or as a fault.

        Blank lines and comments are not data.
        """
        dialect = shape.dialect or Dialect()
        head = fill(stream, 4)
        mark, encoding = encoding_of(dialect, head)
        reader = _Reader(dialect, encoding)
        for block in blocks(stream, encoding, chunk_bytes, carry=head[mark:], offset=mark):
            chunk = reader.read(block)
            if chunk.rows or chunk.faults:
                yield chunk


class _Reader:
    """What one reading carries from block to block: how much of the preamble is still to come."""

    def __init__(self, dialect: Dialect, encoding: str) -> None:
        self.encoding = encoding
        self.to_skip = dialect.skip_lines
        self.header = dialect.header
        self.comment = dialect.comment.encode()
        self.columns = dialect.columns
        quote = dialect.quote.encode()
        escape = dialect.escape.encode() if quote else b""
        self.how = Quoting(dialect.delimiter.encode(), quote, escape, len(dialect.columns))
        self.own = len(self.how.delimiter) <= 1 and len(quote) <= 1 and len(escape) <= 1

    def read(self, block: Block) -> Chunk:
        """One chunk of one block; says on the block how much of it was used."""
        if block.huge:
            self.to_skip = max(self.to_skip - 1, 0)
            fault = Fault(
                block.first_line, bytes(block.data), "a line too long to read; this is its beginning"
            )
            end = block.offset + block.consumed
            return Chunk("csv", b"", 0, block.first_line, faults=(fault,), columns=self.columns, end=end)
        text = decoded(block.data, self.encoding)
        start = self._preamble(text, block)
        out = self._written_as(text)
        bad = self._doubtful(text, out is self.how)
        spread = _Spread(text, self.how, out, self.comment, bad, start)
        used = spread.walk(final=block.last)
        block.lines_used = used
        block.consumed = len(block.data) if used == len(text.lines) else int(text.source_lines.starts[used])
        return spread.chunk(block, self.columns)

    def _preamble(self, text: Text, block: Block) -> int:
        """The line where data begins."""
        start = min(self.to_skip, len(text.lines))
        skipped = start
        while self.header and start < len(text.lines):
            if blank(text, start) or (self.comment and starts(text, start, self.comment)):
                start += 1
                continue
            names, last = header_row(text.data, text.lines, start, self.how)
            self.header = False
            columns = self._renewed(text, names, last) if self.columns else unique(names)
            if columns is None:
                break
            self.columns = columns
            start = last + 1
        self.to_skip -= skipped
        if not self.columns and start < len(text.lines):
            self.columns = unique([""] * len(header_row(text.data, text.lines, start, self.how)[0]))
        if self.how.width != len(self.columns):
            self.how = replace(self.how, width=len(self.columns))
        return start

    def _renewed(self, text: Text, names: list[str], line: int) -> tuple[str, ...] | None:
        """The columns this payload names, which need not be those, or in the order, of the one looked at first."""
        if unique(names) == self.columns:
            return self.columns
        widths: list[int] = []
        while (line := line + 1) < len(text.lines) and len(widths) < 20:
            if not blank(text, line) and not (self.comment and starts(text, line, self.comment)):
                cells, line = header_row(text.data, text.lines, line, self.how)
                widths.append(len(cells))
        return renewed(self.columns, names, max(set(widths), key=widths.count) if widths else 0)

    def _written_as(self, text: Text) -> Quoting:
        """How the chunk's rows will be written: as they stand, where DuckDB can read that."""
        how = self.how
        if not self.own:
            return Quoting(b",", b'"', b"", how.width)
        if how.delimiter:
            return how
        spare = next((c.encode() for c in _UNUSED if c.encode() not in text.data), b"")
        if not spare:
            return Quoting(b",", b'"', b"", how.width)
        self.how = Quoting(spare, how.quote, how.escape, how.width)
        return self.how

    def _doubtful(self, text: Text, as_they_stand: bool) -> np.ndarray | None:
        """Flags on the lines that are not proven rows; None where all are."""
        count = len(text.lines)
        if not as_they_stand:
            return np.ones(count, bool)
        how = self.how
        levelled = level(text) if b"\r" in text.data else text.data
        quote = how.quote[0] if how.quote else -1
        good = proven(levelled, text.lines, how.delimiter[0], quote, how.width)
        bad = np.zeros(count, bool) if good is None else ~good
        bad[list(text.barriers)] = True
        if self.comment:
            units = np.frombuffer(text.data, np.uint8)
            bad[units[np.minimum(text.lines.starts, len(units) - 1)] == self.comment[0]] = True
        if how.escape and how.escape != how.quote and how.escape in text.data:
            at = np.flatnonzero(np.frombuffer(text.data, np.uint8) == how.escape[0])
            bad[np.searchsorted(text.lines.nexts, at, "right")] = True
        if how.width == 1:
            units = np.frombuffer(text.data, np.uint8)
            first = units[np.minimum(text.lines.starts, len(units) - 1)]
            bad[(first == 32) | (first == 9)] = True
        return bad if bad.any() else None


class _Spread:
    """A block's rows and faults as they are laid out, line by line where in doubt."""

    def __init__(
        self, text: Text, how: Quoting, out: Quoting, comment: bytes, bad: np.ndarray | None, start: int
    ) -> None:
        self.text, self.how, self.out, self.comment, self.bad, self.start = (
            text,
            how,
            out,
            comment,
            bad,
            start,
        )
        self.empty = _empty(text, bad)
        self.parts: list[Bytes] = []
        self.firsts: list[np.ndarray] = []
        self.lasts: list[np.ndarray] = []
        self.faults: list[tuple[int, str]] = []

    def walk(self, final: bool) -> int:
        """Lay out all lines; the number of lines used, less than all where a row may run on."""
        lines, at = self.text.lines, self.start
        if self.bad is None:
            self._good(at, len(lines))
            return len(lines)
        barriers = np.array(sorted(self.text.barriers), np.int64)
        for line in np.flatnonzero(self.bad if self.empty is None else self.bad & ~self.empty).tolist():
            if line < at:
                continue
            self._good(at, line)
            at = line + 1
            if line in self.text.barriers:
                self.faults.append((line, self.text.barriers[line]))
                continue
            if (self.comment and starts(self.text, line, self.comment)) or blank(self.text, line):
                continue
            if why := self._miscounted(line):
                self.faults.append((line, why))
                continue
            following = int(np.searchsorted(barriers, line))
            reach = int(barriers[following]) if following < len(barriers) else len(lines)
            found = split(self.text.data, lines, line, self.how, reach)
            if isinstance(found, Row):
                found = self._settle(found, line)
            if isinstance(found, Row):
                at = found.last + 1
            elif found.open_ended and not final:
                return line
            else:
                self.faults.append((line, found.reason))
        self._good(at, len(lines))
        return len(lines)

    def _miscounted(self, line: int) -> str:
        """Why a line without quotes or escapes is no row, which most broken lines are."""
        how, data = self.how, self.text.data
        begin, end = int(self.text.lines.starts[line]), int(self.text.lines.ends[line])
        special = (how.quote and data.find(how.quote, begin, end) >= 0) or (
            how.escape and data.find(how.escape, begin, end) >= 0
        )
        if special or not how.delimiter:
            return ""
        return miscount(data.count(how.delimiter, begin, end) + 1, how.width)

    def _settle(self, row: Row, line: int) -> Row | Broken:
        """Take the row, unless it swallows lines that are rows of their own, or has become too long."""
        between = row.last - line - 1
        inner = self.bad[line + 1 : row.last] if self.bad is not None else np.ones(1, bool)
        if between >= 3 and self.how.width > 1 and not inner.any():
            return Broken("a quote opens here and closes only after other whole rows")
        written = self.out.write(row.fields) + b"\n"
        if len(written) > LINE_LIMIT:
            return Broken("a row too long to read")
        self.parts.append(written)
        self.firsts.append(np.array([line]))
        self.lasts.append(np.array([row.last]))
        return row

    def _good(self, begin: int, end: int) -> None:
        """Take the lines as they stand, but for those with nothing on them."""
        if begin >= end:
            return
        lines, data, rows = self.text.lines, self.text.data, np.arange(begin, end)
        whole = begin == 0 and end == len(lines)
        part = data if whole else data[int(lines.starts[begin]) : int(lines.nexts[end - 1])]
        if self.empty is not None and self.empty[begin:end].any():
            gone = rows[self.empty[begin:end]]
            rows = rows[~self.empty[begin:end]]
            part = _without(
                part, lines.starts[gone] - lines.starts[begin], lines.nexts[gone] - lines.starts[gone]
            )
        if not len(rows):
            return
        if b"\r" in part:
            # translate is five times as fast as replace, and right where each CR belongs to a CR LF
            pairs = int((lines.nexts[rows] - lines.ends[rows] == 2).sum())
            alone = np.count_nonzero(np.frombuffer(part, np.uint8) == 13) != pairs
            part = (
                part.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if alone else part.translate(None, b"\r")
            )
        if not part.endswith(b"\n") and not whole:
            part += b"\n"
        self.parts.append(part)
        self.firsts.append(rows)
        self.lasts.append(rows)

    def chunk(self, block: Block, columns: tuple[str, ...]) -> Chunk:
        """The chunk that holds it all."""
        firsts = np.concatenate(self.firsts) if self.firsts else np.zeros(0, np.int64)
        lasts = np.concatenate(self.lasts) if self.lasts else firsts
        first = block.first_line + (int(firsts[0]) if len(firsts) else 0)
        straight = not len(firsts) or int(firsts[-1]) - int(firsts[0]) == len(firsts) - 1
        text = self.text

        def raw(rows: Sequence[int]) -> list[bytes]:
            return [text.raw(int(firsts[i]), int(lasts[i])) for i in rows]

        return Chunk(
            kind="csv",
            data=self.parts[0] if len(self.parts) == 1 else b"".join(self.parts),
            rows=len(firsts),
            first_line=first,
            lines=None if straight else firsts + block.first_line,
            faults=tuple(Fault(block.first_line + n, text.raw(n, n), why) for n, why in self.faults),
            columns=columns,
            delimiter=self.out.delimiter.decode(),
            quote=self.out.quote.decode(),
            escape=(self.out.escape or self.out.quote).decode(),
            raw=raw,
            end=block.offset + block.consumed,
        )


def _empty(text: Text, bad: np.ndarray | None) -> np.ndarray | None:
    """Flags on the lines with nothing on them, of which a file may hold millions; None where there are none."""
    if bad is None:
        return None
    empty = bad & (text.lines.starts == text.lines.ends)
    empty[list(text.barriers)] = False
    return empty if empty.any() else None


def _without(part: Bytes, starts: np.ndarray, lengths: np.ndarray) -> bytes:
    """The part without some stretches of one or two bytes."""
    units = np.frombuffer(part, np.uint8)
    kept = np.ones(len(units), bool)
    kept[starts] = False
    kept[starts[lengths == 2] + 1] = False
    return units[kept].tobytes()


def header_row(data: Bytes, lines: Lines, line: int, how: Quoting) -> tuple[list[str], int]:
    """The cells of the row at a line, however many, and the last line they stand on."""
    found = split(data, lines, line, replace(how, width=0), len(lines))
    if isinstance(found, Row):
        return [field.decode("utf-8", "replace") for field in found.fields], found.last
    text = data[int(lines.starts[line]) : int(lines.ends[line])].decode("utf-8", "replace")
    return text.split(how.delimiter.decode()) if how.delimiter else [text], line
