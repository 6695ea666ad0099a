"""The formats we read, and how the right one is found for a payload.

`sniff(stream, name)` gives a payload's shape, `reader(shape)` the format that reads it, compression
included. A new format is one module and one entry here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Protocol, runtime_checkable

from connectors.formats import dialect
from connectors.formats.articles import Articles
from connectors.formats.compression import compression_of, is_workbook, members, seekable, unpacked
from connectors.formats.delimited import Delimited
from connectors.formats.json_document import JsonDocument
from connectors.formats.limits import Refused, Unknown
from connectors.formats.lines import fill
from connectors.formats.misp import Misp
from connectors.formats.ndjson import Ndjson
from connectors.formats.parquet import Parquet
from connectors.formats.stix import Stix
from connectors.formats.workbook import Workbook
from connectors.formats.xml_records import XmlRecords
from engine.model import Shape
from engine.ports import Chunk, Format

CHUNK_BYTES = 1 << 24
_LOOK = 1 << 22  # how much of a packed file the text formats may look at

# in the order they are asked: the particular before the general
_ALL: tuple[Format, ...] = (
    Parquet(),
    Workbook(),
    Articles(),
    Stix(),
    Misp(),
    Ndjson(),
    JsonDocument(),
    XmlRecords(),
    Delimited(),
)
FORMATS: dict[str, Format] = {format.name: format for format in _ALL}

__all__ = ["FORMATS", "reader", "refit", "sniff"]


def sniff(stream: BinaryIO, name: str, format: str = "") -> Shape:
    """The shape of a payload, of any format or of the one named.

    Unknown where none fits; Locked, Damaged or Refused where it can't be opened or may not be.
    """
    how = compression_of(fill(stream, 8))
    stream.seek(0)
    if how == "zip" and is_workbook(stream):
        how = "none"
    stream.seek(0)
    if how == "none":
        return _found(stream, name, format)
    if how == "zip":
        return _archive(stream, name, format)
    inner = _look(stream, how, "", _bare(name), format)
    return inner.model_copy(update={"compression": how})


def reader(shape: Shape) -> Format:
    """The format that reads payloads of this shape, with their compression taken off."""
    format = FORMATS[shape.format]
    return format if shape.compression == "none" else Packed(format)


def refit(stream: BinaryIO, shape: Shape) -> Shape:
    """The shape once more after a person changed its dialect or options: fields and columns follow."""
    if shape.compression != "none":
        member = next(iter(shape.options.get("members", [])), "")
        stream = io.BytesIO(fill(_nested(unpacked(stream, shape.compression, member), shape), _LOOK))
    if shape.dialect is not None:
        return dialect.refit(stream, shape)
    format = FORMATS[shape.format]
    return format.refit(stream, shape) if isinstance(format, Refitted) else shape


@runtime_checkable
class Refitted(Protocol):
    """A format whose fields follow from options a person may change."""

    def refit(self, stream: BinaryIO, shape: Shape) -> Shape: ...


class Packed:
    """A format inside gzip, zip or zstd."""

    def __init__(self, format: Format) -> None:
        self.format = format
        self.name = format.name
        self.title = f"{format.title}, packed"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """The shape of the packed payload."""
        return sniff(stream, name)

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """The chunks of the contents; of a zip's members one after the other, lines counted on."""
        passed = 0
        for member in shape.options.get("members", [""]):
            stream.seek(0)
            inner = _nested(unpacked(stream, shape.compression, member), shape)
            last = 0
            for chunk in self.format.read(inner, shape, chunk_bytes):
                last = max(last, _last_line(chunk))
                yield chunk if not passed else _moved(chunk, passed)
            passed += last


def _last_line(chunk: Chunk) -> int:
    rows = (
        int(chunk.lines[-1]) if chunk.lines is not None and chunk.rows else chunk.first_line + chunk.rows - 1
    )
    return max([rows, *(fault.line for fault in chunk.faults)])


