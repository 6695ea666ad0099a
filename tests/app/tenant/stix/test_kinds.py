"""STIX of every kind through the product: corpora, extensions, markings, languages, and observed data of 2.0."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from stix2validator import ValidationOptions, validate_string

from app.client import Client
from engine.observed import opened
from tests.app.tenant.stix.loading import (
    Item,
    bundle,
    exported,
    loaded,
    malware,
    watching,
)

AT = {"created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z"}
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"


def ref(kind: str, number: int) -> str:
    return f"{kind}--{number:08d}-0000-4000-8000-000000000000"


def key_of(client: Client, target: str, id: str) -> str:
    return next(row["_id"] for row in client.records(target, limit=1000).rows if row["id"] == id)


def corpora(data: Path) -> list[Item]:
    """Every object of every public bundle, of 2.0 and 2.1."""
    found: list[Item] = []
    for path in sorted(data.rglob("*.json")):
        if b'"objects"' not in (text := path.read_bytes()) or "ics-attack-1" in path.name:
            continue
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("type") == "bundle":
            found += document["objects"]
    return found


def test_every_object_of_every_corpus_comes_back_equal(
    client: Client, place: Path, shared_data: Path
) -> None:
    objects = corpora(shared_data)
    versions = defaultdict(list)
    for each in objects:
        versions[each["id"]].append(each)
    bundle(place / "box" / "all.json", *objects)
    run = loaded(client, watching(client, place / "box"))
    assert (run.ledger.rejected, run.ledger.filtered, run.ledger.balanced) == (0, 0, True)

    back = {each["id"]: each for each in exported(client)}

    assert len(versions) > 5000
    # What stood inside observed data of 2.0 has become objects of its own.
    assert back.keys() - versions.keys() <= {one["id"] for each in objects for one in opened(each)}
    for id, given in versions.items():
        newest = max(str(each.get("modified", "")) for each in given)
        assert back[id] in [each for each in given if str(each.get("modified", "")) == newest], id
    assert any("spec_version" not in each for each in objects)


def standard() -> list[Item]:
    """An object of every type of STIX 2.1: domain objects, relationships, observables and meta objects."""
    common, mal, by = {"spec_version": "2.1", **AT}, ref("malware", 1), ref("identity", 1)
    at = AT["created"]
    domain: dict[str, Item] = {
        "attack-pattern": {"name": "a"}, "campaign": {"name": "a"}, "course-of-action": {"name": "a"},
        "grouping": {"context": "suspicious-activity", "object_refs": [mal]}, "identity": {"name": "a", "identity_class": "group"},
        "incident": {"name": "a"}, "indicator": {"pattern": "[url:value = 'http://x/']", "pattern_type": "stix", "valid_from": at, "indicator_types": ["unknown"]},
        "infrastructure": {"name": "a", "infrastructure_types": ["unknown"]}, "intrusion-set": {"name": "a"}, "location": {"country": "de"},
        "malware": {"name": "a", "is_family": False, "malware_types": ["bot"]}, "malware-analysis": {"product": "a", "result": "benign"},
        "note": {"content": "a", "object_refs": [mal]}, "observed-data": {"first_observed": at, "last_observed": at, "number_observed": 1, "object_refs": ["url--c1477287-23ac-5971-a010-5c287877fa60"]},
        "opinion": {"opinion": "agree", "object_refs": [mal]}, "report": {"name": "a", "published": at, "object_refs": [mal], "report_types": ["malware"]},
        "threat-actor": {"name": "a", "threat_actor_types": ["spy"]}, "tool": {"name": "a", "tool_types": ["unknown"]}, "vulnerability": {"name": "CVE-2026-0001"},
        "relationship": {"relationship_type": "uses", "source_ref": ref("campaign", 1), "target_ref": mal}, "sighting": {"sighting_of_ref": mal},
        "language-content": {"object_ref": mal, "contents": {"de": {"name": "b"}}},
        "extension-definition": {"created_by_ref": by, "name": "a", "schema": "https://example.com/s", "version": "1.0", "extension_types": ["property-extension"]},
    }  # fmt: skip
    observables: dict[str, Item] = {
        "artifact": {"payload_bin": "AAAA"}, "autonomous-system": {"number": 64500}, "directory": {"path": "/a"}, "domain-name": {"value": "a.example"},
        "email-addr": {"value": "a@example.com"}, "email-message": {"is_multipart": False, "subject": "a"}, "file": {"name": "a"},
        "ipv4-addr": {"value": "203.0.113.1"}, "ipv6-addr": {"value": "2001:db8::1"}, "mac-addr": {"value": "00:00:5e:00:53:01"}, "mutex": {"name": "a"},
        "network-traffic": {"src_ref": ref("ipv4-addr", 1), "protocols": ["tcp"]}, "process": {"pid": 1}, "software": {"name": "a"}, "url": {"value": "http://x/"},
        "user-account": {"user_id": "a"}, "windows-registry-key": {"key": "HKEY_LOCAL_MACHINE\\\\a"}, "x509-certificate": {"serial_number": "a"},
    }  # fmt: skip
    made = [{"type": kind, "id": ref(kind, 1), **common, **own} for kind, own in domain.items()]
    made += [
        {"type": kind, "spec_version": "2.1", "id": ref(kind, 1), **own} for kind, own in observables.items()
    ]
    return [*made, marking(1, definition_type="statement", definition={"statement": "a"})]


def test_every_type_of_the_standard_has_a_record_and_comes_back_valid_and_equal(
    client: Client, place: Path
) -> None:
    objects = standard()
    bundle(place / "box" / "a.json", *objects)
    loaded(client, watching(client, place / "box"))

    text = b"".join(client.export("all", "stix")).decode()

    assert sorted(json.loads(text)["objects"], key=lambda o: o["id"]) == sorted(
        objects, key=lambda o: o["id"]
    )
    assert validate_string(text, ValidationOptions(version="2.1")).is_valid
    counts = {each.target: each.records for each in client.record_counts()}
    # Each domain object has a model of its own, and all observables share one.
    assert counts == {each["type"]: 1 for each in objects if "created" in each} | {"observable": 18}


def extended() -> list[Item]:
    """An object for each of the five kinds of extension, their definitions, and custom ones without any."""
    by = ref("identity", 1)

    def definition(number: int, kind: str, **more: Any) -> Item:
        return {
            "type": "extension-definition", "spec_version": "2.1", "id": ref("extension-definition", number), **AT,
            "created_by_ref": by, "name": kind, "schema": "https://example.com/schema.json", "version": "1.0",
            "extension_types": [kind], **more,
        }  # fmt: skip

    def through(number: int, kind: str, **more: Any) -> Item:
        return {"extensions": {ref("extension-definition", number): {"extension_type": kind, **more}}}

    common = {"spec_version": "2.1", **AT, "created_by_ref": by}
    return [
        {"type": "identity", "id": by, "name": "A maker", "identity_class": "organization", **common},
        definition(1, "property-extension"),
        definition(2, "toplevel-property-extension", extension_properties=["rank", "toxicity"]),
        definition(3, "new-sdo"),
        definition(4, "new-sco"),
        definition(5, "new-sro"),
        malware(1, **through(1, "property-extension", rank=5, deep={"a": [1, {"b": "c"}]})),
        malware(2, rank=7, toxicity=8.25, **through(2, "toplevel-property-extension")),
        {"type": "my-favorite-sdo", "id": ref("my-favorite-sdo", 1), "name": "New", "some_property": 1, **common, **through(3, "new-sdo")},
        {"type": "my-favorite-sco", "spec_version": "2.1", "id": ref("my-favorite-sco", 1), "name": "New", **through(4, "new-sco")},
        {"type": "my-favorite-sro", "id": ref("my-favorite-sro", 1), "source_ref": ref("malware", 1), "target_ref": ref("malware", 2), **common, **through(5, "new-sro")},
        malware(3, x_own_property={"kept": True}),
        {"type": "x-own-object", "id": ref("x-own-object", 1), "x_anything": ["ü", 1e-3, 12345678901234567], **common},
    ]  # fmt: skip


def test_all_five_kinds_of_extension_and_custom_objects_are_kept_and_stay_valid(
    client: Client, place: Path
) -> None:
    objects = extended()
    bundle(place / "box" / "a.json", *objects)
    loaded(client, watching(client, place / "box"))

    text = b"".join(client.export("all", "stix")).decode()

    assert sorted(json.loads(text)["objects"], key=lambda o: o["id"]) == sorted(
        objects, key=lambda o: o["id"]
    )
    verdict = validate_string(text, ValidationOptions(version="2.1"))
    assert verdict.is_valid, verdict.errors
    assert client.waiting().total == 0
    # A relationship of a new kind leads from one to the other like any other.
    found = client.relations("malware", key_of(client, "malware", ref("malware", 1)))
    assert ("my-favorite-sro", "out", ref("malware", 2)) in {(r.label, r.way, r.ref) for r in found.relations}


# ── markings ─────────────────────────────────────────────────────────────────────────────────────────


def marking(number: int, **more: Any) -> Item:
    created = {"created": AT["created"]}
    return {"type": "marking-definition", "spec_version": "2.1", "id": ref("marking-definition", number), **created, **more}  # fmt: skip


def test_markings_of_a_record_and_of_its_parts_are_told_in_words(client: Client, place: Path) -> None:
    tlp_2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
    bundle(
        place / "box" / "a.json",
        marking(1, definition_type="statement", definition={"statement": "Copyright 2026"}),
        marking(2, definition_type="tlp", definition={"tlp": "amber"}),
        marking(3, name="TLP:AMBER+STRICT", extensions={tlp_2: {"extension_type": "property-extension", "tlp_2_0": "amber+strict"}}),
        malware(
            1,
            object_marking_refs=[GREEN, ref("marking-definition", 1), ref("marking-definition", 2)],
            granular_markings=[
                {"marking_ref": ref("marking-definition", 3), "selectors": ["name"]},
                {"marking_ref": ref("marking-definition", 9), "selectors": ["is_family"]},
                {"lang": "de", "selectors": ["description"]},
            ],
        ),
    )  # fmt: skip
    loaded(client, watching(client, place / "box"))

    found = client.record("malware", key_of(client, "malware", ref("malware", 1))).about.markings

    assert [(m.says, m.selectors, m.lang) for m in found] == [
        ("TLP:GREEN", [], ""), ("Copyright 2026", [], ""), ("TLP:AMBER", [], ""),
        ("TLP:AMBER+STRICT", ["name"], ""), ("", ["is_family"], ""), ("", ["description"], "de"),
    ]  # fmt: skip
    rows = client.records("marking-definition").rows
    assert {row["id"][20:28]: row["tlp"] for row in rows} == {
        "00000001": None, "00000002": "AMBER", "00000003": "AMBER+STRICT"
    }  # fmt: skip


def test_an_export_never_lowers_what_a_record_is_marked_with(client: Client, place: Path) -> None:
    def indicator(number: int, *refs: str) -> Item:
        return {
            "type": "indicator", "spec_version": "2.1", "id": ref("indicator", number), **AT, "pattern_type": "stix",
            "pattern": f"[ipv4-addr:value = '203.0.113.{number}']", "valid_from": AT["created"],
            **({"object_marking_refs": list(refs)} if refs else {}),
        }  # fmt: skip

    objects = [indicator(1, GREEN, ref("marking-definition", 1)), indicator(2), indicator(3, RED)]
    bundle(place / "box" / "a.json", *objects)
    made = client.create_source(
        connector="folder", config={"path": str(place / "box"), "settle_seconds": 0}, name="a"
    ).source
    assert made.shape is not None
    mappings = json.loads(json.dumps([m.model_dump(mode="json", by_alias=True) for m in made.shape.mappings]))
    for one in mappings:
        for each in one["fields"]:
            if one["target"] == "indicator" and each["field"] == "tlp":
                each |= {"constant": "AMBER", "sql": None}
    pipeline = client.create_pipeline(name="a", source=made.id, mappings=mappings).pipeline.id
    loaded(client, pipeline)

    back = {each["id"]: each for each in exported(client)}

    amber = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    assert back[objects[0]["id"]]["object_marking_refs"] == [ref("marking-definition", 1), amber]
    assert back[objects[1]["id"]] == {**objects[1], "object_marking_refs": [amber]}
    assert back[objects[2]["id"]] == objects[2]


# ── languages ────────────────────────────────────────────────────────────────────────────────────────


def test_language_content_is_kept_and_applied_to_the_version_it_is_for(client: Client, place: Path) -> None:
    def content(number: int, contents: Item, **more: Any) -> Item:
        return {
            "type": "language-content", "spec_version": "2.1", "id": ref("language-content", number), **AT,
            "object_ref": ref("malware", 1), "contents": contents, **more,
        }  # fmt: skip

    objects = [
        malware(1, name="Bank robber", aliases=["one", "two"], lang="en"),
        content(1, {"de": {"name": "Bankräuber", "aliases": ["", "zwei"]}, "fr": {"name": "Braqueur"}}, object_modified=AT["modified"]),
        content(2, {"es": {"name": "of an older version"}}, object_modified="2025-01-01T00:00:00.000Z"),
    ]  # fmt: skip
    bundle(place / "box" / "a.json", *objects)
    loaded(client, watching(client, place / "box"))

    found = client.record("malware", key_of(client, "malware", ref("malware", 1))).about.translations

    assert {one.lang: one.fields for one in found} == {
        "de": {"name": "Bankräuber", "aliases": ["one", "zwei"]}, "fr": {"name": "Braqueur"}
    }  # fmt: skip
    assert sorted(exported(client), key=lambda o: o["id"]) == sorted(objects, key=lambda o: o["id"])


# ── observed data of 2.0 ─────────────────────────────────────────────────────────────────────────────


def test_observed_data_of_20_is_opened_and_leads_to_what_was_inside_and_back(
    client: Client, place: Path
) -> None:
    observed = {
        "type": "observed-data", "id": ref("observed-data", 1), **AT, "first_observed": AT["created"],
        "last_observed": AT["created"], "number_observed": 1, "object_marking_refs": [RED],
        "objects": {
            "0": {"type": "domain-name", "value": "bad.example", "resolves_to_refs": ["1"]},
            "1": {"type": "ipv4-addr", "value": "203.0.113.9"},
        },
    }  # fmt: skip
    bundle(place / "box" / "a.json", observed)
    pipeline = watching(client, place / "box")
    run = loaded(client, pipeline)
    assert (run.ledger.read, run.ledger.inserted) == (3, 3)
    # Ids are worked out, so reading it once more finds everything unchanged.
    (place / "box" / "b.json").write_bytes((place / "box" / "a.json").read_bytes())
    assert loaded(client, pipeline).ledger.unchanged == 3

    back = {each["id"]: each for each in exported(client)}
    name, address = opened(observed)
    assert back == {observed["id"]: observed, name["id"]: name, address["id"]: address}
    assert name["resolves_to_refs"] == [address["id"]]
    assert address["object_marking_refs"] == [RED]
    out = client.relations("observed-data", key_of(client, "observed-data", observed["id"])).relations
    assert {name["id"], address["id"]} <= {r.ref for r in out if r.key}
    into = client.relations("observable", key_of(client, "observable", address["id"])).relations
    assert {r.ref for r in into if r.way == "in"} >= {observed["id"]}
