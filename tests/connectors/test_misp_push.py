"""Events pushed to a MISP instance are made or brought up to date, once, and never seen by more than before."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from connectors.misp import Config, write
from connectors.misp_push import push as push_one
from connectors.registry import Reach
from connectors.web import Fetched, Turned
from engine.ports import Delivered, Outgoing
from engine.targets import TARGETS
from engine.types.distribution import INHERIT, OWN, Circle, circle_of, narrower
from tests.connectors.misp_instance import KEY, NOW, Instance

EVENT = "00000000-3333-4333-8333-333333333333"
GROUP = {"uuid": "00000099-3333-4333-8333-333333333333", "name": "Partners"}


def attribute(number: int, **more: Any) -> dict[str, Any]:
    uuid = f"{number:08d}-4444-4444-8444-444444444444"
    known = {"uuid": uuid, "type": "domain", "category": "Network activity", "value": f"{number}.example"}
    return {**known, "to_ids": True, "distribution": "5", "timestamp": str(NOW - 500), **more}


def event(*attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"uuid": EVENT, "info": "Ours", "distribution": "1", "threat_level_id": "2", "analysis": "0"}
    return {
        **known,
        "date": "2026-01-02",
        "timestamp": str(NOW - 1000),
        "Attribute": list(attributes),
        **more,
    }


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    yield made
    made.close()


def push(instance: Instance, *events: dict[str, Any], key: str = KEY) -> list[Delivered]:
    def outgoing() -> Iterator[dict[str, Any]]:
        for one in events:
            inner = [*one["Attribute"], *(a for thing in one.get("Object", []) for a in thing["Attribute"])]
            yield {"Event": one, "records": {a["uuid"]: [f"indicator--{a['uuid']}"] for a in inner}}

    told = Outgoing(TARGETS["indicator"], ("id",), events=outgoing)
    return list(write(Config(url=instance.url, key=KEY if key == KEY else key), told, Reach(("127.0.0.1",))))


def test_an_event_is_made_and_delivering_it_twice_changes_nothing(instance: Instance) -> None:
    ours = event(attribute(1), attribute(2), Tag=[{"name": "tlp:green"}])
    assert push(instance, ours) == [Delivered(2)]
    before = copy.deepcopy(instance.events)
    assert push(instance, ours) == [Delivered(2)]
    assert instance.events == before
    assert instance.edits == []
    assert not before[EVENT]["published"]


def test_only_what_changed_is_sent_and_what_others_added_stays(instance: Instance) -> None:
    push(instance, event(attribute(1), attribute(2)))
    instance.events[EVENT]["Attribute"].append(attribute(9, value="theirs.example"))
    assert push(instance, event(attribute(1), attribute(2, comment="seen again"), attribute(3))) == [
        Delivered(3)
    ]
    [edit] = instance.edits
    assert [each["value"] for each in edit["Attribute"]] == ["2.example", "3.example"]
    there = {each["value"]: each for each in instance.events[EVENT]["Attribute"]}
    assert set(there) == {"1.example", "2.example", "3.example", "theirs.example"}
    assert there["2.example"]["comment"] == "seen again"


def test_what_somebody_there_narrowed_stays_narrow_and_what_we_narrowed_becomes_it(
    instance: Instance,
) -> None:
    push(instance, event(attribute(1, distribution="3"), attribute(2, distribution="3"), distribution="3"))
    there = instance.events[EVENT]
    there["distribution"] = "1"
    there["Attribute"][0]["distribution"] = "0"
    changed = event(
        attribute(1, distribution="3", comment="new"),
        attribute(2, distribution="0", comment="new"),
        distribution="3",
    )
    push(instance, changed)
    assert there["distribution"] == "1"
    assert [each["distribution"] for each in there["Attribute"]] == ["0", "0"]


def test_a_sharing_group_goes_with_its_description_or_the_event_stays_within_one_organisation(
    instance: Instance,
) -> None:
    push(instance, event(attribute(1), distribution="4", sharing_group_id="7"))
    assert instance.events.pop(EVENT)["distribution"] == "0"
    push(instance, event(attribute(1), distribution="4", SharingGroup=GROUP))
    made = instance.events[EVENT]
    assert (made["distribution"], made["SharingGroup"]["uuid"]) == ("4", GROUP["uuid"])


def test_local_tags_stay_here_and_an_attribute_goes_in_its_object(instance: Instance) -> None:
    tags = [{"name": "ours", "local": True}, {"name": "type:OSINT"}]
    inside = attribute(5, object_relation="domain", Tag=tags)
    thing = {"uuid": "00000005-5555-4555-8555-555555555555", "name": "domain-ip", "meta-category": "network"}
    thing |= {
        "template_uuid": "43b3b146-77eb-4931-b4cc-b66c60f28734",
        "template_version": "9",
        "Attribute": [inside],
    }
    assert push(instance, event(Object=[thing], Tag=tags)) == [Delivered(1)]
    made = instance.events[EVENT]
    assert [tag["name"] for tag in made["Tag"]] == ["type:OSINT"]
    [inner] = made["Object"][0]["Attribute"]
    assert (inner["object_relation"], [tag["name"] for tag in inner["Tag"]]) == ("domain", ["type:OSINT"])
    assert push(instance, event(Object=[thing], Tag=tags)) == [Delivered(1)]
    assert instance.edits == []


def test_what_is_refused_says_why_and_the_books_balance(instance: Instance) -> None:
    [part] = push(instance, event(attribute(1), attribute(2, value="refuse me")))
    assert part.sent == 1
    assert [(each.id, each.why) for each in part.refused] == [
        (
            f"indicator--{attribute(2)['uuid']}",
            '{"Attribute":{"0":{"value":["Value not in the right format."]}}}',
        )
    ]
    [part] = push(instance, event(attribute(3), attribute(4, type="no-such-type"), uuid=EVENT[:-1] + "4"))
    assert (part.sent, len(part.refused)) == (1, 1)
    assert "no-such-type" in part.refused[0].why
    instance.events[EVENT]["foreign"] = True
    [part] = push(instance, event(attribute(1, comment="changed")))
    assert part.sent == 0
    assert "not authorised" in part.refused[0].why
    instance.role = {"name": "Read only", "perm_add": False}
    [part] = push(instance, event(attribute(6), uuid=EVENT[:-1] + "5"))
    assert part.refused[0].why == "status 403: You do not have permission to use this functionality."


def test_a_wrong_key_stops_the_delivery_and_is_in_no_message(instance: Instance) -> None:
    with pytest.raises(Turned) as raised:
        push(instance, event(attribute(1)), key="wrong-key")
    assert "wrong-key" not in str(raised.value)
    assert instance.events == {}


def test_a_record_without_a_form_is_refused_with_the_reason(instance: Instance) -> None:
    told = {"Event": None, "records": {"": ["malware--1"]}, "why": "It has no form in MISP."}
    outgoing = Outgoing(TARGETS["malware"], ("id",), events=lambda: iter([told]))
    [part] = write(Config(url=instance.url, key=KEY), outgoing, Reach(("127.0.0.1",)))
    assert (part.sent, part.refused[0].why) == (0, "It has no form in MISP.")


class Straight:
    """The way to an instance without a network between, for as many tries as a property wants."""

    headers: dict[str, str] = {}

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def fetch(self, url: str, headers: Any, content: bytes | None = None, *, most: int) -> Fetched:
        status, value = self.instance.answer(
            url.removeprefix("x:"), orjson.loads(content) if content else None
        )
        return Fetched(status, httpx.Headers(), orjson.dumps(value), url)


LEVELS = some.sampled_from(["0", "1", "2", "3", "4", "5", None])


def circled(thing: dict[str, Any], level: str | None) -> dict[str, Any]:
    plain = {key: value for key, value in thing.items() if key != "distribution"}
    return plain | (
        {} if level is None else {"distribution": level, **({"SharingGroup": GROUP} if level == "4" else {})}
    )


@settings(max_examples=80, deadline=None)
@given(
    some.lists(
        some.tuples(LEVELS.filter(lambda level: level != "5"), LEVELS, some.text(max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_however_often_it_is_pushed_an_attribute_is_never_seen_by_more_than_each_time_allows(
    quiet: Instance, rounds: list[tuple[str | None, str | None, str]]
) -> None:
    quiet.events.clear()
    allowed = Circle(INHERIT)
    for around, own, comment in rounds:
        ours = circled(event(circled(attribute(1, comment=comment), own)), around)
        allowed = narrower(allowed, narrower(circle_of(ours, OWN), circle_of(ours["Attribute"][0], INHERIT)))
        part = push_one(
            Straight(quiet), "x:", {"Event": ours, "records": {attribute(1)["uuid"]: ["indicator--1"]}}
        )  # type: ignore[arg-type]
        assert part.sent == 1
        there = quiet.events[EVENT]
        now = narrower(circle_of(there, OWN), circle_of(there["Attribute"][0], INHERIT))
        assert narrower(allowed, now) == now
        before = copy.deepcopy(there)
        push_one(Straight(quiet), "x:", {"Event": ours, "records": {}})  # type: ignore[arg-type]
        assert quiet.events[EVENT] == before


@pytest.fixture(scope="module")
def quiet() -> Iterator[Instance]:
    made = Instance()
    yield made
    made.close()
