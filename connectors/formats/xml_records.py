"""XML by record path: each element at the path becomes a row, read as a stream.

Names lose their namespace. An attribute is a field `@name`, an element with text alone is that text, one
that has attributes or children too is an object with the text as `#text`; what repeats is a list.
DTDs and entities are refused, so nothing expands and nothing is fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson
from lxml import etree

from connectors.formats.json_lines import fields_of
from connectors.formats.limits import KEPT_OF_A_FAULT, NESTING, OBJECT_BYTES, Damaged, Refused
from connectors.formats.lines import bom, fill
from engine.model import Shape
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
HEAD = 1 << 22
_PIECE = 1 << 18
_SAMPLE = 200

# Where the records of published formats stand: STIX 1.x (stix_core.xsd) and OpenIOC 1.0 and 1.1 (ioc.xsd).
_KNOWN = (
    ("STIX_Package", "Indicators", "Indicator"),
    ("STIX_Package", "Observables", "Observable"),
    ("ioc", "definition", "**", "IndicatorItem"),
    ("OpenIOC", "criteria", "**", "IndicatorItem"),
)

Record = dict[str, Any]


class XmlRecords:
    """Rows of XML, the path of their elements in `options["record_path"]` (names from the root down).

    `**` in the path stands for any elements between, so that records are found however deep they are nested.
    """

    name = "xml"
    title = "XML"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """XML begins with `<` and parses; its records are the elements that repeat most."""
        head = fill(stream, HEAD)
        mark, encoding = bom(head)
        text = head[mark:].decode(encoding or "latin-1", "ignore").lstrip()
        if not text.startswith("<") or text[:15].lower().startswith(("<!doctype html", "<html")):
            return None
        if not name.lower().endswith((".xml", ".rss", ".atom")) and not text.startswith(
            ("<?xml", "<rss", "<feed")
        ):
            return None
        path = _repeated(head)
        if path is None:
            return None
        records = _sampled(stream, path)
        notes: tuple[str, ...] = (
            f"the records are the elements at {'/'.join(path)}",
            "namespaces are left out of names",
        )
        if not records:
            notes += ("the XML breaks off or is malformed before its first record ends",)
        return Shape(
            format=self.name, fields=fields_of(records), options={"record_path": list(path)}, notes=notes
        )

    def refit(self, stream: BinaryIO, shape: Shape) -> Shape:
        """The fields at the record path a person chose."""
        return shape.model_copy(update={"fields": fields_of(_sampled(stream, _path(shape)))})

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every element at the path is a row; where the file breaks off or is malformed stands one fault."""
        path = _path(shape)
        rows: list[bytes] = []
        sources: list[bytes] = []
        faults: list[Fault] = []
        places: list[int] = []
        size = number = 0
        for item in _records(stream, path, int(shape.options.get("nesting", NESTING))):
            number += 1
            if isinstance(item, Fault):
                faults.append(Fault(number, item.raw, item.reason))
                continue
            text = orjson.dumps(item[0])
            if len(text) > OBJECT_BYTES - 4096:
                faults.append(Fault(number, text[:KEPT_OF_A_FAULT], f"longer than {OBJECT_BYTES:,} bytes"))
                continue
            rows.append(text)
            sources.append(item[1])
            places.append(number)
            size += len(text)
            if size >= chunk_bytes:
                yield _chunk(rows, sources, faults, places)
                rows, sources, faults, places, size = [], [], [], [], 0
        if rows or faults:
            yield _chunk(rows, sources, faults, places)


def _path(shape: Shape) -> tuple[str, ...]:
    given = shape.options.get("record_path", [])
    return tuple(given.strip("/").split("/") if isinstance(given, str) else given)


def _sampled(stream: BinaryIO, path: tuple[str, ...]) -> list[Record]:
    stream.seek(0)
    records: list[Record] = []
    for item in _records(stream, path):
        if isinstance(item, Fault) or len(records) >= _SAMPLE:
            break
        records.append(item[0])
    return records


def _chunk(rows: list[bytes], sources: list[bytes], faults: list[Fault], places: list[int]) -> Chunk:
    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [sources[i] for i in wanted]

    straight = not places or places[-1] - places[0] == len(places) - 1
    return Chunk(
        kind="lines",
        data=b"".join(row + b"\n" for row in rows),
        rows=len(rows),
        first_line=places[0] if places else faults[0].line,
        lines=None if straight else np.array(places, np.int64),
        faults=tuple(faults),
        raw=raw,
        end=places[-1] if places else faults[-1].line,
    )


