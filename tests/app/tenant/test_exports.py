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
from app.wire import MustAct


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
