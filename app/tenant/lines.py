"""Lines: what each physical line of a text was read as, counted apart from the reader.

The reader says which lines became rows and which could not; the text itself says how many lines there
are. Where the two don't add up, the lines nobody accounts for are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from app.tenant.schemas.sources import LineAccount, LineView
from connectors.formats.compression import unpacked
from connectors.formats.lines import fill, lines_of, unit
from connectors.formats.text import Text, blank, decoded, encoding_of, starts
from engine.model import Dialect, Shape
from engine.ports import Chunk

SHOWN = 20
NAMED = 100
_CUT = 2000


@dataclass
class Passed:
    """The lines that rows and faults stand on, noted while the chunks of a text go by."""

    encoding: str = "utf-8"
    rows: dict[int, int] = field(default_factory=dict)
    faults: dict[int, int] = field(default_factory=dict)
    end: int = 0

    def watch(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks, each noted once it has been taken and the next one is asked for."""
        for chunk in chunks:
            taken = chunk.proven
            yield taken
            self._note(taken)

    def _note(self, chunk: Chunk) -> None:
        first = range(chunk.first_line, chunk.first_line + chunk.rows)
        begins = [int(line) for line in chunk.lines] if chunk.lines is not None else list(first)
        # Only where the next row is further off than one line can a row be longer than one.
        gaps = [i for i, line in enumerate(begins) if i + 1 == len(begins) or begins[i + 1] > line + 1]
        lengths = (
            {i: _longer(raw, self.encoding) for i, raw in zip(gaps, chunk.raw(gaps), strict=True)}
            if gaps
            else {}
        )
        self.rows.update((line, lengths.get(i, 0)) for i, line in enumerate(begins))
        self.faults.update((fault.line, _longer(fault.raw, self.encoding)) for fault in chunk.faults)
        self.end = max(self.end, chunk.end)


def account(stream: BinaryIO, shape: Shape, passed: Passed, whole: bool) -> LineAccount | None:
    """How the physical lines of a text add up, as far as it was read; None for what has no lines to count."""
    dialect = shape.dialect
    if dialect is None or len(shape.options.get("members", ())) > 1:
        return None
    text = _text(stream, shape, dialect, passed.end, whole)
    kinds = _kinds(text, dialect, passed)
    odd = [i for i, kind in enumerate(kinds) if kind in ("rejected", "unaccounted")]
    count = {kind: kinds.count(kind) for kind in set(kinds)}
    return LineAccount(
        lines=len(kinds),
        rows=len(passed.rows),
        continued=count.get("continued", 0),
        rejected=count.get("rejected", 0),
        header=count.get("header", 0),
        skipped=count.get("skipped", 0),
        comments=count.get("comment", 0),
        blank=count.get("blank", 0),
        unaccounted=count.get("unaccounted", 0),
        whole=whole,
        first=[_view(text, i, kinds[i]) for i in range(min(SHOWN, len(kinds)))],
        odd=[_view(text, i, kinds[i]) for i in odd[:NAMED]],
    )


def _text(stream: BinaryIO, shape: Shape, dialect: Dialect, end: int, whole: bool) -> Text:
    """The text up to where it was read, its byte order mark left out; all of it where all was read."""
    stream.seek(0)
    member = next(iter(shape.options.get("members", [])), "")
    plain = unpacked(stream, shape.compression, member)
    plain = unpacked(plain, shape.options.get("inner", "none"))
    data = fill(plain, 1 << 26 if whole else max(end, 1))
    mark, encoding = encoding_of(dialect, data[:4])
    return decoded(data[mark:], encoding)


def _kinds(text: Text, dialect: Dialect, passed: Passed) -> list[str]:
    """What each line is, in order."""
    first = min([*passed.rows, *passed.faults], default=len(text.lines) + 1)
    comment = dialect.comment.encode()
    found: list[str] = []
    headed = not dialect.header
    left, going = 0, ""
    for line in range(1, len(text.lines) + 1):
        if left:
            left -= 1
            found.append("continued" if going == "row" else going)
        elif line in passed.rows:
            left, going = passed.rows[line], "row"
            found.append("row")
        elif line in passed.faults:
            left, going = passed.faults[line], "rejected"
            found.append("rejected")
        elif blank(text, line - 1):
            found.append("blank")
        elif comment and starts(text, line - 1, comment):
            found.append("comment")
        elif line <= dialect.skip_lines:
            found.append("skipped")
        elif line < first and not headed:
            # A quoted name may hold line ends: what follows up to the first row belongs to the header.
            found.append("header")
        else:
            found.append("unaccounted")
    return found


def _view(text: Text, line: int, kind: str) -> LineView:
    raw = text.raw(line, line)[:_CUT]
    return LineView(line=line + 1, text=raw.decode(errors="backslashreplace"), read_as=kind)


def _longer(raw: bytes, encoding: str) -> int:
    """How many more lines a row goes on for after its first."""
    return max(len(lines_of(raw, unit(encoding))) - 1, 0)
