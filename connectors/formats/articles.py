"""RSS and Atom: each entry a row, with its text, and what that text mentions.

Feeds are read by feedparser, which takes every version and most mistakes. Markup is taken off; nothing that an
entry names is fetched.
"""

from __future__ import annotations

import calendar
import io
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson

from connectors.formats.json_lines import fields_of
from connectors.formats.limits import KEPT_OF_A_FAULT, OBJECT_BYTES, Refused
from connectors.formats.lines import bom, fill
from connectors.formats.mentions import mentions
from engine.model import Shape
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
FEED_BYTES = 1 << 26
_HEAD = 4096
_BEGINS = re.compile(r"<(?:\w+:)?(rss|feed|rdf)\b", re.IGNORECASE)
_OFFERED = (
    "guid", "title", "link", "published", "updated", "author", "categories", "summary", "text", "mentions", "feed",
)  # fmt: skip
# What feedparser also notes of feeds that it read whole.
_HARMLESS = ("CharacterEncodingOverride", "NonXMLContentType")
_TELLING = {"guid", "title", "link", "summary", "text"}
Row = dict[str, Any]


class Articles:
    """Rows of RSS 0.9 to 2.0, RSS 1.0 and Atom, in the order of the feed."""

    name = "articles"
    title = "RSS and Atom"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """A feed is XML whose first element is rss, rdf or feed, and which has entries."""
        head = fill(stream, _HEAD)
        mark, encoding = bom(head)
        text = head[mark:].decode(encoding or "latin-1", "ignore").lstrip()
        if not text.startswith("<") or not _BEGINS.search(text):
            return None
        stream.seek(0)
        parsed = _parsed(fill(stream, FEED_BYTES))
        rows = [_row(entry, parsed) for entry in parsed["entries"]]
        # Other XML has elements called feed and item as well, and says nothing in them that we would find.
        if not any(_TELLING & row.keys() for row in rows):
            return None
        notes = (f"{parsed['version']}: each entry is a row; `mentions` is a list of what its text names",)
        return Shape(format=self.name, fields=fields_of(rows, _OFFERED), notes=notes)

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every entry is a row; a feed that is broken off or malformed ends with a fault that says so."""
        data = fill(stream, FEED_BYTES + 1)
        if len(data) > FEED_BYTES:
            raise Refused(f"A feed has at most {FEED_BYTES:,} bytes.")
        parsed = _parsed(data)
        lines, faults = list[bytes](), list[Fault]()
        places = list[int]()
        for number, entry in enumerate(parsed["entries"], 1):
            text = orjson.dumps(_row(entry, parsed))
            if len(text) > OBJECT_BYTES - 4096:
                faults.append(Fault(number, text[:KEPT_OF_A_FAULT], f"longer than {OBJECT_BYTES:,} bytes"))
            else:
                lines.append(text)
                places.append(number)
        wrong = parsed.get("bozo_exception")
        if wrong is not None and type(wrong).__name__ not in _HARMLESS:
            reason = str(wrong)[:200]
            faults.append(Fault(len(parsed["entries"]) + 1, data[-KEPT_OF_A_FAULT:], f"malformed: {reason}"))
        yield _chunk(lines, places, faults, len(data))


def _parsed(data: bytes) -> Any:
    if b"<!ENTITY" in data[: 1 << 16]:
        raise Refused("The feed declares entities, which may expand without end.")
    import feedparser  # a tenth of a second, and few sources are feeds

    # A stream, never a text: feedparser would fetch a text that looks like an address.
    return feedparser.parse(io.BytesIO(data), resolve_relative_uris=False, sanitize_html=False)


def _row(entry: Any, parsed: Any) -> Row:
    contents = [str(each.get("value", "")) for each in entry.get("content", ())]
    summary = _plain(str(entry.get("summary", "")))
    text = "\n".join(dict.fromkeys(filter(None, [_plain(content) for content in contents] or [summary])))
    row: Row = {
        "guid": entry.get("id") or entry.get("link"),
        "title": _plain(str(entry.get("title", ""))) or None,
        "link": entry.get("link"),
        "published": _moment(entry.get("published_parsed")),
        # Its own `get` gives the time of publishing where there is none of updating.
        "updated": _moment(dict.get(entry, "updated_parsed")),
        "author": entry.get("author"),
        "categories": [tag.get("term") for tag in entry.get("tags", ()) if tag.get("term")],
        "summary": summary or None,
        "text": text or None,
        "mentions": [vars(each) for each in mentions(f"{entry.get('title', '')}\n{text or summary}")],
        "feed": parsed["feed"].get("title"),
    }
    return {name: value for name, value in row.items() if value not in (None, [])}


def _plain(markup: str) -> str:
    """A text without its markup, paragraphs apart."""
    if "<" not in markup and "&" not in markup:
        return markup.strip()
    from lxml import etree, html

    try:
        tree = html.fragment_fromstring(markup, create_parent="div")
    except (etree.ParserError, ValueError):
        return re.sub(r"<[^>]*>", " ", markup).strip()
    for element in tree.iter("script", "style"):
        element.text = None
    for element in tree.iter("p", "br", "li", "tr", "div", "h1", "h2", "h3", "h4", "td", "pre"):
        element.tail = "\n" + (element.tail or "")
    lines = (" ".join(line.split()) for line in str(tree.text_content()).splitlines())
    return "\n".join(line for line in lines if line)


def _moment(parsed: time.struct_time | None) -> str | None:
    if parsed is None:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(calendar.timegm(parsed)))
    except (ValueError, OverflowError):
        return None


def _chunk(lines: list[bytes], places: list[int], faults: list[Fault], end: int) -> Chunk:
    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [lines[i] for i in wanted]

    straight = not places or places[-1] - places[0] == len(places) - 1
    return Chunk(
        kind="lines",
        data=b"".join(line + b"\n" for line in lines),
        rows=len(lines),
        first_line=places[0] if places else 1,
        lines=None if straight else np.array(places, np.int64),
        faults=tuple(faults),
        raw=raw,
        end=end,
    )
