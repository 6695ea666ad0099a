"""Target models and the mappings of self-describing formats, on every STIX object of the public corpora."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from engine.compile import Branch, compile_plan
from engine.model import FieldType, Mapping
from engine.targets import TARGETS, misp_mappings, stix_mappings
from engine.types import KINDS, VOCABULARIES, register

STIX_TYPES = {
    "attack-pattern", "campaign", "course-of-action", "grouping", "identity", "incident", "indicator", "infrastructure",
    "intrusion-set", "location", "malware", "malware-analysis", "note", "observed-data", "opinion", "report", "threat-actor",
    "tool", "vulnerability", "relationship", "sighting", "language-content", "marking-definition", "extension-definition",
}  # fmt: skip


def test_every_type_of_stix_has_a_model_and_business_has_three() -> None:
    assert set(TARGETS) >= STIX_TYPES | {"observable", "stix-object", "asset", "contact", "web-metric"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_models_kinds_and_vocabularies_exist_and_only_what_identifies_is_required(name: str) -> None:
    model = TARGETS[name]
    assert model.builtin
    for field in model.fields:
        assert field.kind is None or field.kind in KINDS
        assert field.vocabulary is None or field.vocabulary in VOCABULARIES
        assert not field.required or field.name in model.key
        assert field.title
        assert all(word == word.lower() for word in field.synonyms), field.name


@pytest.mark.parametrize("name", TARGETS)
def test_a_header_means_one_field_of_a_model(name: str) -> None:
    """An ambiguous header would be mapped by the order of fields, which nobody sees."""
    words = Counter(word for field in TARGETS[name].fields for word in set(field.synonyms) | {field.name})
    if name == "indicator":
        # A feed's `type` is that of its values; the object's own is always `indicator`.
        words["type"] -= 1
    assert [word for word, count in words.items() if count > 1] == []


def test_personal_data_is_marked_in_contacts() -> None:
    assert {f.name for f in TARGETS["contact"].fields if f.pii} >= {
        "first_name",
        "last_name",
        "name",
        "email",
        "phone",
        "street",
    }


def test_stix_models_share_their_core_and_keep_the_whole_object() -> None:
    core = {"id", "type", "created", "modified", "created_by_ref", "revoked", "labels", "confidence", "external_references",
            "object_marking_refs", "object"}  # fmt: skip
    for name in STIX_TYPES | {"observable", "stix-object"}:
        assert core <= {f.name for f in TARGETS[name].fields}, name
        assert TARGETS[name].key == ("id",)
        assert TARGETS[name].field("object").type is FieldType.JSON


def _objects(shared_data: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(shared_data.rglob("*.json")):
        if "invalid" in path.name:
            continue
        try:
            document = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("type") == "bundle":
            yield from (item for item in document.get("objects", []) if isinstance(item, dict))
        elif isinstance(document, dict) and "--" in str(document.get("id", "")) and "type" in document:
            yield document


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


class Loaded:
    """Rows in a database with one VARCHAR column a field, and what a plan makes of them."""

    def __init__(self, mappings: tuple[Mapping, ...], rows: list[dict[str, Any]]) -> None:
        self.branches = compile_plan(mappings, TARGETS).branches
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        register(self.connection)
        fields = sorted({name for branch in self.branches for name in branch.fields} - {"_raw", "_ord"})
        columns = ", ".join(f'"{name}" VARCHAR' for name in [*fields, "_raw"])
        self.connection.execute(f"CREATE TABLE everything ({columns}, _ord BIGINT)")
        lines = [
            [*(_text(row.get(name)) for name in fields), json.dumps(row), i] for i, row in enumerate(rows)
        ]
        names = [*fields, "_raw", "_ord"]
        table = pa.table([pa.array(column) for column in zip(*lines, strict=True)], names=names)
        self.connection.register("arriving", table)
        self.connection.execute("INSERT INTO everything FROM arriving")
        self.connection.execute("ALTER TABLE everything ADD COLUMN branch INTEGER")
        for number, branch in enumerate(self.branches):
            where = branch.where or "true"
            self.connection.execute(
                f"UPDATE everything SET branch = {number} WHERE branch IS NULL AND ({where})"
            )

    def run(self, number: int) -> list[dict[str, Any]]:
        """What branch `number` makes of its rows."""
        query = f"WITH source AS (FROM everything WHERE branch = {number}) {self.branches[number].sql}"
        found = self.connection.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def all(self) -> Iterator[tuple[Branch, dict[str, Any]]]:
        for number, branch in enumerate(self.branches):
            for row in self.run(number):
                yield branch, row


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> list[dict[str, Any]]:
    return list(_objects(shared_data))


@pytest.fixture(scope="module")
def loaded(corpus: list[dict[str, Any]]) -> Loaded:
    return Loaded(stix_mappings(), corpus)


def test_no_object_of_the_corpora_is_left_out_or_refused(
    corpus: list[dict[str, Any]], loaded: Loaded
) -> None:
    assert len(corpus) > 12_000
    refused = []
    count = 0
    for branch, row in loaded.all():
        count += 1
        refused += [
            (branch.target.name, check.rule, check.message, row["id"])
            for check in branch.checks
            if row["_mask"] >> check.bit & 1
        ]
    assert count == len(corpus)
    assert refused == []


def test_every_object_is_kept_to_the_last_property(corpus: list[dict[str, Any]], loaded: Loaded) -> None:
    expected = Counter(json.dumps(item, sort_keys=True) for item in corpus)
    kept = Counter(json.dumps(json.loads(row["object"]), sort_keys=True) for _, row in loaded.all())
    assert kept == expected


def test_a_type_with_a_model_goes_to_it_and_any_other_to_the_catch_all(loaded: Loaded) -> None:
    for branch, row in loaded.all():
        if row["type"] in STIX_TYPES:
            assert branch.target.name == row["type"]
        elif row["type"].startswith("x-"):
            assert branch.target.name == "stix-object"
        else:
            assert branch.target.name == "observable"


def test_indicators_of_the_corpora_show_what_they_look_for(loaded: Loaded) -> None:
    rows = [row for branch, row in loaded.all() if branch.target.name == "indicator"]
    by_pattern = {row["pattern"]: row for row in rows}
    simple = by_pattern["[domain-name:value = 'circl.lu']"]
    assert (simple["value"], simple["value_type"], simple["original"]) == ("circl.lu", "domain", "circl.lu")
    several = by_pattern["[domain-name:value = 'jj.mysecondarydns.com' OR ipv4-addr:value = '60.2.148.167']"]
    assert several["value"] is None
    assert json.loads(several["observables"]) == [
        {"type": "domain", "value": "jj.mysecondarydns.com"}, {"type": "ipv4", "value": "60.2.148.167"},
    ]  # fmt: skip


def test_observables_name_their_value_whatever_property_holds_it() -> None:
    rows = [
        {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "198.51.100.1"},
        {"type": "file", "id": "file--1", "hashes": {"SHA-256": "ab" * 32, "MD5": "cd" * 16}},
        {"type": "file", "id": "file--2", "name": "x.exe", "hashes": {"MD5": "cd" * 16}},
        {"type": "autonomous-system", "id": "autonomous-system--1", "number": 64500},
        {"type": "windows-registry-key", "id": "windows-registry-key--1", "key": "HKLM\\x"},
        {"type": "user-account", "id": "user-account--1", "user_id": "1001"},
        {"type": "file", "id": "file--3", "hashes": "broken"},
    ]
    found = {row["id"]: (row["value"], row["value_type"]) for _, row in Loaded(stix_mappings(), rows).all()}
    assert found["ipv4-addr--1"] == ("198.51.100.1", "ipv4")
    assert found["file--1"] == ("ab" * 32, "sha256")
    assert found["file--2"] == ("x.exe", "filename")
    assert found["autonomous-system--1"] == ("64500", "asn")
    assert found["windows-registry-key--1"] == ("HKLM\\x", "registry-key")
    assert found["user-account--1"] == ("1001", "user-account")
    assert "file--3" in found


def test_the_strictest_marking_is_an_indicators_tlp_and_none_is_none() -> None:
    amber, red = (
        "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
        "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
    )
    rows = [
        {"type": "indicator", "id": "indicator--1", "object_marking_refs": [amber, red]},
        {"type": "indicator", "id": "indicator--2", "object_marking_refs": [amber]},
        {"type": "indicator", "id": "indicator--3"},
        {"type": "indicator", "id": "indicator--4", "object_marking_refs": ["marking-definition--9999"]},
        {"type": "marking-definition", "id": red},
    ]
    found = {row["id"]: row["tlp"] for _, row in Loaded(stix_mappings(), rows).all()}
    assert found == {
        "indicator--1": "RED",
        "indicator--2": "AMBER",
        "indicator--3": None,
        "indicator--4": None,
        red: "RED",
    }


UUID = "5e57c739-391a-4eb3-b6be-7d15ca92d5ed"


def _attribute(**more: Any) -> dict[str, Any]:
    row = {"row": "attribute", "uuid": UUID, "type": "ip-dst", "value": "198.51.100.1", "to_ids": True, "timestamp": "1709528767",
           "event_info": "An event", "tags": [], **more}  # fmt: skip
    return {"parts": [{"type": row["type"], "value": row["value"]}], **row}


def test_a_misp_attribute_to_detect_by_is_an_indicator_and_context_is_an_observable() -> None:
    rows = [
        _attribute(),
        _attribute(uuid="0" * 8 + UUID[8:], to_ids=False, type="comment", value="Just words"),
    ]
    found = [
        (b.target.name, row["id"], row["value"], row["value_type"])
        for b, row in Loaded(misp_mappings(), rows).all()
    ]
    assert found == [
        ("indicator", f"indicator--{UUID}", "198.51.100.1", "ipv4"),
        ("observable", f"observable--00000000{UUID[8:]}", "Just words", "comment"),
    ]


def test_the_parts_of_a_composite_are_records_with_ids_of_their_own() -> None:
    parts = [{"type": "filename", "value": "x.exe"}, {"type": "sha1", "value": "AB" * 20}]
    rows = [_attribute(type="filename|sha1", value="x.exe|" + "AB" * 20, parts=parts)]
    found = [row for _, row in Loaded(misp_mappings(), rows).all()]
    assert [(row["value"], row["value_type"]) for row in found] == [
        ("x.exe", "filename"),
        ("ab" * 20, "sha1"),
    ]
    assert len({row["id"] for row in found}) == 2
    again = [row["id"] for _, row in Loaded(misp_mappings(), rows).all()]
    assert again == [row["id"] for row in found]


def test_tlp_comes_from_misp_tags_and_amber_strict_is_not_amber() -> None:
    tags = {"a": ["tlp:amber+strict"], "b": ["x", "TLP:Amber"], "c": ["tlp:white"], "d": ["osint"]}
    rows = [_attribute(uuid=UUID[:-1] + mark, tags=names) for mark, names in tags.items()]
    found = {row["id"][-1]: row["tlp"] for _, row in Loaded(misp_mappings(), rows).all()}
    assert found == {"a": "AMBER+STRICT", "b": "AMBER", "c": "CLEAR", "d": None}


def test_what_has_no_uuid_gets_one_of_its_content() -> None:
    rows = [
        {"row": "event", "info": "An event", "date": "2024-03-04"},
        {"row": "object", "name": "file"},
        {"row": "object", "name": "url"},
    ]
    found = [(b.target.name, row["id"]) for b, row in Loaded(misp_mappings(), rows).all()]
    assert [target for target, _ in found] == ["report", "stix-object", "stix-object"]
    assert len({identifier for _, identifier in found}) == 3