def _events(stream: BinaryIO, parser: etree.XMLPullParser) -> Iterator[tuple[str, Any]]:
    while data := stream.read(_PIECE):
        parser.feed(data)
        yield from parser.read_events()
    parser.close()
    yield from parser.read_events()


def _parser() -> etree.XMLPullParser:
    return etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def _records(
    stream: BinaryIO, path: tuple[str, ...], nesting: int = NESTING
) -> Iterator[tuple[Record, bytes] | Fault]:
    """Each record with its source text; a Fault where the XML cannot be read on."""
    trail: list[str] = []
    inside = 0  # how deep the record lies that is being read
    parser = _parser()
    try:
        for event, element in _events(stream, parser):
            if event == "start":
                _refuse_doctype(element)
                trail.append(_local(element.tag))
                if not inside and _leads_to(path, trail):
                    inside = len(trail)
                if len(trail) > len(path) + nesting:
                    raise Refused(
                        f"XML nested more than {nesting} levels deep, near line {element.sourceline}."
                    )
                continue
            here = len(trail)
            trail.pop()
            if here == inside:
                inside = 0
                value = record(element)
                source = etree.tostring(element, with_tail=False)
                yield (value if isinstance(value, dict) else {"#text": value}), source
            if not inside:
                _forget(element)
    except etree.XMLSyntaxError as error:
        _refuse_bomb(error)
        yield Fault(0, b"", f"the XML cannot be read on: {error.msg}")


def _leads_to(path: Sequence[str], trail: Sequence[str]) -> bool:
    """Whether a record stands at the end of this trail."""
    if "**" not in path:
        return len(path) == len(trail) and all(map(str.__eq__, path, trail))
    at = path.index("**")
    before, after = path[:at], path[at + 1 :]
    rest = len(trail) - len(after)
    return (
        at <= rest and list(trail[:at]) == list(before) and list(trail[rest:]) == list(after) and bool(after)
    )


def _forget(element: Any) -> None:
    """Let go of an element that has been read and of what stood before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _refuse_bomb(error: etree.XMLSyntaxError) -> None:
    if any(
        word in str(error.msg)
        for word in ("depth", "amplification", "entity reference loop", "XML_PARSE_HUGE")
    ):
        raise Refused(f"The XML is nested too deeply or grows when read: {error.msg}") from error


def _refuse_doctype(element: Any) -> None:
    if element.getparent() is None:
        info = element.getroottree().docinfo
        if info.internalDTD is not None and (info.internalDTD.entities() or info.system_url):
            raise Refused("The XML declares entities or an outside DTD (a DOCTYPE at its head).")


def record(element: Any) -> Any:
    """The element as plain data: text, or an object of attributes, children and text."""
    children = [child for child in element if isinstance(child.tag, str)]
    text = (element.text or "") + "".join(child.tail or "" for child in element)
    text = text.strip()
    if not children and not element.attrib:
        return text or None
    found: Record = {f"@{_local(name)}": str(value) for name, value in element.attrib.items()}
    for child in children:
        name, value = _local(child.tag), record(child)
        if name in found:
            before = found[name]
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    if text:
        found["#text"] = text
    return found


def counted(head: bytes) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """How often each path of elements stands in the beginning of a document, and how much is in them."""
    counts: Counter[tuple[str, ...]] = Counter()
    rich: Counter[tuple[str, ...]] = Counter()
    trail: list[str] = []
    parser = _parser()
    try:
        parser.feed(head)
        events: Iterator[tuple[str, Any]] = parser.read_events()
        for event, element in events:
            if event == "start":
                _refuse_doctype(element)
                trail.append(_local(element.tag))
                if len(trail) <= 6:
                    counts[tuple(trail)] += 1
                    rich[tuple(trail)] += bool(element.attrib)
                    rich[tuple(trail[:-1])] += 1
            else:
                trail.pop()
    except etree.XMLSyntaxError as error:
        _refuse_bomb(error)
        if not counts and head.lstrip()[:5] == b"<?xml":
            raise Damaged(f"the XML: {error.msg}") from error
    return counts, rich


def _repeated(head: bytes) -> tuple[str, ...] | None:
    """The path of the elements that repeat most near the root; the root's children where nothing repeats."""
    counts, rich = counted(head)
    if not counts:
        return None
    for known in _KNOWN:
        if any(_leads_to(known, path) for path in counts):
            return known
    repeated = {path: n for path, n in counts.items() if n > 1 and rich[path]}
    if not repeated:  # a document of one record: the root's first child, or the root
        return list(counts)[:2][-1]
    return max(repeated, key=lambda path: (repeated[path] * (0.2 ** (len(path) - 2)), -len(path)))
