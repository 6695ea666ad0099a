"""Rows of undecoded values as the lines of a CSV, a batch at a time: what cannot be decoded is left to its reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO

from connectors.pieces import stream_of

Row = Sequence[bytes | None]
Writer = Callable[[bytes], bytes]


def csv_of(header: Sequence[str], fetch: Callable[[], Sequence[Row]], write: Sequence[Writer]) -> BinaryIO:
    """A stream of CSV: the header, then what `fetch` gives until it gives nothing, each column by its writer."""
    return stream_of(_Rows(header, fetch, write).following)


def field(value: bytes) -> bytes:
    """A text as a field of a CSV (RFC 4180)."""
    if b"," in value or b'"' in value or b"\n" in value or b"\r" in value:
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value


def hexadecimal(value: bytes) -> bytes:
    """Bytes that are no text, written as PostgreSQL does."""
    return b"\\x" + value.hex().encode()


def whole(value: bytes) -> bytes:
    """Bits as the whole number they are."""
    return str(int.from_bytes(value, "big")).encode()


class _Rows:
    def __init__(
        self, header: Sequence[str], fetch: Callable[[], Sequence[Row]], write: Sequence[Writer]
    ) -> None:
        self.fetch, self.writers = fetch, write
        self.plain, self.commas = all(each is field for each in write), len(write) - 1
        self.header = b",".join(field(name.encode()) for name in header) + b"\n"

    def following(self) -> bytes:
        if self.header:
            header, self.header = self.header, b""
            return header
        return b"".join(map(self._line, self.fetch()))

    def _line(self, row: Row) -> bytes:
        if self.plain:
            # Most rows hold nothing that needs quotes, and one look at the whole row is cheaper than one at each.
            line = b",".join([value or b"" for value in row])
            if line.count(b",") == self.commas and not (b'"' in line or b"\n" in line or b"\r" in line):
                return (line or b'""') + b"\n"
        fields = [
            b"" if value is None else write(value) for value, write in zip(row, self.writers, strict=True)
        ]
        # One field alone that is empty would be an empty line, which is no row in CSV.
        return (b",".join(fields) or b'""') + b"\n"
