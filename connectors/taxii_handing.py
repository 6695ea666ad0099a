"""Objects handed in to a TAXII collection: in parts the server allows, each followed until it is taken in.

A server that holds an object in that version already says that it failed. Whether it did is seen by asking
for what is there: the same object is as good as delivered, so handing in twice changes nothing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import orjson

from connectors.taxii_wire import Collection, NotReady, Server, json_of, turn
from connectors.web import PATIENCE, TooMuch, shown
from engine.lowered import Lowered, lowered
from engine.ports import Delivered, Refused

# A part is at most so large, however much a server allows: it is held whole, and sent again if it breaks off.
PART_BYTES = 4 << 20
PART_OBJECTS = 500
# Ids asked for at a time: addresses much longer than this are refused by servers and what stands before them.
ASKED = 40
_SAID = 200
_AROUND = 200


@dataclass(frozen=True)
class Item:
    """An object on its way, the JSON it goes as, and whether it says less so."""

    whole: dict[str, Any]
    text: bytes
    less: bool = False

    @property
    def id(self) -> str:
        return str(self.whole.get("id", ""))

    @property
    def version(self) -> str:
        """What TAXII tells versions of an object apart by; empty where it has none."""
        return str(self.whole.get("modified") or self.whole.get("created") or "")


@dataclass(frozen=True)
class Part:
    """Objects that go together, and those that can't go at all."""

    items: tuple[Item, ...]
    refused: tuple[Refused, ...]


@dataclass
class Verdict:
    """What the server says of a part: whether it is through with it, and which objects it did not take."""

    complete: bool
    failures: int
    said: dict[str, str] = field(default_factory=dict)


def hand_in(server: Server, collection: Collection, objects: Iterable[dict[str, Any]]) -> Iterator[Delivered]:
    """The objects, part by part, each yielded when the server has taken it in or refused it."""
    told = json_of(server.ask(collection.root)).get("max_content_length")
    room = min(told, PART_BYTES) if isinstance(told, int) and told > 0 else PART_BYTES
    for part in parts(objects, room, _only_20(server, collection)):
        failed = handed_in(server, collection, part.items) if part.items else []
        ids = {one.id for one in failed}
        less = sum(item.less for item in part.items if item.id not in ids)
        yield Delivered(len(part.items) - len(failed), (*part.refused, *failed), less)


def parts(objects: Iterable[dict[str, Any]], room: int, only_20: bool = False) -> Iterator[Part]:
    """The objects in parts whose envelope has at most `room` bytes, in STIX 2.0 where a collection takes that alone."""
    items, refused, held = list[Item](), list[Refused](), _AROUND
    for whole in objects:
        made = lowered(whole) if only_20 else Lowered(whole)
        item = Item(made.whole or whole, orjson.dumps(made.whole or whole), made.less)
        if why := made.why or _too_large(item, room):
            refused.append(Refused(item.id, why))
        elif held + len(item.text) + 1 > room or len(items) == PART_OBJECTS:
            yield Part(tuple(items), tuple(refused))
            items, refused, held = [item], [], _AROUND + len(item.text) + 1
        else:
            items.append(item)
            held += len(item.text) + 1
        if len(refused) == PART_OBJECTS:
            yield Part(tuple(items), tuple(refused))
            items, refused, held = [], [], _AROUND
    if items or refused:
        yield Part(tuple(items), tuple(refused))


def _too_large(item: Item, room: int) -> str:
    if _AROUND + len(item.text) > room:
        return f"It has {len(item.text):,} bytes, and this server takes {room:,} at a time."
    return ""


def _only_20(server: Server, collection: Collection) -> bool:
    return server.version == "2.0" and not any("2.1" in media for media in collection.media)


def handed_in(server: Server, collection: Collection, items: Sequence[Item]) -> list[Refused]:
    """The objects of a part that the server would not have."""
    found = server.hand_in(collection.url, _wrapped(server, items))
    if found.status in (413, 422):
        # It refuses the whole for the sake of one, or for its size: halves tell which.
        if len(items) == 1:
            large = found.status == 413
            return [
                Refused(items[0].id, "The server takes nothing as large." if large else "The server could not take it in.")
            ]  # fmt: skip
        middle = len(items) // 2
        return [
            *handed_in(server, collection, items[:middle]),
            *handed_in(server, collection, items[middle:]),
        ]
    verdict = _followed(server, collection, json_of(found))
    if not verdict.failures:
        return []
    # A server need not say which ones failed; then every one is in doubt.
    doubted = [item for item in items if item.id in verdict.said] if verdict.said else list(items)
    there = held_there(server, collection, [item.id for item in doubted]) if collection.readable else {}
    return [
        Refused(item.id, why)
        for item in doubted
        if (why := _why(item, there.get((item.id, item.version)), verdict.said.get(item.id, "")))
    ]


def _wrapped(server: Server, items: Sequence[Item]) -> bytes:
    objects = b",".join(item.text for item in items)
    if server.version == "2.1":
        return b'{"objects":[' + objects + b"]}"
    return (
        b'{"type":"bundle","id":"bundle--%s","spec_version":"2.0","objects":[' % str(uuid.uuid4()).encode()
        + objects
        + b"]}"
    )


def _followed(server: Server, collection: Collection, told: dict[str, Any]) -> Verdict:
    """The server's last word on a part; NotReady where it does not come to one."""
    waited, pause = 0.0, 0.25
    while not (verdict := _verdict(told)).complete:
        if waited > PATIENCE or not told.get("id"):
            raise NotReady(f"{shown(collection.url)}: it has taken our objects and is not through with them.")
        time.sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 8.0)
        told = json_of(server.ask(urljoin(collection.root, f"status/{told['id']}/")))
    return verdict


def _verdict(told: dict[str, Any]) -> Verdict:
    """A status of TAXII 2.0 or 2.1 (§4.3)."""
    said = {}
    for each in told.get("failures") or ():
        if isinstance(each, dict) and each.get("id"):
            said[str(each["id"])] = str(each.get("message") or "")[:_SAID]
    failures = max(int(told.get("failure_count") or 0), len(said))
    return Verdict(told.get("status", "complete") == "complete", failures, said)


def held_there(server: Server, collection: Collection, ids: Sequence[str]) -> dict[tuple[str, str], Item]:
    """The versions a collection holds of these objects."""
    found: dict[tuple[str, str], Item] = {}
    distinct = list(dict.fromkeys(ids))
    for first in range(0, len(distinct), ASKED):
        asked, place = {"match[id]": ",".join(distinct[first : first + ASKED])}, ""
        for _ in range(len(distinct) * 100):
            answer = turn(server, collection, 1000, place, asked)
            if answer is None:
                raise NotReady(f"{shown(collection.url)}: it forgets where we are.")
            for whole in json_of(answer.found).get("objects") or () if answer.objects else ():
                item = Item(whole, b"")
                found[item.id, item.version] = item
            if answer.next is None:
                break
            place = answer.next
        else:
            raise TooMuch(f"{shown(collection.url)}: it does not come to an end.")
    return found


def _why(item: Item, there: Item | None, said: str) -> str:
    """Why an object counts as refused; empty where the collection holds just what we sent."""
    if there is None:
        return (
            f"The server did not take it: {said}"
            if said
            else "The server did not take it, and says no reason."
        )
    if _plain(there.whole) == _plain(item.whole):
        return ""
    return "The collection holds this version of it with other content, which can't be replaced."


def _plain(whole: dict[str, Any]) -> dict[str, Any]:
    """An object without what a server notes on it for itself."""
    return {name: value for name, value in whole.items() if not name.startswith("_")}
