"""Mappings are suggested, previewed by the run's own plan, and compared with what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.wire import MustAct


def test_a_preview_says_of_each_row_what_the_run_then_does(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    best = client.suggest(made.source.id).suggestions[0]
    shown = client.preview(made.source.id, [best.mapping])
    pipeline = client.create_pipeline(name="Feed", source=made.source.id, mappings=[best.mapping])
    dry = client.start_run(pipeline.pipeline.id, dry_run=True)
    run = client.start_run(pipeline.pipeline.id, wait=60)

    good = {row.line: row.values["value"] for row in shown.rows if row.outcome == "good"}
    stored = {row["_line"]: row["value"] for row in client.records("indicator").rows}
    assert good == stored
    assert {row.line for row in shown.rows if row.outcome == "rejected"} == {5}
    assert dry.ledger == run.ledger
    assert [example["value"] for example in dry.examples["inserted"]] == list(stored.values())[::-1]
    assert client.runs().runs[0].run == run.run == 1


def test_a_suggestion_gives_score_reasons_and_what_it_left(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    best = client.suggest(made.source.id, "indicator").suggestions[0]

    assert best.target == "indicator"
    value = best.field("value").best
    assert value is not None
    assert value.source == "indicator"
    assert value.score >= 80
    assert value.reasons
    assert client.suggest(made.source.id).extent == "all 4 rows"


def test_accepted_pairs_weigh_in_the_next_suggestion(client: Client) -> None:
    text = "zzq,qqz\n203.0.113.7,LampShade\n203.0.113.8,Other\n"
    mapping = {
        "target": "indicator",
        "fields": [
            {"field": "id", "from": "zzq", "steps": [{"step": "stix_id"}]},
            {"field": "value", "from": "zzq"},
            {"field": "threat", "from": "qqz"},
        ],
    }
    first = client.create_source(text=text, name="one")
    before = client.suggest(first.source.id, "indicator").suggestions[0].field("threat")
    client.create_pipeline(name="one", source=first.source.id, mappings=[mapping])
    second = client.create_source(text=text.replace("7", "9"), name="two")

    after = client.suggest(second.source.id, "indicator").suggestions[0].field("threat")

    assert after.best is not None
    assert after.best.source == "qqz"
    assert before.best is None or after.best.score > before.best.score


def test_impact_counts_and_shows_the_records_that_would_differ(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    stored = client.pipeline(done.pipeline).pipeline.mappings
    same = client.impact(done.pipeline, stored)
    assert (same.same, same.different, same.new, same.gone) == (3, 0, 0, 0)
    assert same.rejected_after == same.rejected_before == 2

    plain = stored[0].model_dump(mode="json", by_alias=True)
    for field in plain["fields"]:
        if field["field"] == "description":
            field["steps"] = [{"step": "upper", "options": {}}]
    changed = client.impact(done.pipeline, [plain], 1)

    assert (changed.same, changed.different, changed.gone) == (0, 3, 0)
    assert changed.by_field == {"description": 3}
    assert changed.examples[0].fields == ["description"]
    assert changed.extent == "all 5 rows of run 1"
    assert client.records("indicator").rows[0]["_run"] == 1


def test_a_mapping_that_cannot_run_is_not_saved_and_says_why(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    bad = {"target": "indicator", "fields": [{"field": "valeu", "from": "indicator"}]}
    with pytest.raises(MustAct) as refused:
        client.create_pipeline(name="Bad", source=made.source.id, mappings=[bad])
    assert refused.value.status == 422
    assert "valeu" in refused.value.where
    assert client.pipelines() == []


def test_a_pipeline_exports_and_imports_to_the_same_bytes(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    text = client.export_pipeline(done.pipeline)

    again = client.import_pipeline(text)

    assert again.version == 1
    assert client.export_pipeline(done.pipeline) == text
    client.delete_pipeline(done.pipeline)
    assert client.import_pipeline(text).version == 3
    assert client.export_pipeline(done.pipeline) == text
    assert "SELECT" in client.export_pipeline(done.pipeline, "sql")


def test_lineage_leads_from_a_target_field_to_its_sources_and_steps(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    found = client.pipeline_lineage(done.pipeline)

    value = next(f for f in found.fields if f.field == "value")
    assert "indicator" in value.sources
    assert value.steps
    assert [v.version for v in client.pipeline_versions(done.pipeline)] == [1]


def test_a_mapping_that_reads_a_field_the_source_lost_can_still_be_looked_at_and_mended(
    client: Client,
) -> None:
    read = client.create_source(text="ip,tlp\n203.0.113.7,amber\n203.0.113.8,green\n", name="lost").source.id
    mapping = {
        "target": "indicator",
        "where": "kind IS NULL",
        "fields": [
            {"field": "id", "from": "ip", "steps": [{"step": "stix_id"}]},
            {"field": "value", "from": "ip"},
            {"field": "name", "from": "family", "steps": [{"step": "lower"}, {"step": "map", "options": {"values": {"a": "b"}}}]},
        ],
    }  # fmt: skip
    shown = client.preview(read, [mapping])
    assert sorted(shown.lacking) == ["family", "kind"]
    assert [row.outcome for row in shown.rows] == ["good", "good"]

    found = client.trace(read, [mapping], "name")
    assert [stage.value for stage in found.stages] == [None] * 4
    assert client.trace(read, [mapping], "value").stages[-1].value == "203.0.113.7"
    assert client.offers(read, [mapping], "name").extent == "all 2 rows"
    assert client.values(read, [mapping], "name", step=1).values == []
    rule = {"id": "named", "operator": "required", "field": "name"}
    assert client.try_rules(read, [mapping], [rule]).rules[0].caught == 2
    assert client.rule_offers(read, [mapping]).extent == "all 2 rows"
