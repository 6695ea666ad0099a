"""MISP events as a file: what came from MISP in the events it came in, everything else in one event of ours.

An event is put together from its records, whichever target models they are of, and holds all that came in it:
objects with their references, tags, galaxies, sightings, reports, proposals, what we do not know as well. What
belongs to one instance only stays out: its numbers for things, local tags and clusters, and the events it found
related, which may be for other eyes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa

from app.tenant.exports import Rows
from app.tenant.exports.misp import attribute, from_misp, refuse, sighting
from engine.model import TargetModel
from engine.types.distribution import INHERIT, OWN, circle_of
from engine.types.identity import INDICATORS
from storage.explorer import EVENT, Lack

NOTE = (
    "What came from MISP leaves in its own events. Indicators are attributes to detect with (to_ids), observables "
    "are context."
)
# Models whose records are attributes, and those that hold what else events are made of.
MODELS = ("indicator", "observable", "report", "stix-object")
# What the reader noted on a row, and what says something only at the instance it came from.
_NOTED = (
    "row", "inside", "sharing", "tags", "parts", "event_uuid", "event_info", "event_date", "event_tags",
    "event_threat_level_id", "event_orgc", "object_uuid", "object_name",
)  # fmt: skip
_OF_THE_INSTANCE = (
    "id", "event_id", "object_id", "attribute_id", "referenced_id", "galaxy_id", "tag_id", "user_id", "org_id",
    "orgc_id", "sharing_group_id", "event_tag_id", "attribute_tag_id", "event_creator_email", "attribute_count",
    "RelatedEvent", "RelatedAttribute", "locked", "proposal_email_lock", "Event",
)  # fmt: skip
# What stands inside a thing and is made of such things itself.
_WITHIN = (
    "Tag", "Galaxy", "GalaxyCluster", "GalaxyElement", "ObjectReference", "Object", "Sighting", "ShadowAttribute",
    "Organisation", "Org", "Orgc",
)  # fmt: skip
_END = b"\n]"

Item = dict[str, Any]
# The sightings of records, by their ids.
Sightings = Callable[[Sequence[str]], dict[str, list[Item]]]


@dataclass(frozen=True)
class Part:
    """Records of one target model: those that are in no event of MISP's, and those that are, event by event.

    `bare` are the records of events that only lend their tags and galaxies to what is asked for.
    """

    target: TargetModel
    alone: Rows = ()
    within: Rows = ()
    bare: bool = False


def lacks(target: TargetModel) -> tuple[Lack, ...]:
    """What leaves a record out of every event."""
    if target.name in ("indicator", "observable"):
        return (Lack("without a value or a pattern", absent=(("value", "pattern"),)),)
    return (Lack("that did not come from MISP"),)


def write(parts: Sequence[Part], sightings: Sightings, *, info: str, at: datetime) -> Iterator[bytes]:
    """The events: one as MISP writes one, several as it answers a search."""
    for part in parts:
        refuse(part.target, MODELS)
    return _write(parts, sightings, info, at)


def _write(parts: Sequence[Part], sightings: Sightings, info: str, at: datetime) -> Iterator[bytes]:
    events = _events(parts, sightings)
    alone = _alone(parts, sightings)
    # Two are enough to know whether there are several.
    found, first = list(islice(events, 2)), next(alone)
    several = len(found) + (first != _END) > 1
    opening = b'{"response":[\n' if several else b""
    if first != _END or not found:
        yield opening + b'{"Event":' + _head(info, at)[:-1] + b',"Attribute":[\n' + first
        yield from alone
        yield b"}}"
        opening = b",\n"
    for event in chain(found, events):
        yield opening + orjson.dumps({"Event": event})
        opening = b",\n"
    yield b"\n]}\n" if several else b"\n"


def _head(info: str, at: datetime) -> bytes:
    """Our own event: not published, and shared with nobody, until somebody says so."""
    return orjson.dumps({
        "uuid": str(uuid.uuid4()), "info": info, "date": at.date().isoformat(), "threat_level_id": "4",
        "analysis": "0", "distribution": str(OWN), "published": False, "timestamp": str(int(at.timestamp())),
    })  # fmt: skip


def _alone(parts: Sequence[Part], sightings: Sightings) -> Iterator[bytes]:
    """The attributes of our own event, one by one, the end of their list, and what else it holds."""
    rest, given, opening = _Event(), set[str](), b""
    for part in parts:
        for _, row, seen in _rows(part.alone, sightings):
            came = from_misp(row)
            if part.target.name not in ("indicator", "observable") or came.get("inside", {}).get("Object"):
                rest.take(row, came, seen)
                continue
            made = attribute(row, to_ids=part.target.name == "indicator")
            # The parts of a composite are records of their own, and one attribute.
            if made is None or made["uuid"] in given:
                continue
            if row.get("object"):
                given.add(made["uuid"])
            yield opening + orjson.dumps(made | ({"Sighting": seen} if seen else {}))
            opening = b",\n"
    held = rest.whole()
    more = {name: held[name] for name in ("Object", "EventReport", "ShadowAttribute") if held[name]}
    yield _END + (b"," + orjson.dumps(more)[1:-1] if more else b"")


def _events(parts: Sequence[Part], sightings: Sightings) -> Iterator[Item]:
    """Events that came from MISP, each whole, in the order of their uuids."""
    streams = (_within(part, sightings) for part in parts)
    for _, rows in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        event = _Event()
        meant = False
        for _, bare, row, seen in rows:
            meant |= event.take(row, from_misp(row), seen) and not bare
        if meant:
            yield event.whole()


def _within(part: Part, sightings: Sightings) -> Iterator[tuple[str, bool, Item, list[Item]]]:
    for uuid_, row, seen in _rows(part.within, sightings):
        yield uuid_, part.bare, row, seen


def _rows(batches: Iterable[pa.RecordBatch], sightings: Sightings) -> Iterator[tuple[str, Item, list[Item]]]:
    """Each record with the uuid of its event and what was seen of it since."""
    for batch in batches:
        names = [n for n in batch.schema.names if n[0] != "_" and batch.column(n).null_count < batch.num_rows]
        rows = batch.select(names).to_pylist()
        seen = sightings([str(row["id"]) for row in rows])
        for uuid_, row in zip(batch.column(EVENT).to_pylist(), rows, strict=True):
            found = [made for each in seen.get(str(row["id"]), ()) if (made := sighting(each))]
            yield uuid_ or "", row, found


@dataclass
class _Event:
    """An event while it is put together. What comes twice, once is kept: the newer."""

    head: Item = field(default_factory=dict)
    around: Item = field(default_factory=dict)
    attributes: dict[str, Item] = field(default_factory=dict)
    objects: dict[str, Item] = field(default_factory=dict)
    inside: dict[str, dict[str, Item]] = field(default_factory=dict)
    reports: dict[str, Item] = field(default_factory=dict)
    proposals: dict[str, Item] = field(default_factory=dict)

    def take(self, row: Item, came: Item, seen: list[Item]) -> bool:
        """Take a record; False where it is nothing an event holds by itself."""
        around, kind = came.get("inside", {}), came.get("row")
        self.around = self.around or around.get("Event") or {}
        if kind == "event":
            if _at(came) >= _at(self.head):
                self.head = _content(came, OWN)
            return True
        # What has no uuid there gets one by what it says, so that it stays one thing.
        id = str(came.get("uuid") or uuid.uuid5(INDICATORS, str(row.get("object"))))
        made = {"uuid": id, **_content(came, INHERIT)}
        if kind == "attribute":
            thing = around.get("Object") or {}
            if came.get("object_relation") is None:
                made.pop("object_relation", None)
            if fresh := _unheard(made, seen):
                made["Sighting"] = [*made.get("Sighting", ()), *fresh]
            if thing.get("uuid"):
                name = str(thing["uuid"])
                self.objects.setdefault(name, _content(thing, INHERIT))
                _keep(self.inside.setdefault(name, {}), id, made)
            else:
                _keep(self.attributes, id, made)
        elif kind == "object":
            # What is around its attributes is less than the object itself.
            held = self.objects.get(id)
            if held is None or "ObjectReference" not in held or _at(made) >= _at(held):
                self.objects[id] = {"ObjectReference": [], **made}
        elif kind == "event-report":
            _keep(self.reports, id, made)
        elif kind == "proposal":
            # One that is to change an attribute stands with that attribute.
            if str(came.get("old_id") or "0") == "0":
                _keep(self.proposals, id, made)
        else:
            return False
        return True

    def whole(self) -> Item:
        """The event with all that was taken. It is not published until somebody says so."""
        head = self.head or _content(self.around, OWN)
        return {
            **head,
            "published": False,
            "Attribute": list(self.attributes.values()),
            "Object": [
                {**thing, "Attribute": list(self.inside.get(name, {}).values())}
                for name, thing in self.objects.items()
            ],
            "EventReport": list(self.reports.values()),
            "ShadowAttribute": list(self.proposals.values()),
        }


def _keep(held: dict[str, Item], id: str, made: Item) -> None:
    """Of two states of one thing (it was context and is now detected by, say) the newer."""
    if id not in held or _at(made) > _at(held[id]):
        held[id] = made


def _at(thing: Item) -> int:
    text = str(thing.get("timestamp") or "")
    return int(text) if text.isdecimal() else 0


def _unheard(made: Item, seen: list[Item]) -> list[Item]:
    have = {str(each.get("uuid")) for each in made.get("Sighting") or () if isinstance(each, dict)}
    return [each for each in seen if str(each.get("uuid")) not in have]


def _content(came: Item, otherwise: int) -> Item:
    """What a thing says wherever it is, and who may see it by its own word: what is around it is around it here as well."""
    made = _carried({name: value for name, value in came.items() if name not in _NOTED})
    return {**made, **circle_of(came, otherwise).fields()}


def _carried(thing: Item) -> Item:
    """A thing without what belongs to its instance, and what stands inside it likewise."""
    made = {name: value for name, value in thing.items() if name not in _OF_THE_INSTANCE}
    own = {str(tag.get("name")) for tag in _listed(thing, "Tag") if _local(tag)}
    for name in _WITHIN:
        if isinstance(made.get(name), dict):
            made[name] = _carried(made[name])
        elif name in made:
            made[name] = [_carried(each) for each in _listed(made, name) if not _local(each)]
    for galaxy in _listed(made, "Galaxy"):
        galaxy["GalaxyCluster"] = [
            each for each in _listed(galaxy, "GalaxyCluster") if each.get("tag_name") not in own
        ]
    if "Galaxy" in made:
        # One whose clusters were all local says nothing.
        made["Galaxy"] = [each for each in _listed(made, "Galaxy") if each["GalaxyCluster"]]
    return made


def _local(thing: Item) -> bool:
    return str(thing.get("local")) in ("True", "1") or thing.get("exportable") is False


def _listed(thing: Item, name: str) -> list[Item]:
    found = thing.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
