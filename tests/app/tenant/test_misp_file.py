"""MISP events exported as a file: what came in an event stands in it again, whole, and nobody sees more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pymisp import MISPEvent

from app.client import Client
from app.wire import MustAct

# What says something at one instance only, or is for its own eyes.
LOCAL = {
    "id", "event_id", "object_id", "attribute_id", "referenced_id", "galaxy_id", "tag_id", "user_id", "org_id", "orgc_id",
    "sharing_group_id", "event_creator_email", "attribute_count", "RelatedEvent", "locked", "proposal_email_lock",
    "published",
}  # fmt: skip
GROUP = {"uuid": "77777777-0000-4000-8000-000000000000", "name": "Partners"}
NOW = "1700000000"


def uuid_of(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def attribute(number: int, **more: Any) -> dict[str, Any]:
    known = {"uuid": uuid_of(number), "type": "domain", "category": "Network activity", "timestamp": NOW}
    return {**known, "value": f"{number}.example", "to_ids": True, **more}


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "uuid": uuid_of(number),
        "info": f"Event {number}",
        "date": "2026-01-02",
        "timestamp": NOW,
        **more,
    }


def content(thing: Any) -> Any:
    """What a thing says, without what is one instance's, in an order of its own."""
    if isinstance(thing, list):
        kept = [content(each) for each in thing if not (isinstance(each, dict) and each.get("local"))]
        return sorted(kept, key=lambda each: json.dumps(each, sort_keys=True))
    if not isinstance(thing, dict):
        return thing
    found = {name: content(value) for name, value in thing.items() if name not in LOCAL}
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def without_circles(thing: Any) -> Any:
    if isinstance(thing, list):
        return [without_circles(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    return {name: without_circles(value) for name, value in thing.items() if name != "distribution"}


def ingest(client: Client, folder: Path, *events: dict[str, Any]) -> None:
    path = folder / f"events-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps({"response": [{"Event": each} for each in events]}))
    client.ingest(path, wait=120)


def exported(client: Client, target: str = "all", **filters: Any) -> list[dict[str, Any]]:
    found = json.loads(b"".join(client.export(target, "misp", **filters)))
    return [each["Event"] for each in found["response"]] if "response" in found else [found["Event"]]


@pytest.fixture
def corpora(client: Client, shared_data: Path, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Real events and those of MISP's conversion tests whose things all have uuids, loaded."""
    documents = [
        json.loads(path.read_text())
        for folder in ("pymisp/tests/reportlab_testfiles", "misp-stix/tests")
        for path in sorted((shared_data / folder).glob("*.json"))
        if "stix2" not in path.name and "objects" not in path.name and "attributes" not in path.name
    ]
    events: dict[str, dict[str, Any]] = {}
    for document in documents:
        for each in document.get("response", [document]):
            if each["Event"].get("uuid"):
                events.setdefault(each["Event"]["uuid"], each["Event"])
    ingest(client, tmp_path, *events.values())
    return events


def test_every_event_that_was_loaded_comes_back_with_all_that_is_in_it(
    client: Client, corpora: dict[str, dict[str, Any]]
) -> None:
    out = {each["uuid"]: each for each in exported(client)}
    assert len(corpora) >= 15
    assert out.keys() == corpora.keys()
    for uuid, came in corpora.items():
        assert without_circles(content(out[uuid])) == without_circles(content(came)), came["info"]
        MISPEvent().load(json.dumps({"Event": out[uuid]}))


def test_objects_references_galaxies_sightings_reports_and_proposals_stand_where_they_stood(
    client: Client, tmp_path: Path
) -> None:
    cluster = {"uuid": uuid_of(71), "type": "tool", "value": "T", "tag_name": 'misp-galaxy:tool="T"'}
    mine = {**cluster, "uuid": uuid_of(72), "value": "M", "tag_name": 'misp-galaxy:tool="M"'}
    tags = [{"name": cluster["tag_name"], "colour": "#fff"}, {"name": mine["tag_name"], "local": True}]
    seen = {"uuid": uuid_of(61), "type": "1", "date_sighting": NOW, "source": "a sensor"}
    reference = {"uuid": uuid_of(81), "referenced_uuid": uuid_of(2), "relationship_type": "drops"}
    came = event(
        9, Tag=tags, Galaxy=[{"name": "Tool", "type": "tool", "GalaxyCluster": [cluster, mine]}], distribution="1",
        Attribute=[attribute(1, Sighting=[seen], x_theirs={"a": 1}), attribute(2, to_ids=False)],
        Object=[{
            "uuid": uuid_of(31), "name": "domain-ip", "meta-category": "network", "template_version": "9",
            "timestamp": NOW, "ObjectReference": [reference], "Attribute": [attribute(3, object_relation="domain")],
        }],
        EventReport=[{"uuid": uuid_of(41), "name": "R", "content": "# Told", "timestamp": NOW}],
        ShadowAttribute=[attribute(51, value="proposed.example", old_id="0")],
    )  # fmt: skip
    ingest(client, tmp_path, came)
    [out] = exported(client)
    expected = content(came)
    expected["Galaxy"][0]["GalaxyCluster"] = [cluster]
    assert without_circles(content(out)) == without_circles(expected)
    # Under a filter it has what was asked for, in its object, with the tags and galaxies of its event.
    [part] = exported(client, "indicator", where=["value=3.example"])
    assert (part["Attribute"], part["EventReport"]) == ([], [])
    assert [each["value"] for each in part["Object"][0]["Attribute"]] == ["3.example"]
    assert [tag["name"] for tag in part["Tag"]] == [cluster["tag_name"]]
    assert part["Galaxy"][0]["GalaxyCluster"] == [cluster]


def test_what_came_from_elsewhere_stands_in_an_event_of_ours_beside_those_it_did_not_come_in(
    client: Client, tmp_path: Path
) -> None:
    ingest(client, tmp_path, event(8, Attribute=[attribute(1)]), event(9, Attribute=[attribute(2)]))
    (tmp_path / "feed.csv").write_text("indicator,source\n203.0.113.7,A feed\n")
    client.ingest(tmp_path / "feed.csv", wait=60)
    ours, *theirs = exported(client, "indicator")
    assert ([a["value"] for a in ours["Attribute"]], ours["distribution"]) == (["203.0.113.7"], "0")
    assert [each["uuid"] for each in theirs] == [uuid_of(8), uuid_of(9)]
    assert not any(each["published"] for each in (ours, *theirs))
    assert client.export_manifest("indicator", "misp").exported == 3


def test_distribution_is_as_it_came_or_narrower(client: Client, tmp_path: Path) -> None:
    inner = [
        attribute(1, distribution="5"), attribute(2, distribution="0"), attribute(3),
        attribute(4, distribution="4", SharingGroup=GROUP), attribute(5, distribution="4", sharing_group_id="3"),
    ]  # fmt: skip
    ingest(
        client, tmp_path, event(8, distribution="3", Attribute=inner), event(9, Attribute=[attribute(6)]),
        event(10, distribution="4", sharing_group_id="7", Attribute=[attribute(7)]),
    )  # fmt: skip
    wide, *narrow = exported(client, "indicator")
    assert [a["distribution"] for a in wide["Attribute"]] == ["5", "0", "5", "4", "0"]
    assert wide["Attribute"][3]["SharingGroup"] == GROUP
    # An event that does not say who may see it, or names a group nobody else knows, is its organisation's.
    assert [each["distribution"] for each in (wide, *narrow)] == ["3", "0", "0"]


def test_sightings_of_other_sources_stand_in_the_attributes_they_are_of(
    client: Client, tmp_path: Path
) -> None:
    ingest(client, tmp_path, event(9, Attribute=[attribute(1)]))
    sighting = {
        "type": "sighting", "spec_version": "2.1", "id": f"sighting--{uuid_of(61)}", "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "last_seen": "2026-01-01T00:00:00Z", "count": 3,
        "sighting_of_ref": f"indicator--{uuid_of(1)}",
    }  # fmt: skip
    (tmp_path / "seen.json").write_text(
        json.dumps({"type": "bundle", "id": f"bundle--{uuid_of(1)}", "objects": [sighting]})
    )
    client.ingest(tmp_path / "seen.json", wait=60)
    [out] = exported(client)
    [seen] = out["Attribute"][0]["Sighting"]
    assert (seen["uuid"], seen["type"], seen["date_sighting"]) == (uuid_of(61), "0", "1767225600")


def test_an_attribute_that_is_detected_by_since_stands_there_once_as_it_is_now(
    client: Client, tmp_path: Path
) -> None:
    ingest(client, tmp_path, event(9, Attribute=[attribute(1, to_ids=False)]))
    ingest(client, tmp_path, event(9, Attribute=[attribute(1, to_ids=True, timestamp="1700000001")]))
    [out] = exported(client)
    assert [(a["uuid"], a["to_ids"]) for a in out["Attribute"]] == [(uuid_of(1), True)]


def test_what_misps_own_conversion_made_stix_of_leaves_with_the_type_it_had(
    client: Client, shared_data: Path, tmp_path: Path
) -> None:
    mapping = shared_data / "misp-stix" / "documentation" / "mapping" / "misp_attributes_to_stix21.json"
    made: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for pair in json.loads(mapping.read_text()).values():
        listed = pair["STIX"] if isinstance(pair["STIX"], list) else [pair["STIX"]]
        for each in listed:
            if isinstance(each, dict) and each.get("type") == "indicator" and "|" not in pair["MISP"]["type"]:
                made[each["id"].partition("--")[2]] = (pair["MISP"], each)
    bundle = {"type": "bundle", "id": f"bundle--{uuid_of(1)}", "objects": [each for _, each in made.values()]}
    (tmp_path / "pairs.json").write_text(json.dumps(bundle))
    client.ingest(tmp_path / "pairs.json", wait=60)
    [out] = exported(client, "indicator")
    left = {each["uuid"]: each for each in out["Attribute"] if each["type"] != "stix2-pattern"}
    assert len(left) > 20
    for uuid, each in left.items():
        came = made[uuid][0]
        assert (each["type"], each["category"]) == (came["type"], came["category"])
        # It writes an AS number without its letters and a rule in brackets; a TLSH has its version here.
        same = [value.lower().removeprefix("as").strip("[]") for value in (each["value"], came["value"])]
        assert same[0].removeprefix("t1") == same[1].removeprefix("t1")


def test_a_target_model_without_a_form_in_misp_says_so(client: Client) -> None:
    with pytest.raises(MustAct, match="no form as MISP attributes"):
        exported(client, "malware")
