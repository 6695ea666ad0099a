"""An event pushed to a MISP instance: made there, or brought up to date, and never seen by more than before.

What the instance has is looked at first. What it holds already as we have it is not sent again, for MISP takes any
edit for a change and withdraws the event's publication. Of two distributions the narrower holds: ours, and what
somebody there has narrowed it to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pymisp import MISPEvent, PyMISPError

from connectors.web import Fetched, Turned, Web, refuse, shown
from engine.ports import Delivered, Refused
from engine.types.distribution import INHERIT, OWN, circle_of, narrower

ANSWER_BYTES = 256 << 20
_JSON = {"accept": "application/json", "content-type": "application/json"}
# Of an event's own fields those are compared and sent that say what it is; the instance sets all others.
_EVENT = ("info", "date", "threat_level_id", "analysis", "extends_uuid")
_ATTRIBUTE = (
    "type", "category", "value", "to_ids", "comment", "first_seen", "last_seen", "deleted", "disable_correlation",
    "object_relation",
)  # fmt: skip
_OBJECT = ("name", "meta-category", "template_uuid", "template_version", "description", "comment", "deleted")
_REPORT = ("name", "content", "deleted")
_SHOWN = 300

Item = dict[str, Any]


def push(web: Web, home: str, outgoing: Mapping[str, Any]) -> Delivered:
    """Deliver one event with what it holds.

    `outgoing` is `{"Event": …, "records": {uuid of an attribute or object: ids of the records it stands for}}`;
    without `records` the event counts as one. Without an event, `why` says why the records have none.
    """
    if outgoing["Event"] is None:
        told = str(outgoing.get("why", ""))
        return Delivered(0, _refused((id for ids in outgoing["records"].values() for id in ids), told))
    event = dict(outgoing["Event"])
    uuid = str(event.get("uuid", ""))
    records: dict[str, list[str]] = {
        str(k): list(v) for k, v in (outgoing.get("records") or {uuid: [uuid]}).items()
    }
    whole = [id for ids in records.values() for id in ids]
    try:
        made, unfit = _made(event)
    except (PyMISPError, ValueError, TypeError) as error:
        return Delivered(0, _refused(whole, f"MISP has no such event: {_brief(str(error), web)}"))
    odd = [
        refused
        for one, told in unfit.items()
        for refused in _refused(records.pop(one, []), _brief(told, web))
    ]
    return _deliver(web, home, made, records, odd)


def _deliver(web: Web, home: str, made: Item, records: dict[str, list[str]], odd: list[Refused]) -> Delivered:
    uuid, whole = str(made["uuid"]), [id for ids in records.values() for id in ids]
    there = event_there(web, home, uuid)
    if there is None:
        answer = _post(web, f"{home}/events/add", made)
    else:
        change = _change(made, there)
        if change is None:
            return Delivered(len(whole), tuple(odd))
        answer = _post(web, f"{home}/events/edit/{uuid}", change)
    if answer.status >= 400:
        return Delivered(0, (*odd, *_refused(whole, why(answer, web))))
    found = _balanced(web, home, uuid, records, _json(answer))
    return Delivered(found.sent, (*odd, *found.refused))


def _made(event: Item) -> tuple[Item, dict[str, str]]:
    """The event as PyMISP would send it, and of each attribute that MISP has no form for why.

    PyMISP knows MISP's types, categories and forms. Nobody sees more by our sending it: it is not published, and
    what its instance keeps to itself stays.
    """
    whole: Item = orjson.loads(orjson.dumps(event))
    # Circles are put on afterwards: PyMISP takes a sharing group by the id it has at one instance only.
    circles = {str(thing.get("uuid")): circle_of(thing, INHERIT).fields() for thing in _things(whole)}
    for thing in (whole, *_things(whole)):
        for name in ("distribution", "sharing_group_id", "SharingGroup"):
            thing.pop(name, None)
    known, unfit = MISPEvent(), dict[str, str]()
    attributes = whole.pop("Attribute", ())
    known.from_dict(**whole)
    for attribute in attributes:
        try:
            known.add_attribute(**attribute)
        except (PyMISPError, ValueError, TypeError) as error:
            unfit[str(attribute.get("uuid"))] = str(error)
    made: Item = orjson.loads(known.to_json())
    made |= {"published": False, **circle_of(event, OWN).fields()}
    for thing in (made, *_things(made)):
        if thing is not made:
            thing |= circles.get(str(thing.get("uuid")), {"distribution": str(OWN)})
        if "Tag" in thing:
            thing["Tag"] = [tag for tag in thing["Tag"] if not tag.get("local")]
    return made, unfit


def _things(event: Item) -> list[Item]:
    """All that an event holds, objects with what is in them."""
    return [*_attributes(event), *(event.get("Object") or ()), *(event.get("EventReport") or ())]


def event_there(web: Web, home: str, uuid: str) -> Item | None:
    """The event as the instance has it, with what was deleted in it; None where it has none of this uuid."""
    url = f"{home}/events/view/{uuid}"
    found = web.fetch(url, _JSON, orjson.dumps({"deleted": [0, 1]}), most=ANSWER_BYTES)
    if found.status == 405:
        # Not every implementation can be asked for what was deleted.
        found = web.fetch(url, _JSON, most=ANSWER_BYTES)
    if found.status == 404:
        return None
    refuse(found.status, found.url)
    event = _json(found).get("Event")
    if not isinstance(event, dict):
        raise Turned(
            f"{shown(found.url)}: what it gives is no event.", action="Give the address of a MISP instance."
        )
    return event


def _change(made: Item, there: Item) -> Item | None:
    """What is to be sent so that the event there holds all that ours does; None where it does already.

    Attributes and objects that only the instance has stay: nothing is deleted by sending.
    """
    narrowed = _narrowed(made, there, OWN)
    change: Item = {name: made[name] for name in _EVENT if name in made} | {"uuid": made["uuid"], **narrowed}
    differs = _differs(made, there, _EVENT, narrowed) or _untagged(made, there)
    have = {str(a.get("uuid")): a for a in _attributes(there)}
    change["Attribute"] = _changed(made.get("Attribute", ()), have, _ATTRIBUTE)
    objects = {str(o.get("uuid")): o for o in there.get("Object") or ()}
    change["Object"] = []
    for thing in made.get("Object", ()):
        own = objects.get(str(thing.get("uuid")))
        inner = _changed(thing.get("Attribute", ()), have, _ATTRIBUTE)
        limits = _narrowed(thing, own, INHERIT) if own else {}
        linked = {str(r.get("uuid")) for r in (own or {}).get("ObjectReference") or ()}
        fresh = [r for r in thing.get("ObjectReference", ()) if str(r.get("uuid")) not in linked]
        if own is None or inner or fresh or _differs(thing, own, _OBJECT, limits):
            sent = {key: value for key, value in thing.items() if key != "timestamp"}
            change["Object"].append({**sent, **limits, "Attribute": inner, "ObjectReference": fresh})
    reports = {str(r.get("uuid")): r for r in there.get("EventReport") or ()}
    change["EventReport"] = _changed(made.get("EventReport", ()), reports, _REPORT)
    if differs:
        change["Tag"] = made.get("Tag", [])
    full = {key: value for key, value in change.items() if value not in ([], None)}
    return full if differs or any(change[name] for name in ("Attribute", "Object", "EventReport")) else None


def _changed(ours: Iterable[Item], have: Mapping[str, Item], names: tuple[str, ...]) -> list[Item]:
    """Those of our attributes that the instance lacks or has differently, no wider than it has them."""
    changed = []
    for one in ours:
        own = have.get(str(one.get("uuid")))
        limits = _narrowed(one, own, INHERIT) if own else {}
        if own is None or _differs(one, own, names, limits) or _untagged(one, own):
            # Without a time it is from now: MISP passes over what is no newer than what it has.
            changed.append(
                {key: value for key, value in one.items() if key != "timestamp" or own is None} | limits
            )
    return changed


def _narrowed(ours: Item, theirs: Item, otherwise: int) -> Item:
    fields = narrower(circle_of(ours, otherwise), circle_of(theirs, otherwise)).fields()
    if fields["distribution"] == "4" and theirs.get("sharing_group_id"):
        fields["sharing_group_id"] = theirs["sharing_group_id"]
    return fields


def _differs(ours: Item, theirs: Item, names: tuple[str, ...], limits: Item) -> bool:
    if limits and str(theirs.get("distribution", limits["distribution"])) != limits["distribution"]:
        return True
    return any(name in ours and _plain(ours[name]) != _plain(theirs.get(name)) for name in names)


def _plain(value: object) -> str:
    """A value as both sides mean it: instances write numbers and truth in several ways, and times with or without a zone."""
    text = "" if value is None else str(value)
    if text in ("True", "False"):
        return "1" if text == "True" else ""
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", text):
        return re.sub(r"\.0+$", "", re.sub(r"(Z|\+00:00)$", "", text))
    return "" if text == "0" else text


def _untagged(ours: Item, theirs: Item) -> bool:
    have = {str(tag.get("name")) for tag in theirs.get("Tag") or ()}
    return any(str(tag.get("name")) not in have for tag in ours.get("Tag") or ())


def _attributes(event: Item) -> Iterable[Item]:
    yield from event.get("Attribute") or ()
    for thing in event.get("Object") or ():
        yield from thing.get("Attribute") or ()


def _held(event: Item) -> set[str]:
    """The uuids of all that an event holds."""
    return {str(thing.get("uuid")) for thing in _things(event)}


def _balanced(web: Web, home: str, uuid: str, records: dict[str, list[str]], answer: Item) -> Delivered:
    """Which records are there now: an instance may take an event and leave out some of what it holds."""
    event = answer.get("Event")
    if not isinstance(event, dict) or "Attribute" not in event:
        event = event_there(web, home, uuid) or {}
    kept = {uuid, *_held(event)}
    if any(one not in kept for one in records):
        # The answer to an edit may show only a part: what counts is what is there.
        kept |= _held(event_there(web, home, uuid) or {})
    left = [one for one in records if one not in kept]
    told = _errors(answer, web) or "The instance took the event without it."
    sent = sum(len(ids) for one, ids in records.items() if one in kept)
    return Delivered(sent, tuple(refused for one in left for refused in _refused(records[one], told)))


def _post(web: Web, url: str, event: Item) -> Fetched:
    found = web.fetch(url, _JSON, orjson.dumps(event), most=ANSWER_BYTES)
    if found.status == 401 or found.status == 429 or found.status >= 500:
        refuse(found.status, found.url)
    return found


def _json(found: Fetched) -> Item:
    try:
        value = orjson.loads(found.body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def why(found: Fetched, web: Web) -> str:
    """What an instance says of its refusal, without our secrets."""
    said = _errors(_json(found), web)
    return f"status {found.status}: {said}" if said else f"status {found.status}"


def _errors(answer: Item, web: Web) -> str:
    """What an instance says is wrong, briefly: MISP names fields and reasons, and may repeat a value."""
    for name in ("errors", "message", "detail", "name"):
        if found := answer.get(name):
            return _brief(found if isinstance(found, str) else orjson.dumps(found).decode(), web)
    return ""


def _brief(text: str, web: Web) -> str:
    for secret in web.headers.values():
        text = text.replace(secret, "…") if secret else text
    return text[:_SHOWN]


def _refused(ids: Iterable[str], told: str) -> tuple[Refused, ...]:
    return tuple(Refused(id, told) for id in ids)
