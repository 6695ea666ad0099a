"""A JSON answer as a tree to look at: cut short where it is long, with the path of every list that can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

MOST = 2_000
ITEMS = 3
DEPTH = 12
_TEXT = 120


@dataclass(frozen=True)
class Branch:
    """A value and what is in it. `count` is how many there are in all, of which the first few are shown.

    `path` is the dotted way to a list, None for what is no list or cannot be reached by names alone.
    """

    name: str
    kind: str
    text: str = ""
    count: int = 0
    path: str | None = None
    inside: tuple[Branch, ...] = ()


def branches(value: Any) -> Branch:
    """The tree of a value, of at most so many branches."""
    return _Tree().branch("", value, "", 0)


class _Tree:
    def __init__(self) -> None:
        self.left = MOST

    def branch(self, name: str, value: Any, path: str | None, depth: int) -> Branch:
        self.left -= 1
        if isinstance(value, dict):
            inside = self._inside(value.items(), depth, lambda key: _below(path, key))
            return Branch(name, "object", count=len(value), inside=inside)
        if isinstance(value, list):
            # What stands in a list's items has no path of its own: there are many of it.
            inside = self._inside(enumerate(value[:ITEMS]), depth, lambda key: None)
            return Branch(name, "list", count=len(value), path=path, inside=inside)
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return Branch(name, _kind(value), text if len(text) <= _TEXT else f"{text[:_TEXT]}…")

    def _inside(
        self, values: Iterable[tuple[object, Any]], depth: int, path_of: Callable[[str], str | None]
    ) -> tuple[Branch, ...]:
        found = []
        for key, inner in values if depth < DEPTH else ():
            if self.left <= 0:
                break
            found.append(self.branch(str(key), inner, path_of(str(key)), depth + 1))
        return tuple(found)


def _below(path: str | None, key: str) -> str | None:
    if path is None or not key or "." in key:
        return None
    return f"{path}.{key}" if path else key


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "word"
