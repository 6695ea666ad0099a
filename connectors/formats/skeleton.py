"""The lists of objects in a JSON document of which only the beginning is known."""

from __future__ import annotations

import re
from collections import Counter

import orjson

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_DEEPEST = 5
_TOKENS = 400_000


def lists(text: bytes) -> dict[tuple[str, ...], int]:
    """How many objects each list above `_DEEPEST` holds so far; lists within lists are not looked into."""
    counts: Counter[tuple[str, ...]] = Counter()
    stack: list[tuple[bytes, str]] = []  # each open bracket and the key it stands under
    key = last = ""
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number > _TOKENS:
            break
        token = match[0]
        if token == b":":
            key = last
        elif token in (b"{", b"["):
            if stack and stack[-1][0] == b"[" and token == b"{" and not _within(stack[:-1]):
                counts[tuple(name for _, name in stack[1:])] += 1
            stack.append((token, key))
            key = ""
        elif token in (b"}", b"]"):
            if stack:
                stack.pop()
            key = ""
        elif token == b",":
            key = ""
        else:
            last = _name(token)
    return {path: count for path, count in counts.items() if 0 < len(path) <= _DEEPEST}


def _name(token: bytes) -> str:
    """The text of a string as it stands."""
    if b"\\" in token:
        try:
            return str(orjson.loads(token))
        except orjson.JSONDecodeError:
            pass
    return token[1:-1].decode("utf-8", "replace")


def _within(stack: list[tuple[bytes, str]]) -> bool:
    return any(token == b"[" for token, _ in stack)
