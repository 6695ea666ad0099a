"""What a value looks like at first sight, coarsely: one set of patterns for Python and for SQL.

Coarse on purpose: a profile tells a domain from a file name, but whether a source has changed must be
told from a few hundred values without a false alarm.
"""

from __future__ import annotations

import re

from engine.profile.shapes import PLACEHOLDERS, placeholder
from engine.scan import literal

# The order in which a value is tried: the narrow before the wide. Both Python and RE2 read them.
_PATTERNS: dict[str, str] = {
    "integer": r"[+-]?[0-9]{1,18}",
    "number": r"[+-]?(?:[0-9]{1,300}(?:[.,][0-9]{1,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?",
    "boolean": r"(?i:true|false|yes|no)",
    "time": r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}(?:[T ][0-9]{1,2}:[0-9]{2}[^\n]*)?",
    "list": r"\[(?s:.*)\]",
    "object": r"\{(?s:.*)\}",
    "hash": r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128}",
    "address": r"(?:[0-9]{1,3}(?:\.|\[\.\])){3}[0-9]{1,3}(?:/[0-9]{1,2})?|[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}(?:/[0-9]{1,3})?",
    "url": r"[a-zA-Z][a-zA-Z0-9+.-]{1,9}\[?:\]?//[^\n]*",
}
_WIDER = {"number": ("integer", "number")}
_TAGS = re.compile("|".join(f"(?P<{name}>(?:{pattern})\\Z)" for name, pattern in _PATTERNS.items()))
_NOTHING = frozenset(PLACEHOLDERS)
_SHORT = 8

WORDS = {
    "integer": "whole numbers", "number": "numbers", "boolean": "yes or no", "time": "times", "list": "lists",
    "object": "objects", "hash": "hashes", "address": "addresses", "url": "web addresses", "text": "text",
    "nothing": "nothing",
}  # fmt: skip
ONE = {
    "integer": "a whole number", "number": "a number", "boolean": "yes or no", "time": "a time", "list": "a list",
    "object": "an object", "hash": "a hash", "address": "an address", "url": "a web address", "text": "plain text",
}  # fmt: skip


def tag(value: str) -> str:
    """The type of a trimmed value; "" where it only says that there is none."""
    if not value or (len(value) < _SHORT and value.lower() in _NOTHING):
        return ""
    found = _TAGS.match(value)
    return str(found.lastgroup) if found else "text"


def fits(type: str, tagged: str) -> bool:
    """Whether a value with this tag is one of the type: text holds all but lists and objects."""
    if type == "text":
        return tagged not in ("list", "object")
    return tagged in _WIDER.get(type, (type,))


def misfit(value: str, type: str) -> str:
    """SQL: whether a value is there and is not of the type. Says what `fits` and `tag` say."""
    trimmed = f"trim({value})"
    if type == "text":
        # A hash of digits only is both; what stands earlier in the list decides, as it does in `tag`.
        wrong = f"regexp_full_match({trimmed}, {literal('|'.join((_PATTERNS['list'], _PATTERNS['object'])))})"
    else:
        wrong = f"NOT {_is(trimmed, type)}"
    there = f"{value} IS NOT NULL AND {trimmed} <> '' AND NOT {placeholder(trimmed)}"
    return f"({there} AND {wrong})"


def _is(trimmed: str, type: str) -> str:
    own = f"regexp_full_match({trimmed}, {literal(_PATTERNS[type])})"
    names = list(_PATTERNS)
    kept = _WIDER.get(type, (type,))
    earlier = [name for name in names[: names.index(type)] if name not in kept]
    if not earlier:
        return own
    among = "|".join(f"(?:{_PATTERNS[name]})" for name in earlier)
    return f"({own} AND NOT regexp_full_match({trimmed}, {literal(among)}))"
