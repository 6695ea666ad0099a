"""What a text mentions that may be an indicator: as it is written, with the words around it.

Nothing is decided here: the mapping refangs, canonicalises and checks each, as it does with any other value. What
is written so that nobody clicks on it (`hxxp`, `[.]`) was meant as an indicator; so are hashes and CVE numbers. A
bare domain in running text is not taken, since reports name their sources that way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AROUND = 80
LONGEST = 8192
_BROKEN_DOT = r"(?:\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\s\[\.\]\s?)"
_DOT = rf"(?:\.|{_BROKEN_DOT})"
_AT = r"(?:@|\[@\]|\(@\)|\[at\]|\(at\))"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# No alternative looks twice at the same text: a name is tried from its first label only.
_PATTERN = re.compile(
    rf"""
    (?P<url>\b(?:h(?:tt|xx|\*\*)ps?|ftp|f[tx]p)s?(?::|\[:\]|\(:\))(?://|\[//\]|\\/\\/)[^\s<>"'«»“”]{{1,{LONGEST}}})
  | (?P<email>\b[A-Za-z0-9._%+-]{{1,64}}{_AT}{_LABEL}(?:{_DOT}{_LABEL})+)
  | (?P<domain>\b(?<![A-Za-z0-9_]\.){_LABEL}(?:{_DOT}{_LABEL})*{_BROKEN_DOT}{_LABEL}(?:{_DOT}{_LABEL})*)
  | (?P<hash>(?<![A-Za-z0-9])(?:[A-Fa-f0-9]{{128}}|[A-Fa-f0-9]{{64}}|[A-Fa-f0-9]{{40}}|[A-Fa-f0-9]{{32}})(?![A-Za-z0-9]))
  | (?P<cve>\bCVE-\d{{4}}-\d{{4,19}}\b)
  | (?P<ip>(?<![\w.])\d{{1,3}}(?:{_DOT}\d{{1,3}}){{3}}(?!{_DOT}?\w))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DEFANGED = re.compile(r"\[|\(\.\)|\(dot\)|\{\.\}|hxxp|h\*\*p|fxp", re.IGNORECASE)
# A sentence's end is no part of an address that stands there.
_ENDS = ".,;:!?'\"»”"


@dataclass(frozen=True)
class Mention:
    """A value as written, whether it was defanged, and the text around it."""

    value: str
    defanged: bool
    context: str


def mentions(text: str) -> list[Mention]:
    """Every distinct value that may be an indicator, in order of first mention."""
    found: dict[str, Mention] = {}
    for match in _PATTERN.finditer(text):
        value = _trimmed(match[0])
        if value not in found:
            begin, end = max(0, match.start() - AROUND), match.start() + len(value) + AROUND
            around = " ".join(text[begin:end].split())
            found[value] = Mention(value, bool(_DEFANGED.search(value)), around)
    return list(found.values())


def _trimmed(value: str) -> str:
    value = value.rstrip(_ENDS)
    end = len(value)
    more = value.count(")") + value.count("]") - value.count("(") - value.count("[")
    while more > 0 and end and value[end - 1] in ")]":
        end, more = end - 1, more - 1
        while end and value[end - 1] in _ENDS:
            end -= 1
    return value[:end]
