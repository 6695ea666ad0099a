"""RSS and Atom: each entry a row, with its text, and what that text mentions.

Feeds are read by feedparser, which takes every version and most mistakes. Markup is taken off. Nothing is fetched
here: where the pages that entries link to came along with the feed, their text is read like the feed's own.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import orjson

from connectors.formats import followed
from connectors.formats.followed import Followed, Page
from connectors.formats.json_lines import fields_of
from connectors.formats.limits import KEPT_OF_A_FAULT, OBJECT_BYTES, Refused
from connectors.formats.lines import bom, fill
from connectors.formats.markup import main_text, plain
from connectors.formats.mentions import mentions
from engine.model import Shape
from engine.ports import Chunk, Fault
from engine.types import KINDS, evaluate

CHUNK_BYTES = 1 << 24
FEED_BYTES = 1 << 26
LONGEST = OBJECT_BYTES - 4096
TOO_MUCH = "more than one record holds"
_HEAD = 4096
_BEGINS = re.compile(r"<(?:\w+:)?(rss|feed|rdf)\b", re.IGNORECASE)
_OFFERED = (
    "guid", "title", "link", "published", "updated", "author", "categories", "summary", "text", "mentions", "unclear", "feed", "same_as",
)  # fmt: skip
_OF_PAGES = ("page", "page_text", "page_problem")
# What feedparser also notes of feeds that it read whole.
_HARMLESS = ("CharacterEncodingOverride", "NonXMLContentType")
_TELLING = {"guid", "title", "link", "summary", "text"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """An entry of a feed: its number, counted from 1, where it links to, and a digest of all it says."""

    number: int
    link: str
    digest: bytes


def entries(data: bytes) -> list[Entry] | None:
    """What a feed lists, in its order; None where the data is no feed."""
    parsed = _parsed(data)
    if not parsed["entries"] and not parsed.get("version"):
        return None
    return [
        Entry(number, str(entry.get("link") or ""), _digest(entry))
        for number, entry in enumerate(parsed["entries"], 1)
    ]


class Articles:
    """Rows of RSS 0.9 to 2.0, RSS 1.0 and Atom, in the order of the feed."""

    name = "articles"
    title = "RSS and Atom"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """A feed is XML whose first element is rss, rdf or feed, and which has entries."""
        head = fill(stream, _HEAD)
        with_pages = head.startswith(followed.BEGINS)
        mark, encoding = bom(head)
        text = head[mark:].decode(encoding or "latin-1", "ignore").lstrip()
        if not with_pages and (not text.startswith("<") or not _BEGINS.search(text)):
            return None
        stream.seek(0)
        told = _told(fill(stream, FEED_BYTES))
        parsed = _parsed(told.feed)
        rows = [row for _, row in _rows(parsed, told)]
        # Other XML has elements called feed and item as well, and says nothing in them that we would find.
        if not with_pages and not any(_TELLING & row.keys() for row in rows):
            return None
        notes = [f"{parsed['version']}: each entry is a row; `mentions` is a list of what its text names"]
        if with_pages:
            notes.append("`page_text` is the text of the page that the entry links to")
        offered = (*_OFFERED, *_OF_PAGES) if with_pages else _OFFERED
        return Shape(format=self.name, fields=fields_of(rows, offered), notes=tuple(notes))

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every entry is a row; a feed that is broken off or malformed ends with a fault that says so."""
        data = fill(stream, FEED_BYTES + 1)
        if len(data) > FEED_BYTES:
            raise Refused(f"A feed has at most {FEED_BYTES:,} bytes.")
        told = _told(data)
        parsed = _parsed(told.feed)
        lines, faults = list[bytes](), list[Fault]()
        places = list[int]()
        for number, row in _rows(parsed, told):
            text = orjson.dumps(row)
            if len(text) > LONGEST and "page_text" in row:
                text = orjson.dumps(next(_mentioning([{**row, "page_text": None, "page_problem": TOO_MUCH}])))
            if len(text) > LONGEST:
                faults.append(Fault(number, text[:KEPT_OF_A_FAULT], f"longer than {OBJECT_BYTES:,} bytes"))
            else:
                lines.append(text)
                places.append(number)
        wrong = parsed.get("bozo_exception")
        if told.first and wrong is not None and type(wrong).__name__ not in _HARMLESS:
            reason = str(wrong)[:200]
            faults.append(
                Fault(len(parsed["entries"]) + 1, told.feed[-KEPT_OF_A_FAULT:], f"malformed: {reason}")
            )
        yield _chunk(lines, places, faults, len(data))


