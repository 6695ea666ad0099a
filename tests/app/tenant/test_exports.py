"""Exports are what other programs accept."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import stix2
from pymisp import MISPEvent
from stix2validator import ValidationOptions, validate_string

from app.client import Client
from app.tenant.desk import Desk
from app.tenant.exports import stix
from app.wire import MustAct
from engine.model import FieldType, TargetField
from engine.targets import TARGETS
from storage.records import column_type, ensure


def exported(client: Client, target: str, format: str, **more: object) -> bytes:
    return b"".join(client.export(target, format, **more))


def test_indicators_of_a_csv_become_stix_that_stix2_and_its_validator_accept(
    client: Client, feed: Path
) -> None:
    client.ingest(feed, wait=60)
    text = exported(client, "indicator", "stix").decode()

    bundle = stix2.parse(text)
    verdict = validate_string(text, ValidationOptions(version="2.1"))

    assert verdict.is_valid, verdict.errors
    assert {o["pattern"] for o in bundle.objects} == {
        "[ipv4-addr:value = '203.0.113.7']",
        "[url:value = 'https://login.example.com/reset']",
        "[file:hashes.MD5 = '44d88612fea8a8f36de82e1278abb02f']",
    }
    amber = next(o for o in bundle.objects if "ipv4" in o["pattern"])
    assert amber["object_marking_refs"] == ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]


def test_an_empty_export_is_still_a_valid_file_of_its_format(client: Client) -> None:
    assert json.loads(exported(client, "indicator", "stix")).get("objects") is None
    assert json.loads(exported(client, "indicator", "json")) == []
    assert pq.read_table(io.BytesIO(exported(client, "indicator", "parquet"))).num_rows == 0
    assert len(list(csv.reader(io.StringIO(exported(client, "indicator", "csv").decode())))) == 1
    assert json.loads(exported(client, "indicator", "misp"))["Event"]["Attribute"] == []


def test_cells_that_look_like_formulas_are_disarmed_unless_asked_not_to(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)

    def notes(**more: object) -> set[str]:
        rows = csv.DictReader(io.StringIO(exported(client, "indicator", "csv", **more).decode()))
        return {row["description"] for row in rows}

    assert '\'=HYPERLINK("http://x")' in notes()
    assert '=HYPERLINK("http://x")' in notes(guard=False)


def test_parquet_keeps_types(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    table = pq.read_table(io.BytesIO(exported(client, "indicator", "parquet")))

    assert str(table.schema.field("first_seen").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("confidence").type) == "int64"
    assert sorted(table.column("value_type").to_pylist()) == ["ipv4", "md5", "url"]


def test_indicators_become_misp_attributes_to_detect_with(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    event = MISPEvent()
    event.load(json.loads(exported(client, "indicator", "misp")))

    assert {(a.type, a.value, a.to_ids) for a in event.attributes} == {
        ("ip-dst", "203.0.113.7", True),
        ("url", "https://login.example.com/reset", True),
        ("md5", "44d88612fea8a8f36de82e1278abb02f", True),
    }
    assert not event.published


def test_records_without_a_form_in_stix_say_which_formats_there_are(client: Client, tmp_path: Path) -> None:
    with pytest.raises(MustAct, match="no form in STIX") as refused:
        exported(client, "asset", "stix")
    assert "CSV" in refused.value.action


def test_an_export_of_a_run_has_that_run_alone(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    feed.write_text("indicator,type\n198.51.100.77,ip\n")
    second = client.ingest(feed, wait=60)

    rows = json.loads(exported(client, "indicator", "json", run=second.run))

    assert [row["value"] for row in rows] == ["198.51.100.77"]


def test_an_export_says_what_it_leaves_out_and_why(client: Client, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,malware,notes\n1,Grey,a\n2,,without a name\n3,Blue,c\n")
    fields = [
        {"field": "id", "from": "id"},
        {"field": "name", "from": "malware"},
        {"field": "description", "from": "notes"},
    ]
    payload = client.upload(tmp_path / "m.csv")
    made = client.create_source(payload=payload.payload)
    pipeline = client.create_pipeline(
        name="m", source=made.source.id, mappings=[{"target": "malware", "fields": fields}]
    )
    client.start_run(pipeline.pipeline.id, wait=60)

    told = client.export_manifest("malware", "stix")
    bundle = json.loads(exported(client, "malware", "stix"))

    assert (told.records, told.exported) == (3, 2)
    assert [(one.reason, one.count) for one in told.left_out] == [
        ("without name, which STIX 2.1 requires", 1)
    ]
    # What is said beforehand and what the writer does are the same.
    assert len(bundle["objects"]) == told.exported
    answer = client.request("GET", "/export/malware", params={"format": "stix"})
    assert json.loads(answer.headers["x-left-out"]) == {"without name, which STIX 2.1 requires": 1}
    assert client.export_manifest("malware", "csv").exported == 3


def _filled(field: TargetField, id: str) -> str:
    """SQL of a plausible value."""
    texts = {"id": id, "value": "198.51.100.7", "value_type": "ipv4", "pattern": "[a:b = 1]"}
    text = {
        FieldType.TEXT: texts.get(field.name, "x"),
        FieldType.JSON: '{"a": 1}',
        FieldType.TEXTS: "[a]",
        FieldType.BOOLEAN: "true",
        FieldType.TIMESTAMP: "2024-01-01",
    }.get(field.type, "5")
    return f"'{text}'::{column_type(field.type)}"


def _lame(desk: Desk, target: str) -> int:
    """Records that lack one field each, and what else a format may want, put into the store as a load would."""
    fields = [f for f in TARGETS[target].fields if f.name != "object"]
    lacks = [
        set(),
        *({f.name} for f in fields if f.name != "id"),
        {"pattern", "value"},
        {"cve", "name"},
        {"known kind"},
    ]
    columns = ", ".join(f'"{f.name}"' for f in fields)
    with desk.store.transaction() as cursor:
        ensure(cursor, TARGETS[target], [f.name for f in fields])
        for row, lack in enumerate(lacks):
            values = [
                "NULL" if f.name in lack
                else "'unheard-of'" if f.name == "value_type" and "known kind" in lack
                else _filled(f, f"{target}--{row}")
                for f in fields
            ]  # fmt: skip
            cursor.execute(
                f'INSERT INTO store.kept."{target}" ({columns}, _run, _seq, _segment, _line, _mapping, _kh, _vh) '
                f"VALUES ({', '.join(values)}, 1, {row}, 0, {row}, 'm', {row}, {row})"
            )
    return len(lacks)


def test_what_is_said_to_be_left_out_is_what_the_writer_leaves_out(client: Client, desk: Desk) -> None:
    for target, model in TARGETS.items():
        if not stix.exportable(model):
            continue
        records = _lame(desk, target)
        told = client.export_manifest(target, "stix")
        made = json.loads(exported(client, target, "stix")).get("objects", [])
        assert (told.records, told.exported) == (records, len(made)), target
    for target in ("indicator", "observable"):
        event = json.loads(exported(client, target, "misp"))["Event"]
        assert client.export_manifest(target, "misp").exported == len(event["Attribute"]), target


def test_an_export_keeps_to_the_filters(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    rows = json.loads(exported(client, "indicator", "json", search="login[.]example", where=["tlp=GREEN"]))
    assert [row["value_type"] for row in rows] == ["url"]
    assert (
        client.export_manifest("indicator", "csv", where=["value_type=md5", "value_type=url"]).exported == 2
    )
