"""Records as the MISP events they are part of, piece by piece, for whoever brings events up to date by their uuid.

What came from MISP goes back into its own event, under its own object and with its own distribution. Everything
else goes into one event of the publication, always the same one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from app.tenant.exports import Rows, dictionaries
from app.tenant.exports.misp import attribute, exported_tags, from_misp, refuse, sighting
from engine.model import TargetModel
from engine.types.distribution import INHERIT, OWN, circle_of
from engine.types.identity import INDICATORS

PIECE = 2000
_EVENT = ("uuid", "info", "date", "threat_level_id", "analysis", "timestamp", "extends_uuid")
_OBJECT = (
    "uuid", "name", "meta-category", "description", "template_uuid", "template_version", "comment", "first_seen",
    "last_seen", "timestamp", "deleted",
)  # fmt: skip
_REFERENCE = ("uuid", "referenced_uuid", "relationship_type", "comment")
_REPORT = ("uuid", "name", "content", "timestamp", "deleted")

Item = dict[str, Any]
# What is sighted, by its id here: the attribute it came as, or "", and its value, or "".
Sighted = Callable[[Sequence[str]], Mapping[str, tuple[str, str]]]


def events(
    target: TargetModel,
    batches: Rows,
    *,
    publication: str,
    title: str,
    sighted: Sighted = lambda ids: {},
    back: Collection[str] = (),
) -> Iterator[Item]:
    """Events with at most `PIECE` records each, and in `records` which records stand for what in them.

    `publication` tells it from every other one that may push to the same instance, `title` names its event.
    `own` says whether it is the event of ours. A record without a form in MISP comes as a piece of its own,
    without an event and with the reason. Sightings come one by one, with the attribute each is of as `sighted`
    knows it. What is `back` after it was taken back is deleted no more; what somebody else has deleted stays so.
    """
    refuse(target, ("report", "stix-object", "sighting"))
    if target.name == "sighting":
        yield from _sightings(batches, sighted)
        return
    own = str(uuid.uuid5(INDICATORS, f"misp-event:{publication}"))
    head = {
        "uuid": own,
        "info": title,
        "threat_level_id": "4",
        "analysis": "0",
        "distribution": str(OWN),
    }
    pieces: dict[str, _Piece] = {}
    for row in dictionaries(batches):
        came = from_misp(row)
        around = came.get("inside", {}).get("Event") or (came if came.get("row") == "event" else head)
        if not around.get("uuid") or not around.get("info"):
            around = head
        piece = pieces.setdefault(str(around["uuid"]), _Piece(around, back, own=around is head))
        if not piece.take(target, row, came):
            yield _without(row, "It has no form in MISP.")
        elif piece.count >= PIECE:
            yield pieces.pop(str(around["uuid"])).event()
        elif sum(each.count for each in pieces.values()) >= 4 * PIECE:
            largest = max(pieces, key=lambda name: pieces[name].count)
            yield pieces.pop(largest).event()
    for piece in pieces.values():
        if piece.count:
            yield piece.event()


def _sightings(batches: Rows, sighted: Sighted) -> Iterator[Item]:
    for batch in batches:
        rows = list(dictionaries([batch]))
        known = sighted([str(row["sighting_of_ref"]) for row in rows if row.get("sighting_of_ref")])
        for row in rows:
            came, made = from_misp(row), sighting(row)
            of = known.get(str(row.get("sighting_of_ref")), ("", ""))
            attribute_ = str(came.get("attribute_uuid") or of[0])
            if made is None or not made.get("date_sighting"):
                yield _without(row, "It says no time, or that nothing was seen.")
            elif not attribute_ and not of[1]:
                yield _without(row, "What was seen is no value that is stored here.")
            else:
                records = {"": [str(row["id"])]}
                yield {"Sighting": made, "attribute": attribute_, "value": of[1], "records": records}


def _without(row: Item, why: str) -> Item:
    return {"Event": None, "records": {"": [str(row["id"])]}, "why": why}


class _Piece:
    """Part of an event, as far as its records have come by."""

    def __init__(self, around: Item, back: Collection[str], *, own: bool) -> None:
        self.back, self.own = back, own
        self.head = {name: around[name] for name in _EVENT if around.get(name) not in (None, "")}
        self.head |= circle_of(around, OWN).fields()
        self.attributes: dict[str, Item] = {}
        self.objects: dict[str, Item] = {}
        self.reports: list[Item] = []
        self.records: dict[str, list[str]] = {}
        self.count = 0

    def take(self, target: TargetModel, row: Item, came: Item) -> bool:
        """Take a record; False where it has no form in MISP."""
        kind = came.get("row", "")
        if target.name in ("indicator", "observable"):
            made = attribute(row, to_ids=target.name == "indicator")
            if made is None:
                return False
            if str(row["id"]) in self.back:
                made = {"deleted": False, **made}
            self._attribute(made, came)
        elif kind == "object" and came.get("uuid"):
            thing = self._object(came)
            thing["ObjectReference"] = [
                {**{name: one[name] for name in _REFERENCE if one.get(name)}, "object_uuid": came["uuid"]}
                for one in came.get("ObjectReference") or ()
                if isinstance(one, dict)
            ]
            made = thing
        elif kind == "event-report" and came.get("uuid"):
            made = {name: came[name] for name in _REPORT if came.get(name) not in (None, "")}
            made |= circle_of(came, INHERIT).fields()
            self.reports.append(made)
        elif kind == "event" and came.get("uuid"):
            made = {"uuid": came["uuid"]}
            self.head["Tag"] = exported_tags(came)
        else:
            return False
        self.records.setdefault(str(made["uuid"]), []).append(str(row["id"]))
        self.count += 1
        return True

    def _attribute(self, made: Item, came: Item) -> None:
        if came.get("row") != "attribute":
            # The same value has the same id wherever it is met, and an instance takes an attribute's uuid once.
            made["uuid"] = str(uuid.uuid5(uuid.UUID(self.head["uuid"]), made["uuid"]))
            self.attributes[str(made["uuid"])] = made
            return
        # In its own event and object its own word on who may see it is enough: theirs are there as well.
        made |= circle_of(came, INHERIT).fields()
        thing = came.get("inside", {}).get("Object")
        if not thing or not thing.get("uuid"):
            self.attributes[str(made["uuid"])] = made
            return
        if came.get("object_relation"):
            made["object_relation"] = came["object_relation"]
        self._object(thing)["Attribute"][str(made["uuid"])] = made

    def _object(self, thing: Item) -> Item:
        made = {name: thing[name] for name in _OBJECT if thing.get(name) not in (None, "")}
        made |= circle_of(thing, INHERIT).fields()
        held = self.objects.setdefault(str(thing["uuid"]), {"Attribute": {}})
        held.update(made)
        return held

    def event(self) -> Item:
        """The event as far as it has come by."""
        return {
            "Event": {
                **self.head,
                "published": False,
                "Attribute": list(self.attributes.values()),
                "Object": [
                    {**one, "Attribute": list(one["Attribute"].values())} for one in self.objects.values()
                ],
                "EventReport": self.reports,
            },
            "records": self.records,
            "own": self.own,
        }
