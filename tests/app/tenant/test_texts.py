"""Mappings and pipelines leave as YAML and as SQL, and come back the same, edits included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.wire import MustAct

ODD = "two\nlines; -- and a dash, “quotes”, 'more', \u2028 and \x85"


def two() -> list[dict[str, Any]]:
    """Two mappings of one pipeline with all that a mapping can say."""
    steps = [{"step": "trim"}, {"step": "lower"}]
    return [
        {
            "target": "indicator",
            "where": "type <> 'url'",
            "fields": [
                {"field": "id", "from": "indicator", "steps": [*steps, {"step": "prefix", "options": {"text": "x-"}}]},
                {"field": "value", "from": "indicator", "steps": steps},
                {"field": "source", "constant": ODD},
                {"field": "description", "sql": "upper(notes)"},
            ],
            "rules": [{"id": "sure", "operator": "range", "field": "confidence", "value": [0, 100], "severity": "warn"}],
        },
        {
            "target": "indicator",
            "fields": [
                {"field": "id", "from": "indicator"},
                {"field": "value", "from": "indicator", "steps": [{"step": "upper"}]},
            ],
        },
    ]  # fmt: skip


def plain(mappings: list[Any]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", by_alias=True, exclude_defaults=True) for each in mappings]


@pytest.mark.parametrize("form", ["yaml", "sql"])
def test_mappings_come_back_from_their_text_as_they_were(client: Client, form: str) -> None:
    text = client.mappings_text(two(), form)
    assert plain(client.read_mappings(text)) == two()
    assert client.mappings_text(client.read_mappings(text), form) == text


def test_a_line_edited_in_sql_becomes_the_expression_of_its_field_and_the_rest_stays(client: Client) -> None:
    text = client.mappings_text(two(), "sql")
    assert 'UPPER("notes")' in text
    edited = text.replace('UPPER("notes")', "lower(notes) || '!'", 1)
    back = plain(client.read_mappings(edited))
    expected = two()
    expected[0]["fields"][3] = {"field": "description", "sql": "LOWER(notes) || '!'"}
    assert back == expected


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("target: indicator\nfields: [", "line 2"),
        ("target: indicator\nfields:\n- {field: valeu, from: a}", "valeu"),
        ("target: nothing\nfields: []", "nothing"),
    ],
)
def test_a_text_that_cannot_run_is_refused_and_says_where(client: Client, text: str, where: str) -> None:
    with pytest.raises(MustAct) as refused:
        client.read_mappings(text)
    assert refused.value.status == 422
    assert where in f"{refused.value.where} {refused.value.detail}"


def test_sql_that_reaches_for_a_file_is_refused(client: Client) -> None:
    text = client.mappings_text(two(), "sql").replace('UPPER("notes")', "read_text(notes)", 1)
    with pytest.raises(MustAct) as refused:
        client.read_mappings(text)
    assert "read_text" in refused.value.where


@pytest.mark.parametrize("form", ["yaml", "sql"])
def test_a_pipeline_exports_and_imports_to_the_same_bytes_in_either_form(
    client: Client, feed: Path, form: str
) -> None:
    made = client.create_source(payload=client.upload(feed).payload).source.id
    first = client.create_pipeline(name="Shared – تقرير", source=made, mappings=two(), error_threshold=0.5)
    text = client.export_pipeline(first.pipeline.id, form)
    client.delete_pipeline(first.pipeline.id)

    again = client.import_pipeline(text)

    assert again.pipeline == first.pipeline
    assert client.export_pipeline(first.pipeline.id, form) == text


def test_sql_of_a_mapping_alone_is_no_pipeline(client: Client) -> None:
    with pytest.raises(MustAct) as refused:
        client.import_pipeline(client.mappings_text(two(), "sql"))
    assert "not a pipeline" in refused.value.title


def test_a_mapping_in_sql_maps_a_file_that_is_ingested(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    mappings = client.pipeline(done.pipeline).pipeline.mappings
    text = client.mappings_text(mappings, "sql")
    again = client.ingest_payload(client.upload(feed).payload, mapping=text, wait=60)
    assert again.unchanged == done.inserted
