"""Real MISP events, loaded: everything in them is a record, findable, and leaves as it came and to nobody more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from stix2validator import ValidationOptions, validate_string

from app.client import Client
from app.tenant.desk import Desk
from app.tenant.exports.misp_events import events
from connectors import payloads_of
from engine.model import Source
from engine.targets import TARGETS
from engine.types.distribution import INHERIT, OWN, Circle, circle_of, narrower
from storage import explorer
from storage.filters import Filter
from tests.connectors.misp_instance import KEY, Instance
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii

KEPT = (
    "type",
    "category",
    "value",
    "to_ids",
    "comment",
    "first_seen",
    "last_seen",
    "object_relation",
    "data",
)


def items(of: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [each for each in of.get(key) or [] if isinstance(each, dict)]


def attributes(event: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each attribute with the object around it."""
    yield from ((each, {}) for each in items(event, "Attribute"))
    yield from ((each, thing) for thing in items(event, "Object") for each in items(thing, "Attribute"))


def seen_by(event: dict[str, Any], thing: dict[str, Any], attribute: dict[str, Any]) -> Circle:
    around = narrower(circle_of(event, OWN), circle_of(thing, INHERIT) if thing else Circle(INHERIT))
    return narrower(around, circle_of(attribute, INHERIT))


@pytest.fixture
def loaded(client: Client, shared_data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """The real events whose attributes all have ids, in one file."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((shared_data / "pymisp" / "tests" / "reportlab_testfiles").glob("*.json")):
        event = json.loads(path.read_text())["Event"]
        if event.get("uuid"):
            found.setdefault(event["uuid"], event)
    whole = tmp_path / "events.json"
    whole.write_text(json.dumps({"response": [{"Event": event} for event in found.values()]}))
    client.ingest(whole, wait=120)
    return list(found.values())


def sent(desk: Desk, *targets: str) -> dict[str, dict[str, Any]]:
    """Events as they would be pushed, put together from their pieces."""
    whole: dict[str, dict[str, Any]] = {}
    for name in targets:
        model = TARGETS[name]
        for piece in events(
            model, explorer.batches(desk.store.cursor(), model, Filter()), publication="p", title="out"
        ):
            if piece["Event"] is None:
                continue
            event = whole.setdefault(
                piece["Event"]["uuid"], {"Attribute": [], "Object": [], "EventReport": []}
            )
            inner = {key: event[key] + piece["Event"][key] for key in ("Attribute", "Object", "EventReport")}
            event.update({**piece["Event"], **inner})
    return whole


def test_everything_leaves_in_its_own_event_and_object_as_it_came_and_to_nobody_more(
    client: Client, desk: Desk, loaded: list[dict[str, Any]]
) -> None:
    out = sent(desk, "indicator", "observable")
    assert set(out) == {event["uuid"] for event in loaded if list(attributes(event))}
    for event in loaded:
        there = {a["uuid"]: (a, thing) for a, thing in attributes(out.get(event["uuid"], {}))}
        came = {a["uuid"]: (a, thing) for a, thing in attributes(event)}
        assert there.keys() == came.keys(), event["info"]
        for uuid, (attribute, thing) in came.items():
            left, around = there[uuid]
            assert {k: left.get(k) for k in KEPT} == {k: attribute.get(k) or left.get(k) for k in KEPT}
            assert around.get("uuid") == thing.get("uuid")
            widest, now = seen_by(event, thing, attribute), seen_by(out[event["uuid"]], around, left)
            assert narrower(widest, now) == now
    whole = sent(desk, "stix-object", "report")
    for event in loaded:
        left = whole[event["uuid"]]
        assert left["info"] == event["info"]
        local = {tag["name"] for tag in items(event, "Tag") if tag.get("local")}
        assert {tag["name"] for tag in left.get("Tag", [])} == {
            t["name"] for t in items(event, "Tag")
        } - local
        there = {thing["uuid"]: thing for thing in left["Object"]}
        for thing in items(event, "Object"):
            references = {r["uuid"]: r["referenced_uuid"] for r in items(thing, "ObjectReference")}
            again = {r["uuid"]: r["referenced_uuid"] for r in there[thing["uuid"]]["ObjectReference"]}
            assert (there[thing["uuid"]]["name"], again) == (thing["name"], references)


def test_objects_references_reports_sightings_and_clusters_are_records_that_find_each_other(
    client: Client, desk: Desk, loaded: list[dict[str, Any]]
) -> None:
    def ids(target: str) -> set[str]:
        return {row["id"] for row in json.loads(b"".join(client.export(target, "json")))}

    things = [(event, thing) for event in loaded for thing in items(event, "Object")]
    assert {f"x-misp-object--{thing['uuid']}" for _, thing in things} <= ids("stix-object")
    references = [r for _, thing in things for r in items(thing, "ObjectReference")]
    relations = json.loads(b"".join(client.export("relationship", "json")))
    assert references
    assert {f"relationship--{r['uuid']}" for r in references} == {r["id"] for r in relations}
    known = ids("stix-object") | ids("indicator") | ids("observable")
    assert all(relation["source_ref"] in known for relation in relations)
    assert sum(relation["target_ref"] in known for relation in relations) > len(relations) / 2
    sighted = [s for event in loaded for a, _ in attributes(event) for s in items(a, "Sighting")]
    sightings = json.loads(b"".join(client.export("sighting", "json")))
    assert sighted
    assert {s["uuid"] for s in sighted} == {row["id"].partition("--")[2] for row in sightings}
    assert all(row["sighting_of_ref"] in known for row in sightings)
    assert {f"report--{event['uuid']}" for event in loaded} <= ids("report")


def test_one_value_of_several_sources_is_found_by_any_spelling_of_it(client: Client, tmp_path: Path) -> None:
    def misp(number: int, kind: str, value: str) -> Path:
        uuid = f"{number:08d}-0000-4000-8000-000000000000"
        attribute = {
            "uuid": uuid,
            "type": kind,
            "value": value,
            "to_ids": number % 2 == 0,
            "timestamp": "1700000000",
        }
        event = {"uuid": uuid[:-1] + "f", "info": f"Seen by {number}", "Orgc": {"name": f"Team {number}"}}
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"Event": {**event, "threat_level_id": "1", "Attribute": [attribute]}}))
        return path

    client.ingest(misp(1, "ip-dst|port", "2001:DB8::1|443"), wait=60)
    client.ingest(misp(2, "ip-src", "2001:db8:0:0::1"), wait=60)
    feed = tmp_path / "feed.csv"
    feed.write_text("indicator,source\n2001:db8:0::1,A feed\n")
    client.ingest(feed, wait=60)
    found = [
        row
        for target in ("indicator", "observable")
        for row in json.loads(b"".join(client.export(target, "json", where=["value=2001:db8::1"])))
    ]
    assert len(found) == 3
    assert {row["value_type"] for row in found} == {"ipv6"}
    detected = next(row for row in found if row.get("name") == "Seen by 2")
    assert (detected["source"], detected["severity"]) == ("Team 2", "high")


def test_records_are_published_to_an_instance_into_their_events_and_a_second_time_changes_nothing(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    attribute = {"uuid": "00000001-0000-4000-8000-000000000000", "type": "filename|md5", "to_ids": True}
    attribute |= {"category": "Payload delivery", "value": "a.exe|" + "ab" * 16, "timestamp": "1700000000"}
    event = {"uuid": "99999999-0000-4000-8000-000000000000", "info": "From MISP", "distribution": "1"}
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"Event": {**event, "Attribute": [attribute]}}))
    client.ingest(path, wait=60)
    feed = tmp_path / "feed.csv"
    feed.write_text("indicator,source\n203.0.113.7,A feed\n203.0.113.8,A feed\n")
    client.ingest(feed, wait=60)
    with closing(Instance()) as instance:
        config = {"url": instance.url, "key": KEY}
        made = client.create_publication(name="Partner", connector="misp", config=config, target="indicator")
        for how in ({}, {"anew": True}):
            id = made.publication.id
            found = client.delivery(id, client.deliver(id, **how).delivery, wait=60)
            # The parts of a composite are two records, and one attribute there.
            assert (found.state, found.taken, found.sent, found.refused) == ("finished", 4, 4, 0)
        there = {each["info"]: each for each in instance.events.values()}
        assert set(there) == {"From MISP", "Partner"}
        assert {each["distribution"] for each in there.values()} == {"1", "0"}
        assert [a["value"] for a in there["From MISP"]["Attribute"]] == [attribute["value"]]
        assert {a["value"] for a in there["Partner"]["Attribute"]} == {"203.0.113.7", "203.0.113.8"}
        assert instance.edits == []
        other = client.create_publication(name="Another", connector="misp", config=config, target="indicator")
        client.delivery(other.publication.id, client.deliver(other.publication.id).delivery, wait=60)
        held = [a["uuid"] for each in instance.events.values() for a in each["Attribute"]]
        assert len(held) == len(set(held)) == 5


def test_sightings_are_published_onto_the_attributes_they_are_of_once(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})

    def uuid(number: int) -> str:
        return f"{number:08d}-0000-4000-8000-000000000000"

    def sighting(number: int, of: str, **more: Any) -> dict[str, Any]:
        known = {
            "type": "sighting",
            "spec_version": "2.1",
            "id": f"sighting--{uuid(number)}",
            "sighting_of_ref": of,
        }
        times = dict.fromkeys(("created", "modified", "last_seen"), "2026-01-01T00:00:00.000Z")
        return {**known, **times, "count": 1, **more}

    seen = {"uuid": uuid(9), "type": "1", "date_sighting": "1700000000", "source": "a sensor"}
    attribute = {
        "uuid": uuid(1),
        "type": "domain",
        "category": "Network activity",
        "value": "a.example",
        "to_ids": True,
    }
    event = {"uuid": uuid(99), "info": "From MISP", "Attribute": [{**attribute, "Sighting": [seen]}]}
    (tmp_path / "event.json").write_text(json.dumps({"Event": event}))
    client.ingest(tmp_path / "event.json", wait=60)
    made = {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid(2)}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "valid_from": "2026-01-01T00:00:00Z", "pattern_type": "stix",
        "pattern": "[domain-name:value = 'b.example']",
    }  # fmt: skip
    objects = [
        made, sighting(11, f"indicator--{uuid(1)}"), sighting(12, made["id"]), sighting(13, f"malware--{uuid(3)}"),
        sighting(14, made["id"], count=0),
    ]  # fmt: skip
    (tmp_path / "seen.json").write_text(
        json.dumps({"type": "bundle", "id": f"bundle--{uuid(1)}", "objects": objects})
    )
    client.ingest(tmp_path / "seen.json", wait=60)
    with closing(Instance()) as instance:
        config = {"url": instance.url, "key": KEY}
        for target in ("indicator", "sighting"):
            publication = client.create_publication(
                name=target.title(), connector="misp", config=config, target=target
            ).publication.id
            for how in ({}, {"anew": True}):
                found = client.delivery(publication, client.deliver(publication, **how).delivery, wait=60)
        assert (found.sent, {each.id for each in found.refusals}) == (
            3, {f"sighting--{uuid(13)}", f"sighting--{uuid(14)}"},
        )  # fmt: skip
        there = {a["value"]: a for each in instance.events.values() for a in each["Attribute"]}
        assert {(s["type"], s["date_sighting"], s["source"]) for s in there["a.example"]["Sighting"]} == {
            ("1", "1700000000", "a sensor"), ("0", "1767225600", ""),
        }  # fmt: skip
        assert [s["date_sighting"] for s in there["b.example"]["Sighting"]] == ["1767225600"]
        assert instance.sightings == 3


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_sightings_of_indicators_are_published_as_stix_and_those_of_context_are_refused(
    client: Client, desk: Desk, taxii_server: Taxii, tmp_path: Path
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    attributes = [
        {
            "uuid": str(uuid4()), "type": "domain", "category": "Network activity", "value": f"{to_ids}.example",
            "to_ids": to_ids, "Sighting": [{"uuid": str(uuid4()), "type": "0", "date_sighting": "1700000000"}],
        }
        for to_ids in (True, False)
    ]  # fmt: skip
    event = {"uuid": str(uuid4()), "info": "Seen", "Attribute": attributes}
    (tmp_path / "event.json").write_text(json.dumps({"Event": event}))
    client.ingest(tmp_path / "event.json", wait=60)
    assert client.export_manifest("sighting", "stix").exported == 1
    config = {"url": taxii_server.inbox, "username": ACCOUNT, "password": PASSWORD, "collections": ["Inbox"]}
    id = client.create_publication(
        name="Seen", connector="taxii", config=config, target="sighting"
    ).publication.id
    found = client.delivery(id, client.deliver(id).delivery, wait=60)
    assert (found.sent, [each.why for each in found.refusals]) == (1, ["It has no form in STIX 2.1."])
    source = Source(id="t", name="t", connector="taxii", config=config)
    there = [o for page in payloads_of(source, None, ("127.0.0.1",)) for o in json.loads(page.stream.read())["objects"]]  # fmt: skip
    [sighting] = [o for o in there if o["id"] == f"sighting--{attributes[0]['Sighting'][0]['uuid']}"]
    assert sighting["sighting_of_ref"] == f"indicator--{attributes[0]['uuid']}"
    assert validate_string(json.dumps(sighting), ValidationOptions(version="2.1")).is_valid
