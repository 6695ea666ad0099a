"""Sightings pushed to a MISP instance: each onto the attributes it is of, once, by what the instance has already.

An instance gives a sighting an id of its own, so the same one is known by its kind, its time and who says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from connectors.misp_search import JSON
from connectors.web import Fetched, Web, refuse
from engine.ports import Delivered, Refused

ANSWER_BYTES = 64 << 20
# Attributes of one value that are looked for; a value that is in more events than this is in most of them.
ATTRIBUTES = 1000
# Attributes of which it is remembered what is there: sightings of one come together.
REMEMBERED = 500

Item = dict[str, Any]


class Sightings:
    """What an instance has of the attributes that were asked for so far in one delivery."""

    def __init__(self, web: Web, home: str, why: Callable[[Fetched], str]) -> None:
        self._web, self._home, self._why = web, home, why
        self._known: dict[tuple[str, str], list[Item]] = {}

    def push(self, outgoing: Mapping[str, Any]) -> Delivered:
        """Deliver one sighting: `{"Sighting": …, "attribute": its uuid or "", "value": or "", "records": …}`.

        By its uuid an attribute is meant alone; by value every attribute with that value.
        """
        ids = [id for each in outgoing["records"].values() for id in each]
        attribute, value = str(outgoing.get("attribute") or ""), str(outgoing.get("value") or "")
        found = self._attributes("uuid", attribute) if attribute else []
        found = found or (self._attributes("value", value) if value else [])
        if not found:
            return Delivered(
                0, tuple(Refused(id, "The instance has no attribute of what was seen.") for id in ids)
            )
        for each in found:
            if said := self._add(outgoing["Sighting"], each):
                return Delivered(0, tuple(Refused(id, said) for id in ids))
        return Delivered(len(ids))

    def _attributes(self, by: str, what: str) -> list[Item]:
        if (by, what) not in self._known:
            asked = {"returnFormat": "json", by: what, "includeSightings": 1, "limit": ATTRIBUTES, "page": 1}
            found = self._post(f"{self._home}/attributes/restSearch", asked)
            refuse(found.status, found.url)
            listed = _object(found).get("response")
            attributes = listed.get("Attribute") if isinstance(listed, dict) else None
            # Not every implementation heeds every filter.
            held = [each for each in attributes or () if isinstance(each, dict) and _is(each, by, what)]
            while len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[by, what] = held
        return self._known[by, what]

    def _add(self, sighting: Item, attribute: Item) -> str:
        """Add it where it is missing. Returns why it can't be, where it can't."""
        have = attribute.setdefault("Sighting", [])
        if any(_same(sighting, each) for each in have if isinstance(each, dict)):
            return ""
        said = {
            "type": str(sighting.get("type") or "0"),
            "source": str(sighting.get("source") or ""),
            "timestamp": int(sighting["date_sighting"]),
        }
        answer = self._post(f"{self._home}/sightings/add/{attribute.get('id') or attribute['uuid']}", said)
        if answer.status >= 400:
            return self._why(answer)
        have.append(sighting)
        return ""

    def _post(self, url: str, body: Item) -> Fetched:
        found = self._web.fetch(url, JSON, orjson.dumps(body), most=ANSWER_BYTES)
        if found.status in (401, 429) or found.status >= 500:
            refuse(found.status, found.url)
        return found


def _is(attribute: Item, by: str, what: str) -> bool:
    said = str(attribute.get(by, ""))
    return what.lower() in (said.lower(), *said.lower().split("|")) and not _true(attribute.get("deleted"))


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1")


def _same(ours: Item, theirs: Item) -> bool:
    if ours.get("uuid") and ours.get("uuid") == theirs.get("uuid"):
        return True
    return all(str(ours.get(name) or no) == str(theirs.get(name) or no) for name, no in _KNOWN_BY.items())


_KNOWN_BY = {"type": "0", "date_sighting": "", "source": ""}


def _object(found: Fetched) -> Item:
    try:
        value = orjson.loads(found.body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