def _told(data: bytes) -> Followed:
    """What is told of a feed: of a feed alone, every entry."""
    return followed.unpacked(data) if data.startswith(followed.BEGINS) else Followed(data)


def _parsed(data: bytes) -> Any:
    if b"<!ENTITY" in data[: 1 << 16]:
        raise Refused("The feed declares entities, which may expand without end.")
    import feedparser  # a tenth of a second, and few sources are feeds

    # A stream, never a text: feedparser would fetch a text that looks like an address.
    return feedparser.parse(io.BytesIO(data), resolve_relative_uris=False, sanitize_html=False)


def _digest(entry: Any) -> bytes:
    """Of all that a row is made of, as the feed has it."""
    said = [
        *(
            dict.get(entry, name)
            for name in ("id", "link", "title", "published", "updated", "author", "summary")
        ),
        [each.get("value") for each in entry.get("content", ())],
        [tag.get("term") for tag in entry.get("tags", ())],
    ]
    return hashlib.sha256(orjson.dumps(said, default=str)).digest()


def _rows(parsed: Any, told: Followed) -> Iterator[tuple[int, Row]]:
    """The entries that are told, by number, each with its page and what it mentions."""
    rows = [_row(entry, parsed) for entry in parsed["entries"]]
    pages = {number: page for page in told.pages for number in page.entries}
    wanted = range(1, len(rows) + 1) if told.entries is None else sorted({*told.entries})
    twins = _twins(rows, {number - 1 for number in wanted})
    numbers = [number for number in wanted if 1 <= number <= len(rows)]
    told_rows = [
        {
            **rows[number - 1],
            "same_as": twins.get(number - 1),
            "page_problem": told.missed.get(number),
            **(_of_page(pages[number]) if number in pages else {}),
        }
        for number in numbers
    ]
    yield from zip(numbers, _mentioning(told_rows), strict=True)


def _of_page(page: Page) -> Row:
    read = main_text(page.body, page.media_type, page.packing)
    return {"page": page.url, "page_text": read.text, "page_problem": read.problem}


def _mentioning(rows: list[Row]) -> Iterator[Row]:
    """The rows with what their texts mention, and without what they lack.

    What no kind of indicator takes (a version number, an address that is cut off) stands apart, so that it can't
    reject the others of its row.
    """
    found = []
    for row in rows:
        texts = [row.get("title"), row.get("text") or row.get("summary"), row.get("page_text")]
        found.append(mentions("\n".join(text or "" for text in texts)))
    values = list({each.value for row in found for each in row})
    forms = dict(zip(values, evaluate(KINDS["indicator"].canonical, values), strict=True))
    for row, named in zip(rows, found, strict=True):
        clear = [vars(each) for each in named if forms[each.value] is not None]
        unclear = [vars(each) for each in named if forms[each.value] is None]
        row = {**row, "mentions": clear, "unclear": unclear}
        yield {name: value for name, value in row.items() if value not in (None, "", [])}


def _twins(rows: Sequence[Row], told: set[int]) -> dict[int, str]:
    """For entries that say what an older one of another guid says, title and text, that one's guid.

    Older is what was published before; where no date tells, what was read before, then what stands further down.
    """
    first: dict[tuple[str, str], str] = {}
    found = {}
    for at in sorted(range(len(rows)), key=lambda at: (rows[at]["published"] or "", at in told, -at)):
        row = rows[at]
        if not row["text"] or not row["guid"]:
            continue
        says = (row["title"] or "", " ".join(row["text"].split()))
        if first.setdefault(says, row["guid"]) != row["guid"]:
            found[at] = first[says]
    return found


def _row(entry: Any, parsed: Any) -> Row:
    contents = [plain(str(each.get("value", ""))) for each in entry.get("content", ())]
    summary = plain(str(entry.get("summary", "")))
    text = "\n".join(dict.fromkeys(filter(None, contents or [summary])))
    return {
        "guid": entry.get("id") or entry.get("link"),
        "title": plain(str(entry.get("title", ""))) or None,
        "link": entry.get("link"),
        "published": _moment(entry.get("published_parsed")),
        # Its own `get` gives the time of publishing where there is none of updating.
        "updated": _moment(dict.get(entry, "updated_parsed")),
        "author": entry.get("author"),
        "categories": [tag.get("term") for tag in entry.get("tags", ()) if tag.get("term")],
        "summary": summary or None,
        "text": text or None,
        "feed": parsed["feed"].get("title"),
    }


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
