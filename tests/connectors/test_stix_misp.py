"""STIX and MISP: every object, attribute and event of a file is a row, against Python's own reading of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.formats import sniff
from connectors.formats.misp_rows import parts, rows_of
from engine.observed import opened
from tests.connectors.reading import objects, read

INDICATOR = {
    "type": "indicator", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "spec_version": "2.1",
    "pattern": "[ipv4-addr:value = '203.0.113.1']", "x_custom": {"deep": [1, {"a": "]}"}]},
}  # fmt: skip
SHAPES: dict[str, Any] = {
    "a bundle": {"type": "bundle", "id": "bundle--1", "objects": [INDICATOR]},
    "objects before other keys": {"objects": [INDICATOR], "type": "bundle", "id": "bundle--1"},
    "a TAXII envelope": {"more": False, "objects": [INDICATOR]},
    "a bundle inside an answer": {"status": {"ok": True}, "data": {"stix": [INDICATOR]}},
    "a list": [INDICATOR],
    "one object": INDICATOR,
}


@pytest.mark.parametrize("name", SHAPES)
def test_stix_is_found_wherever_its_objects_stand(name: str) -> None:
    data = json.dumps(SHAPES[name], indent=1).encode()
    shape = sniff(io.BytesIO(data), "x.json")
    assert shape.format == "stix"
    assert objects(read(data, shape)) == [INDICATOR]


def test_bundles_and_objects_one_a_line_are_stix() -> None:
    line = json.dumps(INDICATOR)
    assert objects(read(f"{line}\n{line}\n".encode())) == [INDICATOR] * 2
    bundle = json.dumps(SHAPES["a bundle"])
    found = read(f"{bundle}\n{bundle}\n".encode())
    assert objects(found) == [INDICATOR] * 2


def test_stix_brings_its_mappings_and_every_field_they_read() -> None:
    shape = sniff(io.BytesIO(json.dumps(SHAPES["a bundle"]).encode()), "x.json")
    offered = {field.name for field in shape.fields} | {"_raw"}
    assert shape.mappings
    assert {field.source for mapping in shape.mappings for field in mapping.fields if field.source} <= offered
    assert {"x_custom", "x_custom.deep", "object_marking_refs"} <= offered


def test_every_object_of_the_stix_corpora_comes_back_as_it_is(shared_data: Path) -> None:
    seen = 0
    for path in sorted(shared_data.rglob("*.json")):
        data = path.read_bytes()
        if b'"bundle"' not in data or "misp" in path.name:
            continue
        document = orjson.loads(data)
        if not isinstance(document, dict) or not document.get("objects"):
            continue
        shape = sniff(io.BytesIO(data), path.name)
        assert shape.format == "stix", path
        found = read(data, shape, size=1 << 18)
        # What stood inside observed data of 2.0 follows it.
        assert objects(found) == [row for each in document["objects"] for row in (each, *opened(each))], path
        assert not found.faults
        seen += 1
    assert seen > 50


def _count(event: dict[str, Any]) -> int:
    """Rows an event must give: itself, and one for each thing in it; a cluster once, however often it is attached."""
    objects = event.get("Object") or []
    attributes = [a for holder in (event, *objects) for a in holder.get("Attribute") or []]
    rows = 1 + len(attributes) + len(objects)
    rows += sum(len(event.get(key) or []) for key in ("ShadowAttribute", "EventReport"))
    rows += sum(len(a.get(key) or []) for a in attributes for key in ("ShadowAttribute", "Sighting"))
    rows += sum(len(thing.get("ObjectReference") or []) for thing in objects)
    galaxies = [g for holder in (event, *attributes) for g in holder.get("Galaxy") or []]
    return rows + len({c.get("uuid") or c.get("tag_name") for g in galaxies for c in g["GalaxyCluster"]})


def test_every_attribute_object_and_event_of_the_misp_corpora_is_a_row(shared_data: Path) -> None:
    seen = 0
    for path in sorted((shared_data / "pymisp").rglob("*.json")):
        data = path.read_bytes()
        document = orjson.loads(data)
        event = document.get("Event", document) if isinstance(document, dict) else {}
        if "info" not in event:
            continue
        found = read(data, name=path.name)
        assert len(found.rows) == _count(event), path
        assert not found.faults
        rows = objects(found)
        attributes = [row for row in rows if row["row"] == "attribute"]
        assert all(row["parts"] and "event_uuid" in row for row in attributes)
        seen += 1
    assert seen > 20


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", ["attributes", "events", "objects"])
def test_misp_collections_are_read(shared_data: Path, kind: str, number: int) -> None:
    data = (shared_data / "misp-stix" / "tests" / f"test_{kind}_collection_{number}.json").read_bytes()
    shape = sniff(io.BytesIO(data), "x.json")
    assert shape.format == "misp"
    found = read(data, shape, size=4096)
    response = orjson.loads(data)["response"]
    expected = {
        "attributes": lambda: len(response["Attribute"]),
        "events": lambda: sum(_count(each["Event"]) for each in response),
        "objects": lambda: sum(1 + len(each["Object"]["Attribute"]) for each in response),
    }[kind]()
    assert (len(found.rows), found.faults) == (expected, [])


def test_a_cluster_is_the_object_that_misps_own_conversion_makes_of_it(shared_data: Path) -> None:
    mapping = shared_data / "misp-stix" / "documentation" / "mapping" / "misp_galaxies_to_stix21.json"
    pairs = orjson.loads(mapping.read_bytes())
    assert len(pairs) > 20
    for name, pair in pairs.items():
        event = {"uuid": "u", "info": "x", "Galaxy": [pair["MISP"]], "Attribute": []}
        [row] = [row for row, _ in rows_of({"Event": event}) if row["row"] == "galaxy-cluster"]
        assert (row["known_as"], f"{row['known_as']}--{row['uuid']}") == (
            pair["STIX"]["type"],
            pair["STIX"]["id"],
        ), name
        assert pair["MISP"]["GalaxyCluster"][0].items() <= row.items()


def test_a_row_knows_who_may_see_it_which_is_nobody_more_than_may_see_its_event() -> None:
    group = {"uuid": "g", "name": "Partners"}
    attribute = {"type": "domain", "value": "a.example"}
    event = {
        "uuid": "u", "info": "x", "distribution": "1",
        "Attribute": [{**attribute, "distribution": "3"}, {**attribute, "distribution": "0"}, attribute],
        "Object": [{"uuid": "o", "name": "file", "distribution": "4", "SharingGroup": group, "Attribute": [attribute]}],
    }  # fmt: skip
    rows = [row for row, _ in rows_of({"Event": event}) if row["row"] == "attribute"]
    assert [row["sharing"]["distribution"] for row in rows] == ["1", "0", "1", "0"]
    within = rows_of({"Event": {**event, "distribution": "3"}})
    last = [row for row, _ in within if row["row"] == "attribute"][-1]
    assert last["sharing"] == {"distribution": "4", "SharingGroup": group}


def test_composites_come_apart() -> None:
    assert parts("filename|sha1", "a|b.exe|da39a3ee") == [{"type": "filename", "value": "a|b.exe"}, {"type": "sha1", "value": "da39a3ee"}]  # fmt: skip
    assert parts("ip-dst|port", "203.0.113.1|443") == [{"type": "ip-dst", "value": "203.0.113.1"}, {"type": "port", "value": "443"}]  # fmt: skip
    assert parts("regkey|value", "HKLM\\Run|a|b") == [{"type": "regkey", "value": "HKLM\\Run"}, {"type": "text", "value": "a|b"}]  # fmt: skip
    assert parts("malware-sample", "x.exe|d41d8cd9")[1] == {"type": "md5", "value": "d41d8cd9"}
    assert parts("domain|ip", "no bar") == [{"type": "domain|ip", "value": "no bar"}]
    assert parts("domain", "a.example") == [{"type": "domain", "value": "a.example"}]


def test_an_attribute_without_tlp_has_its_events() -> None:
    event = {
        "info": "x", "uuid": "u", "Tag": [{"name": "tlp:red"}, {"name": "other"}],
        "Attribute": [{"type": "domain", "value": "a.example"}, {"type": "domain", "value": "b.example", "Tag": [{"name": "tlp:green"}]}],
    }  # fmt: skip
    rows = objects(read(json.dumps({"Event": event}).encode()))
    assert [row["tags"] for row in rows] == [["tlp:red", "other"], ["tlp:red"], ["tlp:green"]]


def test_a_trailing_comma_in_an_event_is_mended() -> None:
    data = b'{"response":[{"Event":{"info":"x","uuid":"u","Attribute":[{"type":"domain","value":"a.example",},],}},]}'
    found = read(data)
    assert [row["row"] for row in objects(found)] == ["event", "attribute"]
    assert not found.faults


def test_a_broken_event_is_a_fault_and_the_others_are_read() -> None:
    good = '{"Event":{"info":"x","uuid":"u","Attribute":[]}}'
    found = read(f'{{"response":[{good},{{"Event":{{"info" "y"}}}},{good}]}}'.encode())
    assert (len(found.rows), found.places, list(found.reasons())) == (2, [1, 3], [2])


def test_a_feeds_manifest_says_what_it_is() -> None:
    entry = {"info": "x", "Orgc": {"name": "o"}, "timestamp": "1", "analysis": "2"}
    data = json.dumps(
        {"11111111-1111-4111-8111-111111111111": entry, "22222222-2222-4222-8222-222222222222": entry}
    )
    shape = sniff(io.BytesIO(data.encode()), "manifest.json")
    assert shape.format == "misp"
    assert "manifest" in shape.notes[0]
    assert [row["row"] for row in objects(read(data.encode(), shape))] == ["event", "event"]
