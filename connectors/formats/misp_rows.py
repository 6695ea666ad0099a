"""What a MISP event is made of, taken apart into rows.

Each row knows the event and the object around it (`inside`) and who may see it (`sharing`: the narrowest of its
own distribution, its object's and its event's), so that it can leave again as what it was, to nobody more. An
attribute without a TLP tag has its event's, for what is said of the event holds for all of it. A composite
(`filename|sha1`) lists its parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engine.types.distribution import INHERIT, OWN, Circle, circle_of, narrower
from engine.types.vocabularies.misp import GALAXIES

Item = dict[str, Any]

# What an event holds that is a row of its own.
APART = ("Attribute", "Object", "ShadowAttribute", "EventReport")
_HEAD = (
    "uuid", "info", "date", "threat_level_id", "analysis", "timestamp", "extends_uuid", "distribution",
    "sharing_group_id", "SharingGroup",
)  # fmt: skip
_AROUND = (
    "uuid", "name", "meta-category", "description", "template_uuid", "template_version", "comment", "distribution",
    "sharing_group_id", "SharingGroup", "first_seen", "last_seen",
)  # fmt: skip
# What a cluster has from the thing it is attached to, and not from its galaxy.
_ATTACHED = ("event_tag_id", "attribute_tag_id", "local", "relationship_type", "tag_id")
# Composites whose second part may itself hold a bar; in the others the first may.
_FIRST_BAR = ("regkey|value",)


def rows_of(document: Item, kind: str = "") -> Iterator[tuple[Item, Item]]:
    """The rows of one document, each with what it was made from."""
    if kind == "manifest":
        for uuid, event in document.items():
            if isinstance(event, dict):
                yield {"row": "event", "uuid": uuid, **event, "tags": tags(event)}, {uuid: event}
        return
    if kind == "attribute":
        yield from _Event(document.get("Event") or {}).attribute(document, {})
        return
    event = document.get("Event", document)
    if not isinstance(event, dict):
        event = document
    if "Object" in event and isinstance(event["Object"], dict) and "info" not in event:
        yield from _Event(event.get("Event") or {}).object(event["Object"])
        return
    yield from _Event(event).rows()


class _Event:
    """An event while it is taken apart: what all its rows share."""

    def __init__(self, event: Item) -> None:
        self.event = event
        self.tags = tags(event)
        self.circle = circle_of(event, OWN)
        self.head = {name: event[name] for name in _HEAD if event.get(name) not in (None, "")}
        by = event.get("Orgc")
        if isinstance(by, dict):
            self.head["Orgc"] = {name: by[name] for name in ("uuid", "name") if by.get(name)}
        self.known = {
            "event_uuid": event.get("uuid"),
            "event_info": event.get("info"),
            "event_date": event.get("date"),
            "event_tags": self.tags,
            "event_threat_level_id": event.get("threat_level_id"),
            "event_orgc": self.head.get("Orgc", {}).get("name"),
        }
        # Which attributes are there to detect by: a reference to one leads to the record it became.
        self.detects = {
            str(a["uuid"]): _is_true(a.get("to_ids"))
            for thing in (event, *items(event, "Object"))
            for a in items(thing, "Attribute")
            if a.get("uuid")
        }
        self.clusters: set[str] = set()

    def rows(self) -> Iterator[tuple[Item, Item]]:
        own = {key: value for key, value in self.event.items() if key not in APART}
        if own:
            yield {"row": "event", **own, "tags": self.tags, "sharing": self.circle.fields()}, own
        yield from self.galaxies(self.event)
        for attribute in items(self.event, "Attribute"):
            yield from self.attribute(attribute, {})
        for thing in items(self.event, "Object"):
            yield from self.object(thing)
        for proposal in items(self.event, "ShadowAttribute"):
            yield self._proposal(proposal, {})
        for report in items(self.event, "EventReport"):
            yield {**report, "row": "event-report", **self._of(report, {})}, report

    def object(self, thing: Item) -> Iterator[tuple[Item, Item]]:
        own = {key: value for key, value in thing.items() if key != "Attribute"}
        yield {**own, "row": "object", **self._of(thing, {}), "tags": tags(thing)}, own
        for reference in items(thing, "ObjectReference"):
            whole = {
                "object_uuid": thing.get("uuid"),
                **reference,
                "row": "reference",
                **self._of(reference, thing),
                "referenced_to_ids": self.detects.get(str(reference.get("referenced_uuid"))),
            }
            yield whole, reference
        for attribute in items(thing, "Attribute"):
            yield from self.attribute(attribute, thing)

    def attribute(self, attribute: Item, thing: Item) -> Iterator[tuple[Item, Item]]:
        yield self._attribute(attribute, thing), attribute
        yield from self.galaxies(attribute)
        for sighting in items(attribute, "Sighting"):
            whole = {
                "attribute_uuid": attribute.get("uuid"),
                **sighting,
                "row": "sighting",
                **self._of(attribute, thing),
                "attribute_to_ids": _is_true(attribute.get("to_ids")),
            }
            yield whole, sighting
        for proposal in items(attribute, "ShadowAttribute"):
            yield self._proposal(proposal, thing)

    def galaxies(self, of: Item) -> Iterator[tuple[Item, Item]]:
        """The clusters attached to something, each once in an event."""
        for galaxy in items(of, "Galaxy"):
            around = {f"galaxy_{name}": galaxy.get(name) for name in ("name", "type", "uuid", "namespace")}
            for cluster in items(galaxy, "GalaxyCluster"):
                name = str(cluster.get("uuid") or cluster.get("tag_name") or cluster.get("value"))
                if name in self.clusters:
                    continue
                self.clusters.add(name)
                own = {key: value for key, value in cluster.items() if key not in _ATTACHED}
                kind = str(cluster.get("type") or galaxy.get("type") or "")
                known = {"known_as": GALAXIES.get(kind, ""), "meta": _listed(cluster)}
                yield {**own, "row": "galaxy-cluster", **around, **known}, cluster

    def _proposal(self, proposal: Item, thing: Item) -> tuple[Item, Item]:
        return {**self._attribute(proposal, thing), "row": "proposal"}, proposal

    def _attribute(self, attribute: Item, thing: Item) -> Item:
        own = tags(attribute)
        if not any(tag.lower().startswith("tlp:") for tag in own):
            own += [tag for tag in self.tags if tag.lower().startswith("tlp:") and tag not in own]
        return {
            **attribute,
            "row": "attribute",
            **self._of(attribute, thing),
            "object_uuid": thing.get("uuid"),
            "object_name": thing.get("name"),
            "object_relation": attribute.get("object_relation"),
            "tags": own,
            "parts": parts(str(attribute.get("type", "")), attribute.get("value")),
        }

    def _of(self, own: Item, thing: Item) -> Item:
        """What is around a row, and who may see it: nobody who may not see all that is around it."""
        around = circle_of(thing, INHERIT) if thing else Circle(INHERIT)
        circle = narrower(narrower(self.circle, around), circle_of(own, INHERIT))
        inside: Item = {"Event": self.head} if self.head else {}
        if thing:
            inside["Object"] = {name: thing[name] for name in _AROUND if thing.get(name) not in (None, "")}
        return {**self.known, "sharing": circle.fields(), "inside": inside}


def parts(kind: str, value: Any) -> list[dict[str, str]]:
    """A composite's parts with their types; a plain attribute is its own one part."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    kinds = ["filename", "md5"] if kind == "malware-sample" and "|" in text else kind.split("|")
    if len(kinds) != 2 or "|" not in text:
        return [{"type": kind, "value": text}]
    values = text.split("|", 1) if kind in _FIRST_BAR else text.rsplit("|", 1)
    found = [{"type": k, "value": v} for k, v in zip(kinds, values, strict=True) if v]
    return [{**part, "type": "text"} if part["type"] == "value" else part for part in found] or [
        {"type": kind, "value": text}
    ]


def tags(of: Item) -> list[str]:
    """The names of a thing's tags."""
    return [str(tag["name"]) for tag in items(of, "Tag") if tag.get("name")]


def items(of: Item, key: str) -> list[Item]:
    """The objects under a key, whether they are listed or there is one."""
    found = of.get(key) or []
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]


def _listed(cluster: Item) -> Item:
    """A cluster's meta in one shape: instances give lists, and elements of key and value."""
    meta = cluster.get("meta")
    found: Item = dict(meta) if isinstance(meta, dict) else {}
    for element in items(cluster, "GalaxyElement"):
        key = str(element.get("key", ""))
        if key and not isinstance(meta, dict):
            found.setdefault(key, []).append(element.get("value"))
    return found


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1")
