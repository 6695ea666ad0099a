"""MISP's distribution (core format §2.2.1.13): who may see something, and the narrower of two such circles.

0 is one's own organisation, 1 the community, 2 connected communities, 3 everybody, 4 a sharing group, 5 what the
thing around it has. Two circles that lie across each other have none in common that could be named: then only
one's own organisation is left, for sharing is never made wider by moving data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OWN, COMMUNITY, CONNECTED, ALL, GROUP, INHERIT = range(6)


@dataclass(frozen=True)
class Circle:
    """Who may see something: a level, and of a sharing group which one, as its instance describes it."""

    level: int
    group: str = ""
    described: Mapping[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """The circle in MISP's fields. A sharing group without its description means nothing elsewhere."""
        if self.level != GROUP:
            return {"distribution": str(self.level)}
        if not self.described:
            return {"distribution": str(OWN)}
        return {"distribution": str(GROUP), "SharingGroup": dict(self.described)}


def circle_of(thing: Mapping[str, Any], otherwise: int) -> Circle:
    """The circle a thing names; `otherwise` where it names none, and the narrowest where it names nonsense."""
    text = str(thing.get("distribution") if thing.get("distribution") is not None else "").strip()
    if not text:
        return Circle(otherwise)
    level = int(text) if text in ("0", "1", "2", "3", "4", "5") else OWN
    if level != GROUP:
        return Circle(level)
    found = thing.get("SharingGroup")
    described = found if isinstance(found, Mapping) and found.get("uuid") else None
    return Circle(GROUP, str((described or {}).get("uuid") or ""), described)


def narrower(one: Circle, other: Circle) -> Circle:
    """The circle of those who are in both."""
    if INHERIT in (one.level, other.level):
        return other if one.level == INHERIT else one
    if GROUP not in (one.level, other.level):
        return one if one.level <= other.level else other
    if one.level == other.level:
        return one if one.group and one.group == other.group else Circle(OWN)
    group, level = (one, other.level) if one.level == GROUP else (other, one.level)
    # A sharing group may have members outside a community, and everybody is in "everybody".
    return group if level == ALL else Circle(OWN)
