"""A mapping kept as a template begins another source's mapping, its fields found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.wire import MustAct


def test_a_template_feeds_what_another_source_has_and_names_what_it_lacks(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    mapping = {
        "target": "indicator",
        "fields": [
            {"field": "value", "from": "indicator"},
            {"field": "confidence", "from": "confidence", "steps": [{"step": "number"}]},
            {"field": "description", "sql": 'concat("notes", "tlp")'},
            {"field": "threat", "constant": "exchange"},
        ],
        "where": "type = 'ip'",
    }
    client.preview(made.source.id, [mapping])
    kept = client.create_template(name="Exchange feed", mappings=[mapping], comment="Weekly")
    assert (kept.template.id, kept.version, kept.author, kept.comment) == (
        "exchange-feed",
        1,
        "ana",
        "Weekly",
    )

    other = client.create_source(text="INDICATOR;Notes\n203.0.113.7;a\n203.0.113.8;b\n", name="other")
    laid = client.apply_template("exchange-feed", other.source.id)

    fields = {f.field: f for f in laid.mappings[0].fields}
    assert fields["value"].source == "INDICATOR"
    assert fields["threat"].constant == "exchange"
    assert laid.matched == len(fields) == 2
    assert {m.field: m.lacks for m in laid.missing} == {
        "confidence": ["confidence"], "description": ["notes", "tlp"], "where": ["type"],
    }  # fmt: skip
    client.preview(other.source.id, laid.mappings)


def test_a_template_has_versions_and_can_be_deleted(client: Client, feed: Path) -> None:
    client.create_source(payload=client.upload(feed).payload)
    mapping = {"target": "indicator", "fields": [{"field": "value", "from": "indicator"}]}
    client.create_template(id="feed", name="Feed", mappings=[mapping])
    mapping["fields"].append({"field": "confidence", "from": "confidence"})  # type: ignore[attr-defined]
    assert client.replace_template("feed", name="Feed", mappings=[mapping], based_on=1).version == 2

    with pytest.raises(MustAct):
        client.replace_template("feed", name="Feed", mappings=[mapping], based_on=1)
    assert [t.template.name for t in client.templates() if t.author] == ["Feed"]
    client.delete_template("feed")
    assert not any(t.author for t in client.templates())
    assert [e.action for e in client.audit().events if e.action.startswith("template.")] == [
        "template.deleted", "template.changed", "template.created",
    ]  # fmt: skip
