"""STIX 2.0 and 2.1: bundles, TAXII envelopes, lists and lines of objects, every kind kept as it stands.

Observed data of 2.0 has its observables inside. They become rows of their own after it, on the same line; the
observed-data itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import orjson
import sqlglot
from sqlglot import exp

from connectors.formats.json_document import CHUNK_BYTES, HEAD, chunks, loads, path_of, record_path, sampled
from connectors.formats.json_lines import fields_of
from connectors.formats.limits import NESTING
from connectors.formats.lines import bom, fill, holds
from connectors.formats.ndjson import Ndjson
from connectors.formats.ndjson import sampled as sampled_lines
from engine.model import Mapping, Shape
from engine.observed import openable, opened
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
        if any(item.get("type") == "x-mitre-collection" for item in objects):
            # ATT&CK's releases say themselves that they are whole.
            options = {**options, "complete": True}
            notes.append("a whole collection: what a later reading no longer holds is shown as gone")
        if any(item.get("type") == "bundle" for item in objects):
            notes.append("a bundle inside the bundle is kept as one object, not opened")
        versions = sorted({str(item.get("spec_version", "2.0")) for item in objects})
        notes.append(f"STIX {', '.join(versions)}")
        fields = fields_of(objects, sources(mappings))
        return Shape(format=self.name, fields=fields, options=options, mappings=mappings, notes=tuple(notes))

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every object is a row, every other element a fault, in the order of the file."""
        if shape.options.get("lines"):
            found = Ndjson().read(stream, shape, chunk_bytes)
        else:
            found = chunks(stream, path_of(shape), chunk_bytes, int(shape.options.get("nesting", NESTING)))
        yield from map(_with_observables, found)


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


def _with_observables(chunk: Chunk) -> Chunk:
    """The chunk with what is inside observed-data of STIX 2.0 as further rows."""
    if not chunk.rows or not holds(chunk.data, b'"observed-data"'):
        return chunk
    if chunk.prove is not None:
        # What is opened must be read anyway, so nothing is taken at its word here.
        chunk = chunk.proven
    lines = [line for line in bytes(chunk.data).split(b"\n") if line.strip()]
    inside: dict[int, list[bytes]] = {}
    for at in openable(lines):
        value = loads(chunk.raw([at])[0])
        if found := opened(value) if isinstance(value, dict) else []:
            inside[at] = [orjson.dumps(each) for each in found]
    return _widened(chunk, lines, inside) if inside else chunk


def _widened(chunk: Chunk, lines: list[bytes], inside: dict[int, list[bytes]]) -> Chunk:
    """The chunk with the rows that stood inside some of its rows after them."""
    places = chunk.lines if chunk.lines is not None else np.arange(chunk.rows) + chunk.first_line
    parts, rows, texts = list[bytes](), list[tuple[int, int]](), list[bytes]()
    for at, line in enumerate(lines):
        parts.append(line)
        rows.append((at, -1))
        for text in inside.get(at, ()):
            parts.append(text)
            rows.append((at, len(texts)))
            texts.append(text)

    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [texts[rows[i][1]] if rows[i][1] >= 0 else chunk.raw([rows[i][0]])[0] for i in wanted]

    return replace(
        chunk,
        data=b"\n".join(parts) + b"\n",
        rows=len(rows),
        lines=places[np.array([at for at, _ in rows], np.int64)],
        raw=raw,
        longest=max(chunk.longest, *(len(text) + 1 for text in texts)) if chunk.longest else 0,
    )


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
