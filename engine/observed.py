"""Observed data of STIX 2.0 opened: the observables inside it as objects of STIX 2.1, with deterministic ids.

In 2.0 observables have no ids of their own and name each other by their place in the observed-data. Outside it
they are what STIX 2.1 made of them: an id from their contributing properties (§2.9), references by id, and the
properties that were renamed (§6). An observable without such properties has an id from where it stood, so that
reading it again gives the same one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from uuid import uuid5

from engine.types.identity import INDICATORS, OBSERVABLES

Item = dict[str, Any]

# STIX 2.1 §6 against 2.0 part 4: what changed its name, and the algorithm of §10.7 that did.
RENAMED = {
    "directory": {"created": "ctime", "modified": "mtime", "accessed": "atime"},
    "file": {"created": "ctime", "modified": "mtime", "accessed": "atime"},
    "process": {"created": "created_time", "binary_ref": "image_ref"},
    "user-account": {"password_last_changed": "credential_last_changed"},
    "windows-registry-key": {"modified": "modified_time"},
}
_ALGORITHMS = {"ssdeep": "SSDEEP"}
_HASHES = ("MD5", "SHA-1", "SHA-256", "SHA-512")
_SELECTED = re.compile(r"objects\.([^.]+)(?:\.(.+))?")


def opened(observed: Item) -> list[Item]:
    """The observables inside observed-data of STIX 2.0, in order; none where it has none of its own."""
    inside = observed.get("objects")
    if observed.get("type") != "observed-data" or not isinstance(inside, dict):
        return []
    found = _Opened(observed, {str(k): v for k, v in inside.items() if _is_observable(v)})
    made: dict[str, Item] = {}
    for place in found.inside:
        whole = found.object(place)
        # The same observable may stand there twice.
        made.setdefault(whole["id"], whole)
    return list(made.values())


def _is_observable(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str) and bool(value["type"])


class _Opened:
    """One observed-data, and the ids of what is in it as they are worked out."""

    def __init__(self, observed: Item, inside: dict[str, Item]) -> None:
        self.observed, self.inside = observed, inside
        self._ids: dict[str, str] = {}
        self._under_way: set[str] = set()

    def object(self, place: str) -> Item:
        whole = self.inside[place]
        marks = self._marks(place)
        return {
            "type": whole["type"],
            "spec_version": "2.1",
            "id": self.id(place),
            **{k: v for k, v in self._properties(place).items() if k not in ("type", "id", "spec_version")},
            **marks,
        }

    def id(self, place: str) -> str:
        """The id of the observable at a place; of one that leads back to itself, from where it stood."""
        if place in self._ids:
            return self._ids[place]
        whole = self.inside[place]
        stood = f"{self.observed.get('id', '')}:{place}"
        own = f"{whole['type']}--{uuid5(INDICATORS, stood)}"
        if place in self._under_way:
            return own
        self._under_way.add(place)
        self._ids[place] = identified(whole["type"], self._properties(place)) or own
        self._under_way.discard(place)
        return self._ids[place]

    def _properties(self, place: str) -> Item:
        whole = self.inside[place]
        names = RENAMED.get(whole["type"], {})
        return {names.get(name, name): value for name, value in self._referring(whole).items()}

    def _referring(self, value: Item) -> Item:
        """The properties with places replaced by ids, however deep they stand."""
        found: Item = {}
        for name, inner in value.items():
            if name.endswith("_ref") and isinstance(inner, str) and inner in self.inside:
                found[name] = self.id(inner)
            elif name.endswith("_refs") and isinstance(inner, list):
                found[name] = [self.id(x) if isinstance(x, str) and x in self.inside else x for x in inner]
            elif name == "hashes" and isinstance(inner, dict):
                found[name] = {_ALGORITHMS.get(k, k): v for k, v in inner.items()}
            elif isinstance(inner, dict):
                found[name] = self._referring(inner)
            elif isinstance(inner, list):
                found[name] = [self._referring(x) if isinstance(x, dict) else x for x in inner]
            else:
                found[name] = inner
        return found

    def _marks(self, place: str) -> Item:
        """What the observed-data's markings mean for one observable: those of all of it, and those of its place."""
        whole = list(self.observed.get("object_marking_refs") or ())
        granular = []
        for each in self.observed.get("granular_markings") or ():
            selectors = []
            for selector in each.get("selectors") or ():
                if selector == "objects":
                    whole.append(each.get("marking_ref"))
                elif (hit := _SELECTED.fullmatch(str(selector))) and hit[1] == place:
                    selectors += [hit[2]] if hit[2] else []
                    whole += [] if hit[2] else [each.get("marking_ref")]
            if selectors:
                granular.append({**each, "selectors": selectors})
        refs = list(dict.fromkeys(ref for ref in whole if isinstance(ref, str)))
        return {
            **({"object_marking_refs": refs} if refs else {}),
            **({"granular_markings": granular} if granular else {}),
        }


def identified(kind: str, properties: Item) -> str | None:
    """The deterministic id of an observable (STIX 2.1 §2.9); None where it has no contributing property."""
    contributing = {}
    for name in _contributing(kind):
        value = properties.get(name)
        if name == "hashes" and isinstance(value, dict):
            value = _one_hash(value)
        if value not in (None, "", [], {}):
            contributing[name] = value
    if not contributing:
        return None
    text = _canonical()(contributing, utf8=False)
    return f"{kind}--{uuid5(OBSERVABLES, str(text))}"


def _one_hash(hashes: Item) -> Item:
    first = next((name for name in (*_HASHES, *hashes) if hashes.get(name)), None)
    return {first: hashes[first]} if first else {}


# The library is large and most sources hold nothing to open, so it is loaded when something is.
@cache
def _contributing(kind: str) -> tuple[str, ...]:
    from stix2.registry import STIX2_OBJ_MAPS

    known = STIX2_OBJ_MAPS["2.1"]["observables"].get(kind)
    return tuple(known._id_contributing_properties) if known else ()


@cache
def _canonical() -> Callable[..., object]:
    from stix2.canonicalization.Canonicalize import canonicalize

    return canonicalize


def openable(lines: list[bytes]) -> Iterator[int]:
    """Which JSON texts may be observed-data with observables inside."""
    for at, line in enumerate(lines):
        if b'"observed-data"' in line and b'"objects"' in line:
            yield at
