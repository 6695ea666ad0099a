"""MISP events in every shape found on disk, as rows of all they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson

from connectors.formats.elements import Path, batches
from connectors.formats.json_document import CHUNK_BYTES, HEAD, loads, path_of
from connectors.formats.json_lines import fields_of
from connectors.formats.limits import KEPT_OF_A_FAULT, NESTING, OBJECT_BYTES
from connectors.formats.lines import bom, fill
from connectors.formats.misp_rows import Item, items, rows_of
from engine.model import Shape
from engine.ports import Chunk, Fault
from engine.targets import misp_mappings

EVENT_BYTES = 1 << 28
_OFFERED = (
    "row", "uuid", "event_uuid", "event_info", "event_date", "event_tags", "event_threat_level_id", "event_orgc",
    "object_uuid", "object_name", "object_relation", "type", "category", "value", "parts", "to_ids", "timestamp",
    "comment", "tags", "first_seen", "last_seen", "deleted", "distribution", "sharing", "inside", "info", "date",
    "published", "analysis", "threat_level_id", "publish_timestamp", "name", "meta-category", "description", "content",
    "attribute_uuid", "attribute_to_ids", "date_sighting", "source", "Organisation", "referenced_uuid",
    "referenced_type", "referenced_to_ids", "relationship_type", "known_as", "meta", "galaxy_name", "galaxy_type",
)  # fmt: skip
_EVENT_KEYS = ("Attribute", "Object", "threat_level_id", "analysis", "Orgc", "attribute_count")
_LIST = re.compile(rb'\s*\{\s*"response"\s*:\s*\[')
_ATTRIBUTES = re.compile(rb'\s*\{\s*"response"\s*:\s*\{\s*"Attribute"\s*:\s*\[')


class Misp:
    """Rows of MISP events, attribute and object collections, and feed manifests."""

    name = "misp"
    title = "MISP events"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """MISP where the documents are events, or collections of attributes or objects."""
        head = fill(stream, HEAD)
        text = head[bom(head)[0] :].lstrip()
        if text[:1] not in (b"{", b"[") or not any(
            b'"%b"' % key.encode() in text for key in (*_EVENT_KEYS, "Event")
        ):
            return None
        whole = loads(text) if len(head) < HEAD else None
        path: Path | None = () if text[:1] == b"[" else None
        options: dict[str, Any] = {}
        notes: list[str] = []
        if _LIST.match(text):
            path = ("response",)
        elif _ATTRIBUTES.match(text):
            path, options["of"] = ("response", "Attribute"), "attribute"
        elif isinstance(whole, dict) and _is_manifest(whole):
            options["of"] = "manifest"
            notes.append("a feed's manifest: it names events and holds none of their attributes")
        stream.seek(0)
        sample = self._sample(stream, path, options)
        if not sample and not (
            len(head) == HEAD and path is None and b'"Attribute"' in text and b'"info"' in text
        ):
            return None
        options["record_path"] = None if path is None else list(path)
        fields = fields_of(sample, _OFFERED)
        return Shape(
            format=self.name, fields=fields, options=options, mappings=misp_mappings(), notes=tuple(notes)
        )

    def _sample(self, stream: BinaryIO, path: Path | None, options: dict[str, Any]) -> list[Item]:
        rows: list[Item] = []
        for batch in batches(stream, path, HEAD, NESTING, EVENT_BYTES):
            for index in range(len(batch.starts)):
                value = loads(batch.element(index))
                if not isinstance(value, dict) or not (options.get("of") or _is_document(value)):
                    return []
                rows += [row for row, _ in rows_of(value, options.get("of", ""))]
                if len(rows) > 500:
                    return rows[:500]
            return rows
        return rows

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every event, object, attribute, proposal, report, sighting, reference and cluster is a row; what can't be read is a fault."""
        kind = str(shape.options.get("of", ""))
        page = _Page()
        for batch in batches(stream, path_of(shape), chunk_bytes, NESTING, EVENT_BYTES):
            pieces = {n: [p for p in batch.pieces if p.before == n] for n in {p.before for p in batch.pieces}}
            for index in range(len(batch.starts)):
                for piece in pieces.pop(index, ()):
                    page.fault(piece.data, piece.reason)
                text = batch.element(index)
                value = None if index in batch.bad else loads(text)
                if isinstance(value, dict):
                    for row, source in rows_of(value, kind):
                        page.add(row, source)
                        if page.size >= chunk_bytes:
                            yield page.chunk(batch.end)
                else:
                    page.fault(text[:KEPT_OF_A_FAULT], batch.bad.get(index, "not a JSON object"))
            for rest in pieces.values():
                for piece in rest:
                    page.fault(piece.data, piece.reason)
            if page.held:
                yield page.chunk(batch.end)


class _Page:
    """Rows and faults on their way into a chunk, numbered in order through the file."""

    def __init__(self) -> None:
        self.passed = 0
        self._clear()

    def _clear(self) -> None:
        self.parts: list[bytes] = []
        self.sources: list[Item] = []
        self.faults: list[Fault] = []
        self.places: list[int] = []
        self.size = 0

    @property
    def held(self) -> bool:
        return bool(self.parts or self.faults)

    def add(self, row: Item, source: Item) -> None:
        text = orjson.dumps(row)
        if len(text) > OBJECT_BYTES - 4096:
            self.fault(text[:KEPT_OF_A_FAULT], f"longer than {OBJECT_BYTES:,} bytes")
            return
        self.passed += 1
        self.places.append(self.passed)
        self.parts.append(text)
        self.sources.append(source)
        self.size += len(text)

    def fault(self, raw: bytes, why: str) -> None:
        self.passed += 1
        self.faults.append(Fault(self.passed, raw, why))

    def chunk(self, end: int) -> Chunk:
        sources, places = self.sources, np.array(self.places, np.int64)

        def raw(rows: Sequence[int]) -> list[bytes]:
            return [orjson.dumps(sources[i]) for i in rows]

        straight = not len(places) or int(places[-1]) - int(places[0]) == len(places) - 1
        chunk = Chunk(
            kind="lines",
            data=b"\n".join(self.parts) + b"\n" if self.parts else b"",
            rows=len(self.parts),
            first_line=self.places[0] if self.places else self.passed,
            lines=None if straight else places,
            faults=tuple(self.faults),
            raw=raw,
            end=end,
            longest=max(map(len, self.parts), default=0) + 1,
        )
        self._clear()
        return chunk


def _is_document(value: Item) -> bool:
    event = value.get("Event", value)
    if not isinstance(event, dict):
        return False
    if "Object" in event and isinstance(event["Object"], dict):
        return "Attribute" in event["Object"]
    if "info" in event and any(key in event for key in _EVENT_KEYS):
        return True
    things = [*items(event, "Object"), event]
    return any("type" in a and "value" in a for thing in things for a in items(thing, "Attribute"))


def _is_manifest(value: Item) -> bool:
    entries = list(value.items())
    return bool(entries) and all(
        len(uuid) == 36
        and isinstance(entry, dict)
        and "info" in entry
        and ("Orgc" in entry or "timestamp" in entry)
        for uuid, entry in entries[:100]
    )
