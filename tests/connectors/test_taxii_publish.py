"""Publishing to TAXII: what is handed in is there, once, and what is refused is named, on both versions' real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from connectors import CONNECTORS, check, payloads_of
from connectors.registry import Reach
from connectors.taxii import NoCollection, NotReady
from connectors.taxii_handing import parts
from connectors.web import Turned
from engine.model import Source
from engine.ports import Delivered, Outgoing, Refused
from engine.targets import TARGETS
from tests.servers import taxii
from tests.servers.loopback import Asked, Loopback, Reply, answering
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii

HERE = ("127.0.0.1",)


def config(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "username": ACCOUNT, "password": PASSWORD, "collections": ["Inbox"], **more}


def publish(given: dict[str, Any], objects: list[dict[str, Any]]) -> list[Delivered]:
    """Each part as it was acknowledged."""
    kind = CONNECTORS["taxii"]
    outgoing = Outgoing(TARGETS["indicator"], ("id",), objects=lambda: iter(objects))
    return list(kind.write(kind.config.model_validate(given), outgoing, Reach(HERE)))


def held(given: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the collection gives to somebody who reads it, by id and version."""
    source = Source(id="t", name="t", connector="taxii", config=given)
    found = [o for page in payloads_of(source, None, HERE) for o in json.loads(page.stream.read()).get("objects", [])]  # fmt: skip
    keyed = {(o["id"], o["modified"]): o for o in found}
    assert len(keyed) == len({json.dumps(o, sort_keys=True) for o in found})
    return keyed


def made(version: str, number: int, **more: Any) -> list[dict[str, Any]]:
    """Indicators of a version of STIX."""
    own = {"spec_version": "2.1", "pattern_type": "stix"} if version == "2.1" else {"labels": ["malicious-activity"]}  # fmt: skip
    return [
        {
            "type": "indicator",
            "id": f"indicator--{uuid4()}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": f"2026-01-{place % 28 + 1:02d}T00:00:00.000Z",
            "pattern": f"[domain-name:value = 'host{place}.example']",
            "valid_from": "2026-01-01T00:00:00Z",
            "x_custom": {"deep": [place, "ü"]},
            **own,
            **more,
        }
        for place in range(number)
    ]


def test_what_is_published_is_there_as_it_was_in_parts_the_server_allows(taxii_server: Taxii) -> None:
    given, objects = config(taxii_server.inbox), made(taxii_server.version, 60)
    delivered = publish(given, objects)
    assert len(delivered) > 1
    assert sum(each.sent for each in delivered) == 60
    assert not [one for each in delivered for one in each.refused]
    there = held(given)
    assert all(there[o["id"], o["modified"]] == o for o in objects)


def test_publishing_twice_changes_nothing_and_refuses_nothing(taxii_server: Taxii) -> None:
    given, objects = config(taxii_server.inbox), made(taxii_server.version, 30)
    publish(given, objects[:20])
    before = held(given)
    again = publish(given, objects)
    assert (sum(each.sent for each in again), [each.refused for each in again if each.refused]) == (30, [])
    assert len(held(given)) == len(before) + 10


def test_a_version_that_is_there_with_other_content_is_named_and_the_rest_goes(taxii_server: Taxii) -> None:
    given, objects = config(taxii_server.inbox), made(taxii_server.version, 3)
    publish(given, objects)
    changed = {**objects[1], "pattern": "[domain-name:value = 'other.example']"}
    newer = {**objects[2], "modified": "2026-05-01T00:00:00.000Z"}
    [delivered] = publish(given, [objects[0], changed, newer])
    assert delivered.sent == 2
    assert [one.id for one in delivered.refused] == [changed["id"]]
    assert "other content" in delivered.refused[0].why
    assert "other.example" not in delivered.refused[0].why
    assert (newer["id"], newer["modified"]) in held(given)


def test_what_is_larger_than_the_server_allows_is_named(taxii_server: Taxii) -> None:
    given, objects = config(taxii_server.inbox), made(taxii_server.version, 2)
    objects[0]["description"] = "x" * taxii.ROOM
    [delivered] = publish(given, objects)
    assert delivered.sent == 1
    assert [(one.id, "bytes" in one.why) for one in delivered.refused] == [(objects[0]["id"], True)]


