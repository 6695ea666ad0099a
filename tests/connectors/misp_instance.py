"""A small MISP instance on loopback that keeps what MISP publishes of its interface: searching, adding, editing.

What it does is taken from MISP's documentation of its API and the words its answers use. It exists for what the
real server in our tests does not do: filters, order, edits, distribution and the time rules of an edit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Any

from tests.servers.loopback import Loopback, Quiet

KEY = "k" * 40
NOW = 1_800_000_000

Event = dict[str, Any]
Answer = tuple[int, Any]


class Instance(Loopback):
    """The instance, and switches for what may go wrong with one.

    `before` is called with the number of each search before it is answered; what it returns is the answer.
    """

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.sorts = True
        self.heeds_page = True
        self.role = {"name": "Sync user", "perm_add": True}
        self.searches: list[dict[str, Any]] = []
        self.key = KEY
        self.keys: list[str | None] = []
        self.edits: list[dict[str, Any]] = []
        self.sightings = 0
        self.before: Callable[[int], tuple[int, dict[str, str], bytes] | None] = lambda number: None
        instance = self

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_DELETE(self) -> None:
                self._answer(None, "DELETE")

            def _answer(self, body: dict[str, Any] | None, method: str = "") -> None:
                instance.keys.append(self.headers.get("authorization"))
                headers: dict[str, str] = {}
                if self.headers.get("authorization") != instance.key:
                    status, said = 403, b'{"message": "Authentication failed."}'
                elif self.path == "/events/restSearch" and (odd := instance.odd(body or {})):
                    status, headers, said = odd
                else:
                    status, value = instance.delete(self.path) if method else instance.answer(self.path, body)
                    headers = {"x-result-count": "2"}  # a count nobody may rely on
                    said = json.dumps(value, ensure_ascii=False).encode()
                self.send_response_only(status)
                headers = {"content-length": str(len(said)), "content-type": "application/json"} | headers
                for name, text in {"date": formatdate(NOW, usegmt=True), **headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(said)
                self.close_connection = headers["content-length"] != str(len(said))

        super().__init__(Handler)

    def put(self, event: Event) -> str:
        uuid = str(event["uuid"])
        self.events[uuid] = event
        return uuid

    def odd(self, query: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        self.searches.append(query)
        return self.before(len(self.searches))

    def answer(self, path: str, body: dict[str, Any] | None) -> Answer:
        if path == "/servers/getVersion":
            return 200, {"version": "2.5.20", "perm_sync": True}
        if path == "/users/view/me":
            return 200, {"User": {"id": "1", "email": "analyst@org.test"}, "Role": self.role}
        if path == "/events/restSearch":
            return 200, {"response": [{"Event": event} for event in self.search(body or {})]}
        if path == "/attributes/restSearch":
            return 200, {"response": {"Attribute": self.attributes(body or {})}}
        if path.startswith("/sightings/add/"):
            return self.sight(path.rpartition("/")[2], body or {})
        if path == "/events/add":
            return self.add(body or {})
        uuid = path.rpartition("/")[2]
        if uuid not in self.events:
            return 404, {"name": "Invalid event", "message": "Invalid event", "url": path}
        return (
            self.edit(uuid, body or {})
            if path.startswith("/events/edit/")
            else (200, {"Event": self.events[uuid]})
        )

    def search(self, query: dict[str, Any]) -> list[Event]:
        found = [event for event in self.events.values() if _meets(event, query)]
        if self.sorts and "order" in query:
            field, direction = query["order"].removeprefix("Event.").split()
            found.sort(key=lambda event: int(event.get(field, 0)), reverse=direction == "desc")
        if self.heeds_page:
            start = query["limit"] * (query["page"] - 1)
            found = found[start : start + query["limit"]]
        # Within a page the order is the instance's own.
        found = sorted(found[: query["limit"]], key=lambda event: str(event["uuid"]))
        return [
            {key: value for key, value in event.items() if key not in ("Attribute", "Object")}
            if query.get("metadata")
            else event
            for event in found
        ]

    def add(self, event: Event) -> Answer:
        if event["uuid"] in self.events:
            return 404, {
                "message": "Event already exists, if you would like to edit it, use the url in the location header."
            }
        if not self.role.get("perm_add"):
            return 403, {"message": "You do not have permission to use this functionality."}
        kept = {**event, "Attribute": [a for a in event.get("Attribute", []) if a["value"] != "refuse me"]}
        self.put({"timestamp": str(NOW), "locked": False, **kept})
        said: dict[str, Any] = {"Event": self.events[event["uuid"]]}
        if len(kept["Attribute"]) != len(event.get("Attribute", [])):
            said["errors"] = {"Attribute": {"0": {"value": ["Value not in the right format."]}}}
        return 200, said

    def attributes(self, query: dict[str, Any]) -> list[Event]:
        """Copies of the attributes meant, with their sightings where they are asked for."""
        found = []
        for event in self.events.values():
            things = (event, *event.get("Object", []))
            for each in (a for thing in things for a in thing.get("Attribute", [])):
                if (
                    query.get("uuid", each["uuid"]) == each["uuid"]
                    and query.get("value", each["value"]) == each["value"]
                ):
                    kept = each if query.get("includeSightings") else {**each, "Sighting": []}
                    found.append(json.loads(json.dumps(kept)))
        return found[: query.get("limit", 1000)]

    def sight(self, uuid: str, body: dict[str, Any]) -> Answer:
        if not self.role.get("perm_sighting", True):
            return 403, {"message": "You do not have permission to use this functionality."}
        [attribute] = (
            a for event in self.events.values() for a in event.get("Attribute", []) if a["uuid"] == uuid
        )
        self.sightings += 1
        # As MISP does it gives an id of its own, and the time of now where none is said.
        made = {
            "uuid": f"{self.sightings:08d}-9999-4999-8999-999999999999", "type": str(body.get("type", "0")),
            "date_sighting": str(body.get("timestamp", NOW)), "source": body.get("source", ""),
        }  # fmt: skip
        attribute.setdefault("Sighting", []).append(made)
        return 200, made

    def delete(self, path: str) -> Answer:
        """Softly, as MISP does unless it is asked for more."""
        uuid = path.rpartition("/")[2]
        for event in self.events.values():
            for each in event.get("Attribute", []):
                if each["uuid"] == uuid and path.startswith("/attributes/delete/"):
                    if event.get("foreign"):
                        return 403, {"message": "You do not have permission to do that."}
                    each["deleted"] = True
                    return 200, {"message": "Attribute deleted."}
        return 404, {"message": "Invalid attribute"}

    def edit(self, uuid: str, event: Event) -> Answer:
        self.edits.append(event)
        own = self.events[uuid]
        if own.get("foreign"):
            return 403, {"errors": "The user used to edit the event is not authorised to do so."}
        if int(event.get("timestamp", NOW)) <= int(own.get("timestamp", 0)) < NOW:
            return 403, {
                "errors": "Event could not be saved: Event in the request not newer than the local copy."
            }
        inner = ("Attribute", "Object", "EventReport")
        own.update({key: value for key, value in event.items() if key not in inner})
        own["published"] = False
        for kind in inner:
            have = {each["uuid"]: each for each in own.setdefault(kind, [])}
            for each in event.get(kind, []):
                if each["uuid"] not in have:
                    own[kind].append(each)
                elif "timestamp" not in each:
                    have[each["uuid"]].update(each)
        return 200, {"Event": own}


def _meets(event: Event, query: dict[str, Any]) -> bool:
    for field in ("timestamp", "publish_timestamp"):
        if wanted := query.get(field):
            low, high = wanted if isinstance(wanted, list) else (wanted, 1 << 62)
            if not low <= int(event.get(field, 0)) <= high:
                return False
    if query.get("published") and not event.get("published"):
        return False
    if "threat_level_id" in query and str(event.get("threat_level_id")) not in query["threat_level_id"]:
        return False
    by = event.get("Orgc", {})
    if "org" in query and not {by.get("name"), by.get("uuid")} & set(query["org"]):
        return False
    names = [tag["name"] for tag in event.get("Tag", [])]
    said = query.get("tags", {})

    def has(patterns: list[str]) -> bool:
        return any(fnmatchcase(name, pattern.replace("%", "*")) for name in names for pattern in patterns)

    return ("OR" not in said or has(said["OR"])) and not has(said.get("NOT", []))
