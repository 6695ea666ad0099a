"""A block of text in UTF-8 beside its source bytes, with the lines that cannot be read marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectors.formats.lines import LINE_LIMIT, Bytes, Lines, bom, lines_of, plain, unit
from engine.model import Dialect


@dataclass
class Text:
    """A block in UTF-8 beside its source: line i of one is line i of the other."""

    data: Bytes
    lines: Lines
    source: Bytes
    source_lines: Lines
    barriers: dict[int, str]

    def raw(self, first: int, last: int) -> bytes:
        """The source bytes from line `first` to line `last`, without the final line end."""
        begin, end = int(self.source_lines.starts[first]), int(self.source_lines.ends[last])
        return bytes(self.source[begin : min(end, begin + (1 << 20))])


def decoded(source: Bytes, encoding: str) -> Text:
    """The block in UTF-8; lines that cannot be, and lines no reader takes, become barriers."""
    kind = unit(encoding)
    source_lines = lines_of(source, kind)
    barriers: dict[int, str] = {}
    if encoding == "utf-8":
        data, lines = source, source_lines
        if not source.isascii():
            try:
                source.decode("utf-8")
            except UnicodeDecodeError:
                high = np.flatnonzero(np.frombuffer(source, np.uint8) >= 128)
                for line in np.unique(np.searchsorted(lines.nexts, high, "right")).tolist():
                    try:
                        source[int(lines.starts[line]) : int(lines.ends[line])].decode("utf-8")
                    except UnicodeDecodeError:
                        barriers[line] = "not decodable as utf-8"
    else:
        try:
            data = source.decode(encoding).encode("utf-8")
        except (UnicodeDecodeError, UnicodeEncodeError):
            data = _line_by_line(source, source_lines, encoding, barriers)
        lines = lines_of(data)
    if b"\0" in data:
        zeros = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
        for line in np.unique(np.searchsorted(lines.nexts, zeros, "right")).tolist():
            barriers.setdefault(line, "holds a NUL byte")
    lengths = lines.ends - lines.starts
    if len(lengths) and int(lengths.max()) > LINE_LIMIT:
        for line in np.flatnonzero(lengths > LINE_LIMIT).tolist():
            barriers.setdefault(line, f"longer than {LINE_LIMIT:,} bytes")
    return Text(data, lines, source, source_lines, barriers)


def _line_by_line(source: Bytes, lines: Lines, encoding: str, barriers: dict[int, str]) -> bytes:
    """UTF-8 of each line on its own; an undecodable one leaves an empty line and a barrier."""
    parts: list[bytes] = []
    for line, (begin, end) in enumerate(zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)):
        try:
            part = source[begin:end].decode(encoding).encode("utf-8")
            if b"\n" in part or b"\r" in part:
                raise UnicodeDecodeError(encoding, b"", 0, 1, "line end inside a character")
            parts.append(part)
        except (UnicodeDecodeError, UnicodeEncodeError):
            parts.append(b"")
            barriers[line] = f"not decodable as {encoding}"
    return b"".join(part + b"\n" for part in parts)


def level(text: Text) -> Bytes:
    """The text with each lone CR made LF, so that lines end in LF throughout."""
    stops = text.lines.nexts - 1
    units = np.frombuffer(text.data, np.uint8)
    lone = stops[units[stops] == 13]
    if not len(lone):
        return text.data
    level = bytearray(text.data)
    np.frombuffer(level, np.uint8)[lone] = 10
    return level


def starts(text: Text, line: int, mark: bytes) -> bool:
    """Whether the line begins with the mark."""
    return text.data.startswith(mark, int(text.lines.starts[line]))


def blank(text: Text, line: int) -> bool:
    """Whether nothing but blanks stands on the line."""
    begin, end = int(text.lines.starts[line]), int(text.lines.ends[line])
    return begin == end or (end - begin < 4096 and not text.data[begin:end].strip())


def encoding_of(dialect: Dialect, head: bytes) -> tuple[int, str]:
    """Length of the byte order mark to skip and the encoding to read in, byte order included."""
    mark, marked = bom(head)
    encoding = plain(dialect.encoding)
    if encoding in ("utf-16", "utf-32"):
        encoding = marked if marked.startswith(encoding) else encoding + "-le"
    return (mark if marked == encoding else 0), encoding
