"""Attributes of ours taken back from a MISP instance: deleted softly, so that those who have them hear of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from connectors.misp_push import ANSWER_BYTES, event_there
from connectors.misp_search import JSON
from connectors.web import Fetched, Web, refuse
from engine.ports import Delivered, Gone, Refused

Item = dict[str, Any]


def withdraw(web: Web, home: str, gone: Sequence[Gone], why: Callable[[Fetched], str]) -> Iterator[Delivered]:
    """Each attribute deleted where its event still has it; what several records stood for goes with the last question."""
    events: dict[str, list[tuple[Gone, str]]] = {}
    for one in gone:
        there = orjson.loads(one.there)
        events.setdefault(str(there["event"]), []).append((one, str(there["uuid"])))
    for uuid, records in events.items():
        held = _attributes(event_there(web, home, uuid) or {})
        refused = []
        for one, attribute in records:
            found = held.pop(attribute, None)
            if found is None or str(found.get("deleted")) in ("True", "1"):
                continue
            answer = web.fetch(
                f"{home}/attributes/delete/{found.get('id') or attribute}",
                JSON,
                most=ANSWER_BYTES,
                method="DELETE",
            )
            if answer.status in (401, 429) or answer.status >= 500:
                refuse(answer.status, answer.url)
            if answer.status >= 400 and answer.status != 404:
                refused.append(Refused(one.id, why(answer)))
        yield Delivered(len(records) - len(refused), tuple(refused))


def _attributes(event: Item) -> dict[str, Item]:
    things = (event, *(event.get("Object") or ()))
    return {str(each.get("uuid")): each for thing in things for each in thing.get("Attribute") or ()}
