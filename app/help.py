"""The guide, served by the product itself: the pages of `docs/` as HTML, with links that stay here."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

DOCS = Path(__file__).resolve().parent.parent / "docs"
# Pages by the name in their address, in the order of the guide's own list of them.
FIRST = "ingestion/README.md"
BESIDE = ("operations.md", "keys.md", "suggestion.md", "benchmarks.md")
_LINK = re.compile(r"\]\(([a-z0-9-]+)\.md\)")


@dataclass(frozen=True)
class Page:
    """A page of the guide: its title, and its body as HTML."""

    title: str
    body: str


@lru_cache(maxsize=1)
def pages() -> dict[str, str]:
    """Every page's name with its path in `docs/`; the empty name is the first."""
    found = {"": FIRST}
    if not (DOCS / FIRST).exists():
        return {}
    for name in _LINK.findall((DOCS / FIRST).read_text(encoding="utf-8")):
        found[name] = f"ingestion/{name}.md"
    for path in sorted((DOCS / "ingestion").glob("*.md")):
        if path.stem != "README":
            found.setdefault(path.stem, f"ingestion/{path.name}")
    return found | {name.removesuffix(".md"): name for name in BESIDE if (DOCS / name).exists()}


def titles() -> list[tuple[str, str]]:
    """Name and title of each page."""
    return [(name, page.title) for name in pages() if (page := render(name)) is not None]


def image(name: str) -> Path | None:
    """A picture of the guide."""
    found = {path.name: path for path in (DOCS / "images").glob("*.png")}
    return found.get(name)


@lru_cache(maxsize=64)
def render(name: str) -> Page | None:
    """A page by its name, None where there is none. What stands in it as HTML is shown as text."""
    path = pages().get(name)
    if path is None:
        return None
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse((DOCS / path).read_text(encoding="utf-8"))
    title = "Guide"
    if tokens and tokens[0].type == "heading_open":
        title, tokens = tokens[1].content, tokens[3:]
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            before.attrSet("id", _anchor(token.content))
        if token.type == "table_open":
            token.attrSet("class", "guide")
        for inner in token.children or ():
            _stay(inner, path)
    return Page(title, reader.renderer.render(tokens, reader.options, {}))


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _stay(token: Token, path: str) -> None:
    """Lead a link or a picture to where this product serves it."""
    for attribute in ("href", "src"):
        target = token.attrGet(attribute)
        if not isinstance(target, str) or "://" in target or target.startswith("#"):
            continue
        place, _, anchor = target.partition("#")
        found = posixpath.normpath(posixpath.join(posixpath.dirname(path), place))
        token.attrSet(attribute, _address(found) + (f"#{anchor}" if anchor else ""))
        if attribute == "src":
            token.attrSet("loading", "lazy")


def _address(path: str) -> str:
    if path.startswith("images/"):
        return f"/help/{path}"
    for name, known in _known():
        if known == path:
            return f"/help/{name}".rstrip("/")
    return "/help"


def _known() -> Iterator[tuple[str, str]]:
    yield from pages().items()
