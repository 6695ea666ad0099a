"""Text without its markup: of what a feed says, and of the main part of a web page.

Pages are a stranger's: whatever one holds, reading it takes time in proportion to its size.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from html import unescape
from typing import Any

from connectors.formats.lines import bom

PAGE_BYTES = 4 << 20
TEXT = 1 << 20
PACKINGS = ("", "identity", "gzip", "x-gzip")
# Where a line ends; a line feed in markup is a space.
_BREAK = "\u2028"
_BLOCKS = frozenset((
    "p", "br", "hr", "li", "dt", "dd", "tr", "table", "div", "section", "article", "main", "header", "blockquote",
    "figcaption", "pre", "h1", "h2", "h3", "h4", "h5", "h6",
))  # fmt: skip
_CELLS = frozenset(("td", "th"))
_SILENT = frozenset((
    "head", "script", "style", "noscript", "template", "svg", "iframe", "object", "select", "button", "textarea",
))  # fmt: skip
_BESIDE = frozenset(("nav", "footer", "aside"))
# How far a text stands from what a page is about: in it, in a header, beside it.
_IN, _ABOVE, _ASIDE = range(3)
# An article that holds less of its page than this is one of several, or a teaser.
_MOST_OF_IT = 1 / 3
_HEAD = 4096
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
# Not all that Python knows: decoding Punycode takes the square of its length.
_ENCODING = re.compile(
    r"utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp(125\d|866|874|932|949|950)|koi8-[ru]|shift_jis|euc_(jp|kr)|iso2022_jp|"
    r"gb(2312|k|18030)|big5(hkscs)?|mac-(roman|cyrillic)"
)


@dataclass(frozen=True)
class Read:
    """A page's text, "" where there is none, and what is wrong with it."""

    text: str
    problem: str = ""


def plain(markup: str) -> str:
    """A text without its markup, paragraphs apart."""
    return _read(markup).text(_ASIDE) if "<" in markup else unescape(markup).strip()


def main_text(body: bytes, media_type: str, packing: str = "") -> Read:
    """What a page says in its main part, its bytes as a server gave them."""
    if packing not in ("", "identity"):
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = unpacking.decompress(body, PAGE_BYTES)
        except zlib.error:
            return Read("", "its packing is damaged")
        if unpacking.unconsumed_tail:
            return Read("", f"larger than {PAGE_BYTES >> 20} MiB")
    text = _decoded(body, media_type)
    if not media_type.lower().startswith("text/plain"):
        text = _main(_read(text))
    text = text.strip()
    if len(text) > TEXT:
        return Read(text[:TEXT], f"only the first {TEXT:,} characters of it are read")
    return Read(text, "" if text else "there is no text in it")


def _decoded(body: bytes, media_type: str) -> str:
    """The text in the first encoding that is named, or likely, and fits: servers and pages both err."""
    mark, marked = bom(body[:4])
    with suppress(UnicodeDecodeError):
        if mark:
            return body[mark:].decode(marked)
    told = Message()
    told["content-type"] = media_type
    named = [str(told.get_param("charset") or ""), *(m.decode() for m in _CHARSET.findall(body[:_HEAD]))]
    for name in [*named, "utf-8"]:
        with suppress(LookupError, ValueError):
            encoding = codecs.lookup(name).name
            if encoding == "iso8859-1":
                encoding = "cp1252"  # as every browser does
            if _ENCODING.fullmatch(encoding):
                return body.decode(encoding)
    return body.decode("cp1252", "replace")


def _main(page: _Written) -> str:
    """Of a page what is marked as main, or all but its surroundings; of that the article, where it is most of it."""
    if page.main:
        begin, end, farthest = *page.main, _ABOVE
    else:
        begin, end, farthest = 0, len(page.pieces), _IN
    whole = page.text(farthest, begin, end) or page.text(_ASIDE)
    inside = (page.text(_ABOVE, *span) for span in page.articles if begin <= span[0] and span[1] <= end)
    article = max(inside, key=len, default="")
    return article if len(article) > len(whole) * _MOST_OF_IT else whole


def _read(markup: str) -> _Written:
    from lxml import etree  # a tenth of a second, and few sources hold markup

    written = _Written()
    # Told as it is read: a tree takes the square of an element's attributes to build, and ends at a certain depth.
    target: Any = written
    parser = etree.HTMLParser(target=target, encoding="utf-8")
    with suppress(etree.ParserError):  # nothing in it
        etree.fromstring(markup.replace("\0", "").encode("utf-8", "replace") or b" ", parser)
    return written


class _Written:
    """All texts of a page as they come, each with how far from its subject it stands, and where its parts begin and end.

    A line ends at each block; what is laid out beforehand keeps its lines.
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[int, str]] = []
        self.main: tuple[int, int] | None = None
        self.articles: list[tuple[int, int]] = []
        self._held: list[str] = []
        self._far = _IN
        self._depth = self._silent = self._above = self._beside = self._laid_out = 0
        self._main_at = self._article_at = (0, 0)

    def text(self, farthest: int, begin: int = 0, end: int | None = None) -> str:
        """What stands between two pieces, no farther away than that."""
        joined = "".join(text for far, text in self.pieces[begin:end] if far <= farthest)
        lines = (" ".join(line.split()) for line in joined.split(_BREAK))
        return "\n".join(line for line in lines if line)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._count(tag, 1)
        self._edge(tag)
        if self.main is None and not self._main_at[0] and (tag == "main" or attributes.get("role") == "main"):
            self._main_at = self._depth, self._at()
        if tag == "article" and not self._article_at[0]:
            self._article_at = self._depth, self._at()

    def end(self, tag: str) -> None:
        if self._main_at[0] == self._depth:
            self.main, self._main_at = (self._main_at[1], self._at()), (0, 0)
        if self._article_at[0] == self._depth:
            self.articles.append((self._article_at[1], self._at()))
            self._article_at = (0, 0)
        self._edge(tag)
        self._count(tag, -1)
        self._depth -= 1

    def data(self, text: str) -> None:
        if not self._silent:
            far = _ASIDE if self._beside else _ABOVE if self._above else _IN
            if far != self._far:
                self._at()
                self._far = far
            self._held.append(text.replace("\n", _BREAK) if self._laid_out else text)

    def close(self) -> None:
        self._at()

    def _at(self) -> int:
        """Where the next piece begins. What came since the last one becomes a piece: a page may come in millions."""
        if self._held:
            self.pieces.append((self._far, "".join(self._held)))
            self._held = []
        return len(self.pieces)

    def _count(self, tag: str, by: int) -> None:
        if tag in _SILENT:
            self._silent += by
        elif tag in _BESIDE:
            self._beside += by
        elif tag == "header":
            self._above += by
        elif tag == "pre":
            self._laid_out += by

    def _edge(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.data(_BREAK)
        elif tag in _CELLS:
            self.data(" ")
