"""STIX 1.x and OpenIOC documents, written from their schemas, become indicators by the templates that come with us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.client import Client

DOCUMENTS = Path(__file__).resolve().parents[2] / "xml"


def loaded(client: Client, document: str, template: str) -> tuple[list[dict[str, Any]], Any]:
    """The indicators that a run by the template makes of a document, and its books."""
    made = client.create_source(payload=client.upload(DOCUMENTS / document).payload, name=document)
    laid = client.apply_template(template, made.source.id)
    assert laid.matched
    saved = client.create_pipeline(name=template, source=made.source.id, mappings=laid.mappings)
    ended = client.wait_run(client.start_run(saved.pipeline.id).run)
    found = client.query(
        "SELECT value, value_type, name, description, valid_from, source FROM indicator ORDER BY value"
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows], ended.ledger


def test_stix_1_indicators_are_read_with_their_value_title_and_time(client: Client) -> None:
    records, books = loaded(client, "stix-1.2.xml", "stix-1")
    assert {record["value"]: record["value_type"] for record in records} == {
        "0cc175b9c0f1b6a831c399e269772661": "md5", "198.51.100.2": "ipv4", "bad.example.com": "domain",
        "http://bad.example.com/x": "url",
    }  # fmt: skip
    address = next(record for record in records if record["value"] == "198.51.100.2")
    assert address["name"] == "Address of a downloader"
    assert address["description"] == "Seen after opening the document"
    assert str(address["valid_from"]).startswith("2026-02-01")
    assert address["source"] == "Example CERT"
    # One of several observables has no value of its own, and is not lost: it waits in quarantine.
    assert (books.read, books.inserted, books.rejected) == (5, 4, 1)


@pytest.mark.parametrize(
    ("document", "template", "values", "books"),
    [
        ("openioc-1.0.xml", "openioc-1-0", ["0cc175b9c0f1b6a831c399e269772661", "198.51.100.2", "bad.example.com"], (4, 3, 1)),
        ("openioc-1.1.xml", "openioc-1-1", ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"], (2, 1, 1)),
    ],
)  # fmt: skip
def test_openioc_terms_that_stand_for_themselves_are_read_however_deep_they_are(
    client: Client, document: str, template: str, values: list[str], books: tuple[int, int, int]
) -> None:
    records, ledger = loaded(client, document, template)
    assert [record["value"] for record in records] == values
    assert (ledger.read, ledger.inserted, ledger.filtered) == books


def test_templates_that_come_with_us_are_offered_and_stay_as_they_are(client: Client) -> None:
    offered = {view.template.id: view for view in client.templates()}
    assert {"stix-1", "openioc-1-0", "openioc-1-1"} <= set(offered)
    own = client.create_template(name="stix-1", mappings=offered["stix-1"].template.mappings[:1])
    assert [view.version for view in client.templates() if view.template.id == own.template.id] == [1]
