"""Outline: what a payload holds to choose from. Sheets, places where records may stand, files of an archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from connectors.formats import sniff
from connectors.formats.compression import members, unpacked
from connectors.formats.json_document import HEAD, loads, sampled
from connectors.formats.json_lines import fields_of
from connectors.formats.limits import Refused, Unknown
from connectors.formats.lines import bom, fill
from connectors.formats.skeleton import lists
from connectors.formats.workbook import Workbook
from connectors.formats.xml_records import counted
from engine.model import Shape

PLACES = 60
ROWS = 20
_FIELDS = 8
_LOOK = 1 << 22


@dataclass(frozen=True)
class Place:
    """Where records may stand in a document: the path (None: the document itself), and how many were seen."""

    path: tuple[str, ...] | None
    count: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A sheet of a workbook or a file of an archive, and how large it is (cells, bytes)."""

    name: str
    size: int
    chosen: bool


@dataclass(frozen=True)
class Outline:
    """Everything there is to choose from. Counts are of the beginning of the document where `cut` is true."""

    sheets: tuple[Part, ...] = ()
    first_rows: tuple[tuple[str, ...], ...] = ()
    places: tuple[Place, ...] = ()
    members: tuple[Part, ...] = ()
    cut: bool = False


def outline(stream: BinaryIO, shape: Shape) -> Outline:
    """What else could be read of a payload than what its shape reads."""
    files: tuple[Part, ...] = ()
    inner = stream
    stream.seek(0)
    read = list(shape.options.get("members", []))
    if shape.compression == "zip":
        infos = {info.filename: info.file_size for info in zipfile.ZipFile(stream).infolist()}
        stream.seek(0)
        files = tuple(Part(name, infos[name], name in read) for name in members(stream)[:500])
        stream.seek(0)
    if shape.compression != "none":
        plain = unpacked(stream, shape.compression, read[0] if read else "")
        plain = unpacked(plain, shape.options.get("inner", "none"))
        inner = io.BytesIO(fill(plain, _LOOK))
    if shape.format == "excel" and shape.compression == "none":
        return _workbook(inner, shape)
    if shape.format not in ("json", "xml"):
        return Outline(members=files)
    head = fill(inner, HEAD)
    places = _elements(head) if shape.format == "xml" else _lists(inner, head)
    return Outline(places=places[:PLACES], members=files, cut=len(head) == HEAD)


def of_members(stream: BinaryIO, names: Sequence[str]) -> Shape:
    """The shape of an archive of which just these files are read; Unknown where they don't share one."""
    shapes = [_member(stream, name) for name in names]
    if not shapes:
        raise Unknown("No file of the archive is chosen", action="Choose at least one.")
    first = shapes[0]
    for name, shape in zip(names, shapes, strict=True):
        if (shape.format, shape.fields) != (first.format, first.fields):
            raise Unknown(
                f"{name} has other fields than {names[0]}",
                action="Files read together need the same fields. Make a source of each instead.",
            )
    inner = {"inner": first.compression} if first.compression != "none" else {}
    notes = [note for note in first.notes if not note.startswith("not read from the archive")]
    if len(names) > 1:
        notes.append(f"{len(names)} files of the archive are read, one after the other; lines are counted on")
    options = {**first.options, **inner, "members": sorted(names)}
    return first.model_copy(update={"compression": "zip", "options": options, "notes": tuple(notes)})


def _member(stream: BinaryIO, name: str) -> Shape:
    stream.seek(0)
    head = fill(unpacked(stream, "zip", name), _LOOK)
    shape = sniff(io.BytesIO(head), name)
    if shape.compression == "zip" or (shape.format in ("excel", "parquet") and len(head) == _LOOK):
        raise Refused(f"{name} can't be read inside the archive.", action="Unpack it and load it alone.")
    return shape


def _workbook(stream: BinaryIO, shape: Shape) -> Outline:
    book, chosen = Workbook(), str(shape.options.get("sheet", ""))
    sizes = book.sizes(stream)
    stream.seek(0)
    rows = book.head(stream, chosen, ROWS) if chosen in sizes else []
    return Outline(
        sheets=tuple(Part(name, size, name == chosen) for name, size in sizes.items()),
        first_rows=tuple(tuple(row[:40]) for row in rows),
    )


def _elements(head: bytes) -> tuple[Place, ...]:
    counts, _ = counted(head)
    below: dict[tuple[str, ...], list[str]] = {}
    for path in counts:
        below.setdefault(path[:-1], []).append(path[-1])
    return tuple(Place(path, n, tuple(below.get(path, ())[:_FIELDS])) for path, n in counts.items())


def _lists(stream: BinaryIO, head: bytes) -> tuple[Place, ...]:
    """The lists of objects in a JSON document, and the document itself where it is no list."""
    text = head[bom(head)[0] :].lstrip()
    found: list[Place] = []
    if text[:1] == b"[":
        top = loads(text) if len(head) < HEAD else None
        found.append(Place((), len(top) if isinstance(top, list) else 0, _names(stream, ())))
    else:
        found.append(Place(None, 1, _names(stream, None)))
    seen = lists(text)
    for path in sorted(seen, key=lambda path: (len(path), -seen[path]))[:PLACES]:
        found.append(Place(path, seen[path], _names(stream, path) if len(found) <= 12 else ()))
    return tuple(found)


def _names(stream: BinaryIO, path: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(sampled(stream, path, 5))[:_FIELDS])