def _moved(chunk: Chunk, lines: int) -> Chunk:
    return replace(
        chunk,
        first_line=chunk.first_line + lines,
        lines=None if chunk.lines is None else chunk.lines + lines,
        faults=tuple(replace(fault, line=fault.line + lines) for fault in chunk.faults),
        prove=None if chunk.prove is None else lambda: _moved(chunk.proven, lines),
    )


def _nested(stream: BinaryIO, shape: Shape) -> BinaryIO:
    return unpacked(stream, shape.options.get("inner", "none"))


def _found(stream: BinaryIO, name: str, wanted: str) -> Shape:
    for format in _ALL:
        if wanted and format.name != wanted:
            continue
        stream.seek(0)
        shape = format.sniff(stream, name)
        if shape is not None:
            return shape
    raise Unknown(name, action="Look at its first bytes: it may be a format of its own, or damaged.")


def _archive(stream: BinaryIO, name: str, wanted: str) -> Shape:
    """The largest data file of a zip, together with every other of the same shape."""
    names = members(stream)
    if not names:
        raise Unknown(f"{name} is an empty archive")
    first = _look(stream, "zip", names[0], names[0], wanted)
    alike = [names[0]]
    others: list[str] = []
    for other in names[1:100]:
        try:
            shape = _look(stream, "zip", other, other, wanted)
        except Unknown:
            shape = None
        same = shape is not None and (shape.format, shape.fields) == (first.format, first.fields)
        (alike if same else others).append(other)
    others += names[100:]
    notes = list(first.notes)
    if len(alike) > 1:
        notes.append(f"{len(alike)} files of the archive are read, one after the other; lines are counted on")
    if others:
        notes.append(
            "not read from the archive: " + ", ".join(others[:20]) + (" …" if len(others) > 20 else "")
        )
    options = {**first.options, "members": sorted(alike)}
    return first.model_copy(update={"compression": "zip", "options": options, "notes": tuple(notes)})


def _look(stream: BinaryIO, how: str, member: str, name: str, wanted: str) -> Shape:
    """The shape of what is packed, from its beginning; of a format that must be whole, from all of it."""
    stream.seek(0)
    content = unpacked(stream, how, member)  # type: ignore[arg-type]
    head = fill(content, _LOOK)
    inner = compression_of(head)
    if inner == "zip" and is_workbook(io.BytesIO(head) if len(head) < _LOOK else _whole(stream, how, member)):
        inner = "none"
    if inner == "zip":
        raise Refused(f"{member or name} is an archive inside an archive. Unpack it first.")
    if inner != "none":
        head = fill(
            unpacked(io.BytesIO(head) if len(head) < _LOOK else _again(stream, how, member), inner), _LOOK
        )
        if compression_of(head) != "none":
            raise Refused(f"{member or name} is packed more than twice. Unpack it first.")
        shape = _found(io.BytesIO(head), _bare(name), wanted)
        return shape.model_copy(update={"options": {**shape.options, "inner": inner}})
    binary = head.startswith((b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
    whole = binary and len(head) == _LOOK
    return _found(_whole(stream, how, member) if whole else io.BytesIO(head), name, wanted)


def _again(stream: BinaryIO, how: str, member: str) -> BinaryIO:
    stream.seek(0)
    return unpacked(stream, how, member)  # type: ignore[arg-type]


def _whole(stream: BinaryIO, how: str, member: str) -> BinaryIO:
    content = _again(stream, how, member)
    return seekable(_Forward(content))  # type: ignore[arg-type]


class _Forward(io.RawIOBase):
    """A stream that owns up to not being seekable, so that it is spooled."""

    def __init__(self, inner: BinaryIO) -> None:
        self.inner = inner

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self.inner.read(size)


def _bare(name: str) -> str:
    for ending in (".gz", ".zst", ".zstd", ".gzip"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
