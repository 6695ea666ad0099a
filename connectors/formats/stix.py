"""STIX 2.0 and 2.1: bundles, TAXII envelopes, lists and lines of objects, every kind kept as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import sqlglot
from sqlglot import exp

from connectors.formats.json_document import CHUNK_BYTES, HEAD, chunks, loads, path_of, record_path, sampled
from connectors.formats.json_lines import fields_of
from connectors.formats.limits import NESTING
from connectors.formats.lines import bom, fill
from connectors.formats.ndjson import Ndjson
from connectors.formats.ndjson import sampled as sampled_lines
from engine.model import Mapping, Shape
from engine.ports import Chunk
from engine.targets import stix_mappings


class Stix:
    """Rows of STIX: one object each. A bundle's own id and type are not rows."""

    name = "stix"
    title = "STIX 2.0 and 2.1"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """STIX where most objects have a type and an id that begins with it."""
        head = fill(stream, HEAD)
        if b'"type"' not in head or b"--" not in head:
            return None
        stream.seek(0)
        lines, looked = sampled_lines(stream)
        if looked > 1 and lines and _mostly(lines):
            return self._shape(lines, {"lines": True})
        for path in _paths(head):
            objects = sampled(stream, path)
            if objects and _mostly(objects):
                return self._shape(objects, {"record_path": None if path is None else list(path)})
        return None

    def _shape(self, objects: list[dict[str, Any]], options: dict[str, Any]) -> Shape:
        mappings = stix_mappings()
        notes = []
        if any(item.get("type") == "bundle" for item in objects):
            notes.append("a bundle inside the bundle is kept as one object, not opened")
        versions = sorted({str(item.get("spec_version", "2.0")) for item in objects})
        notes.append(f"STIX {', '.join(versions)}")
        fields = fields_of(objects, sources(mappings))
        return Shape(format=self.name, fields=fields, options=options, mappings=mappings, notes=tuple(notes))

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every object is a row, every other element a fault, in the order of the file."""
        if shape.options.get("lines"):
            yield from Ndjson().read(stream, shape, chunk_bytes)
        else:
            yield from chunks(stream, path_of(shape), chunk_bytes, int(shape.options.get("nesting", NESTING)))


def sources(mappings: tuple[Mapping, ...]) -> list[str]:
    """Every source field the mappings read, so that it is offered even where no sampled row has it."""
    names: dict[str, None] = {}
    for mapping in mappings:
        texts = [mapping.where, *(field.sql for field in mapping.fields)]
        for field in mapping.fields:
            if field.source:
                names[field.source] = None
        for text in filter(None, texts):
            names.update(
                {c.name: None for c in sqlglot.parse_one(text, dialect="duckdb").find_all(exp.Column)}
            )
    names.pop("_raw", None)
    return list(names)


def is_object(value: dict[str, Any]) -> bool:
    """Whether it looks like a STIX object."""
    kind, identifier = value.get("type"), value.get("id")
    return isinstance(kind, str) and isinstance(identifier, str) and identifier.startswith(kind + "--")


def _mostly(objects: list[dict[str, Any]]) -> bool:
    known = sum(is_object(item) for item in objects)
    bundles = sum(item.get("type") == "bundle" and "objects" in item for item in objects)
    return known * 2 > len(objects) and not bundles * 2 > len(objects)


def _paths(head: bytes) -> Iterator[tuple[str, ...] | None]:
    """Where objects may stand: the document itself, `objects` of each document, or the longest list."""
    text = head[bom(head)[0] :].lstrip()
    if text[:1] == b"[":
        yield ()
        return
    value = loads(text)
    if isinstance(value, dict) and is_object(value) and value.get("type") != "bundle":
        yield None
    yield ("objects",)
    found = record_path(head)
    if found and found != ("objects",):
        yield found
