"""STIX 2.1 as STIX 2.0: valid there by the schemas of 2.0, never less marked, and what is lost is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stix2validator import ValidationOptions, validate_string

from engine.lowered import lowered

TIME = "2026-01-01T00:00:00.000Z"
UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


def made(kind: str, **more: Any) -> dict[str, Any]:
    known = {"type": kind, "spec_version": "2.1", "id": f"{kind}--{UUID}", "created": TIME, "modified": TIME}
    return {**known, **more}


def errors(whole: dict[str, Any]) -> list[str]:
    bundle = {"type": "bundle", "id": f"bundle--{UUID}", "spec_version": "2.0", "objects": [whole]}
    found = validate_string(json.dumps(bundle), ValidationOptions(version="2.0"))
    return [str(error) for error in found.errors]


OBJECTS = {
    "indicator": made("indicator", pattern="[file:hashes.SSDEEP = 'a' AND file:ctime = t'2020-01-01T00:00:00Z']", pattern_type="stix", valid_from=TIME, confidence=50),
    "malware": made("malware", name="M", is_family=True, malware_types=["worm"], labels=["mine"], aliases=["N"]),
    "report": made("report", name="R", published=TIME, report_types=["malware"], object_refs=[f"malware--{UUID}", f"note--{UUID}"]),
    "identity": made("identity", name="I", roles=["reporter"]),
    "threat-actor": made("threat-actor", name="T", first_seen=TIME),
    "tool": made("tool", name="T", aliases=["U"]),
    "relationship": made("relationship", relationship_type="uses", source_ref=f"malware--{UUID}", target_ref=f"tool--{UUID}", start_time=TIME),
    "sighting": made("sighting", sighting_of_ref=f"indicator--{UUID}", where_sighted_refs=[f"location--{UUID}", f"identity--{UUID}"], count=2),
    "marking-definition": {"type": "marking-definition", "spec_version": "2.1", "id": f"marking-definition--{UUID}", "created": TIME, "name": "S", "definition_type": "statement", "definition": {"statement": "s"}},
    "x-mine": made("x-mine", name="X", x_more={"a": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_each_type_of_20_is_valid_there(name: str) -> None:
    found = lowered(OBJECTS[name])
    assert found.whole is not None
    assert errors(found.whole) == []
    assert lowered(found.whole).whole == found.whole


def test_a_pattern_has_the_names_of_20_and_what_it_quotes_stays() -> None:
    text = "[file:hashes.'SSDEEP' = 'file:ctime SSDEEP' AND process:image_ref.name = 'a\\'b']"
    found = lowered(made("indicator", pattern=text, pattern_type="stix", valid_from=TIME))
    assert found.whole is not None
    assert found.whole["pattern"] == (
        "[file:hashes.'ssdeep' = 'file:ctime SSDEEP' AND process:binary_ref.name = 'a\\'b']"
    )


@pytest.mark.parametrize(("whole", "why"), [
    (made("grouping", context="x", object_refs=[f"malware--{UUID}"]), "no grouping"),
    ({"type": "ipv4-addr", "id": f"ipv4-addr--{UUID}", "value": "203.0.113.1"}, "no ipv4-addr"),
    (made("indicator", pattern="rule x {}", pattern_type="yara", valid_from=TIME), "patterns of yara"),
    (made("relationship", relationship_type="located-at", source_ref=f"malware--{UUID}", target_ref=f"location--{UUID}"), "about location"),
    (made("malware", is_family=False), "requires name"),
    (made("report", name="R", published=TIME, object_refs=[f"note--{UUID}"]), "requires object_refs"),
    (made("observed-data", first_observed=TIME, last_observed=TIME, number_observed=1, object_refs=[f"url--{UUID}"]), "requires objects"),
])  # fmt: skip
def test_what_has_no_form_says_why(whole: dict[str, Any], why: str) -> None:
    found = lowered(whole)
    assert found.whole is None
    assert why in found.why


def test_a_marking_is_never_lowered() -> None:
    strict, amber2 = "939a9414-2ddd-4d32-a0cd-375ea402b003", "55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    granular = [
        {"selectors": ["name"], "marking_ref": f"marking-definition--{amber2}"},
        {"selectors": ["malware_types.[0]"], "marking_ref": f"marking-definition--{strict}"},
        {"selectors": ["description"], "lang": "de"},
    ]
    found = lowered(
        made("malware", name="M", malware_types=["worm"], is_family=False, granular_markings=granular)
    )
    assert found.whole is not None
    assert found.whole["object_marking_refs"] == ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]
    assert found.whole["granular_markings"] == [
        {"selectors": ["name"], "marking_ref": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"}
    ]
    assert errors(found.whole) == []
    assert not found.less


def test_what_is_left_out_of_an_object_makes_it_less_and_what_says_only_its_version_does_not() -> None:
    plain = made(
        "indicator", pattern="[a:b = 1]", pattern_type="stix", pattern_version="2.1", valid_from=TIME
    )
    assert not lowered(plain).less
    assert lowered({**plain, "confidence": 0}).less
    assert lowered(OBJECTS["report"]).less


def test_the_releases_of_attack_in_21_become_valid_20_but_for_what_that_has_not(shared_data: Path) -> None:
    [path] = sorted((shared_data / "attack-stix-data").rglob("*18.1*.json"))[:1]
    objects = json.loads(path.read_bytes())["objects"][:400]
    found = [(each, lowered(each)) for each in objects]
    assert sum(one.whole is not None for _, one in found) > 300
    bundle = {
        "type": "bundle", "id": f"bundle--{UUID}", "spec_version": "2.0",
        "objects": [one.whole for _, one in found if one.whole is not None],
    }  # fmt: skip
    verdict = validate_string(json.dumps(bundle), ValidationOptions(version="2.0"))
    assert not verdict.errors, [str(error) for error in verdict.errors[:5]]
