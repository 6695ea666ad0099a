"""Observed data of STIX 2.0 opened, against the ids that OASIS's own library gives the same observables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import stix2
from stix2.registry import STIX2_OBJ_MAPS

from engine.observed import identified, opened

Item = dict[str, Any]
ID = "observed-data--00000000-0000-4000-8000-000000000001"


def observed(**objects: Item) -> Item:
    return {"type": "observed-data", "id": ID, "objects": {name[1:]: each for name, each in objects.items()}}


def every(value: Any) -> list[Item]:
    """Every observed-data with observables inside, wherever it stands in a document."""
    if isinstance(value, list):
        return [found for each in value for found in every(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("type") == "observed-data" and isinstance(value.get("objects"), dict) else []
    return own + [found for each in value.values() for found in every(each)]


def test_ids_are_those_that_the_reference_library_gives(shared_data: Path) -> None:
    checked: dict[str, int] = {}
    for path in sorted((shared_data / "misp-stix").rglob("*.json")):
        if b'"observed-data"' not in (text := path.read_bytes()):
            continue
        for each in every(json.loads(text)):
            for made in opened(each):
                known = STIX2_OBJ_MAPS["2.1"]["observables"].get(made["type"])
                given = {k: v for k, v in made.items() if k not in ("id", "type")}
                if known is None or not any(p in given for p in known._id_contributing_properties):
                    continue
                try:
                    expected = known(**given, allow_custom=True)["id"]
                except (stix2.exceptions.STIXError, ValueError):
                    # The file itself breaks the standard; what is wrong with it is not ours to mend.
                    continue
                assert made["id"] == expected, (path, made)
                checked[made["type"]] = checked.get(made["type"], 0) + 1
    assert sum(checked.values()) > 300
    assert {"file", "domain-name", "network-traffic", "email-message", "directory", "x509-certificate"} <= set(checked)  # fmt: skip


def test_references_by_place_become_references_by_id_however_deep() -> None:
    archive = {"type": "file", "name": "a.zip", "extensions": {"archive-ext": {"contains_refs": ["1"]}}}
    found = opened(
        observed(
            _0=archive | {"parent_directory_ref": "2"},
            _1={"type": "file", "name": "b.exe", "hashes": {"SHA-256": "a" * 64, "MD5": "b" * 32}},
            _2={"type": "directory", "path": "/tmp", "created": "2020-01-01T00:00:00Z"},
        )
    )
    zip_, exe, folder = found
    assert zip_["extensions"]["archive-ext"]["contains_refs"] == [exe["id"]]
    assert zip_["parent_directory_ref"] == folder["id"]
    assert folder["ctime"] == "2020-01-01T00:00:00Z"
    assert "created" not in folder
    assert exe["id"] == identified("file", {"name": "b.exe", "hashes": {"MD5": "b" * 32}})
    assert {each["spec_version"] for each in found} == {"2.1"}


def test_what_has_no_id_of_its_own_has_the_same_one_every_time() -> None:
    both = observed(
        _0={"type": "process", "pid": 7, "binary_ref": "1"},
        _1={"type": "file", "name": "x", "content_ref": "0"},
        _2={"type": "x-usb-device", "serial": "1"},
        _3={"type": "file", "name": "loop", "parent_directory_ref": "4"},
        _4={"type": "directory", "path": "/", "contains_refs": ["3"]},
    )
    first, again = opened(both), opened(json.loads(json.dumps(both)))
    assert first == again
    assert len({each["id"] for each in first}) == 5
    assert first[0]["image_ref"] == first[1]["id"]
    other = opened({**both, "id": ID[:-1] + "2"})
    assert other[0]["id"] != first[0]["id"]
    assert other[1]["id"] == first[1]["id"]


def test_markings_of_the_observed_data_hold_for_what_was_inside() -> None:
    def ref(n: int) -> str:
        return f"marking-definition--{n:08d}-0000-4000-8000-000000000000"

    whole = observed(
        _0={"type": "ipv4-addr", "value": "203.0.113.7"}, _1={"type": "url", "value": "http://x/"}
    )
    address, url = opened(
        whole
        | {
            "object_marking_refs": [ref(1)],
            "granular_markings": [
                {"marking_ref": ref(2), "selectors": ["objects.0"]},
                {"marking_ref": ref(3), "selectors": ["objects.1.value", "number_observed"]},
            ],
        }
    )
    assert address["object_marking_refs"] == [ref(1), ref(2)]
    assert url["object_marking_refs"] == [ref(1)]
    assert url["granular_markings"] == [{"marking_ref": ref(3), "selectors": ["value"]}]


def test_the_same_observable_twice_is_one_and_what_is_no_observable_is_none() -> None:
    same = {"type": "ipv4-addr", "value": "203.0.113.7"}
    assert len(opened(observed(_0=same, _1=same, _2={"value": "no type"}, _3=[1]))) == 1  # type: ignore[arg-type]
    assert opened({"type": "observed-data", "id": ID, "object_refs": ["ipv4-addr--1"]}) == []
    assert opened({"type": "indicator", "objects": {"0": same}}) == []