def test_stix_21_goes_into_a_collection_of_stix_20_as_far_as_that_has_words_for_it(
    taxii_server: Taxii,
) -> None:
    [plain] = made("2.1", 1)
    rich = {**made("2.1", 1, confidence=80, indicator_types=["benign"])[0]}
    note = {
        "type": "note", "spec_version": "2.1", "id": f"note--{uuid4()}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "content": "x", "object_refs": [plain["id"]],
    }  # fmt: skip
    given = config(taxii_server.inbox)
    [delivered] = publish(given, [plain, rich, note])
    if taxii_server.version == "2.1":
        assert (delivered.sent, delivered.less, delivered.refused) == (3, 0, ())
        return
    assert (delivered.sent, delivered.less) == (2, 1)
    assert delivered.refused == (Refused(note["id"], "STIX 2.0 has no note."),)
    there = held(given)
    for each, labels in ((plain, ["unknown"]), (rich, ["benign"])):
        found = there[each["id"], each["modified"]]
        assert (found["labels"], found["x_custom"]) == (labels, each["x_custom"])
        assert not {"spec_version", "pattern_type", "confidence", "indicator_types"} & found.keys()
    assert publish(given, [plain, rich, note]) == [delivered]


def test_one_writable_collection_must_be_named(taxii_server: Taxii) -> None:
    with pytest.raises(NoCollection) as several:
        publish(config(taxii_server.inbox, collections=[]), [])
    assert "Inbox" in several.value.action
    with pytest.raises(NoCollection) as locked:
        publish(config(taxii_server.url, collections=["Members only"]), [])
    assert "ATT&CK for ICS" in locked.value.action
    with pytest.raises(Turned):
        publish(config(taxii_server.inbox, password="wrong"), [])


def test_a_collection_that_can_only_be_written_to_is_published_to_and_says_so(taxii_server: Taxii) -> None:
    given = config(taxii_server.inbox, collections=["Drop"])
    source = Source(id="t", name="t", connector="taxii", config=given)
    stages = list(check(source, HERE))
    assert [stage.ok for stage in stages] == [True] * 5
    assert "may be published to" in stages[3].detail
    objects = made(taxii_server.version, 2)
    [first] = publish(given, objects)
    [again] = publish(given, objects)
    assert (first.sent, again.sent, len(again.refused)) == (2, 0, 2)


# ── a server that takes its time, and one that is picky ──────────────────────────────────────────────


class Slow(Loopback):
    """A TAXII 2.1 server that is through with a part after `turns` questions, and can't stomach `bad` ids."""

    def __init__(self, turns: int, bad: set[str]) -> None:
        self.turns, self.bad = turns, bad
        self.taken: dict[str, dict[str, Any]] = {}
        self.pending: list[dict[str, Any]] = []
        self.posts = 0
        super().__init__(answering(self._answer))
        self.url += "/api/"

    def _answer(self, asked: Asked) -> Reply:
        status, said = self._taken_in(asked) if asked.method == "POST" else (200, self._told(asked.path))
        return status, {"content-type": "application/taxii+json;version=2.1"}, said

    def _told(self, path: str) -> dict[str, Any]:
        if path == "/api/":
            return {"title": "slow", "versions": [], "max_content_length": 1_000_000}
        if path == "/api/collections/":
            return {"collections": [{"id": "c", "title": "C", "can_read": True, "can_write": True}]}
        if path.startswith("/api/status/"):
            self.turns -= 1
            return self._status()
        return {"objects": list(self.taken.values())}

    def _taken_in(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        self.posts += 1
        objects = json.loads(asked.body)["objects"]
        if any(each["id"] in self.bad for each in objects):
            return 422, {"title": "no"}
        self.pending = objects
        return 202, self._status()

    def _status(self) -> dict[str, Any]:
        if self.turns > 0:
            return {"id": "s", "status": "pending", "pending_count": len(self.pending)}
        self.taken |= {each["id"]: each for each in self.pending}
        return {"id": "s", "status": "complete", "success_count": len(self.pending)}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with closing(Slow(3, set())) as server:
        yield server


def test_a_part_counts_only_once_the_server_is_through_with_it(slow: Slow) -> None:
    objects = made("2.1", 4)
    [delivered] = publish({"url": slow.url}, objects)
    assert (delivered.sent, slow.turns, set(slow.taken)) == (4, 0, {o["id"] for o in objects})
    slow.turns = 1_000_000
    with pytest.raises(NotReady):
        publish({"url": slow.url}, objects)


def test_the_object_for_which_a_server_refuses_the_whole_is_found(slow: Slow) -> None:
    slow.turns = 0
    objects = made("2.1", 9)
    slow.bad = {objects[5]["id"]}
    [delivered] = publish({"url": slow.url}, objects)
    assert (delivered.sent, [one.id for one in delivered.refused]) == (8, [objects[5]["id"]])
    assert set(slow.taken) == {o["id"] for o in objects} - slow.bad


def test_parts_hold_every_object_once_and_keep_to_the_room() -> None:
    objects = made("2.1", 2_000)
    found = list(parts(iter(objects), 50_000))
    assert [item.whole for part in found for item in part.items] == objects
    assert all(sum(len(item.text) + 1 for item in part.items) <= 50_000 for part in found)
    assert max(len(part.items) for part in parts(iter(objects), 1 << 30)) == 500
