"""The whole job in one request."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.wire import MustAct

COUNTS = ("read", "inserted", "updated", "unchanged", "duplicate", "rejected", "filtered")


def counts(ledger: object) -> tuple[int, ...]:
    return tuple(getattr(ledger, name) for name in COUNTS)


def test_a_dropped_csv_becomes_records_with_books_that_balance(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)

    assert done.state == "finished"
    assert counts(done) == (5, 3, 0, 0, 0, 2, 0)
    assert done.balanced
    assert [(t.target, t.records) for t in client.record_counts()] == [("indicator", 3)]


def test_the_same_file_again_changes_nothing(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    again = client.ingest(feed, wait=60)

    assert counts(again) == (5, 0, 0, 3, 0, 2, 0)
    assert len(client.sources()) == len(client.pipelines()) == 1


def test_undo_brings_back_what_a_load_replaced(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    feed.write_text(feed.read_text().replace("phishing page", "an old phishing page"))
    second = client.ingest(feed, wait=60)
    assert second.updated == 1

    undone = client.undo_run(second.run)

    assert undone.removed == 1
    found = client.records("indicator", where=["value_type=url"])
    assert [row["description"] for row in found.rows] == ["phishing page"]
    with pytest.raises(MustAct, match="undone already"):
        client.undo_run(second.run)


def test_a_stix_bundle_needs_no_target_and_comes_out_as_it_went_in(client: Client) -> None:
    import json

    sample = Path("connectors/samples/campaign.json")
    done = client.ingest(sample, wait=60)
    assert (done.state, done.rejected, done.balanced) == ("finished", 0, True)

    bundle = json.loads(b"".join(client.export("all", "stix")))

    out = {each["id"]: each for each in bundle["objects"]}
    for each in json.loads(sample.read_text())["objects"]:
        assert out[each["id"]]["type"] == each["type"]
    latest = {each["id"]: each for each in json.loads(sample.read_text())["objects"]}
    assert {id: out[id] for id in latest} == latest


def test_every_object_of_a_public_bundle_is_exported_equal(client: Client, shared_data: Path) -> None:
    import json

    path = shared_data / "attack-stix-data" / "ics-attack-17.1.json"
    done = client.ingest(path, wait=120)
    objects = json.loads(path.read_text())["objects"]
    assert (done.read, done.rejected, done.balanced) == (len(objects), 0, True)

    out = {o["id"]: o for o in json.loads(b"".join(client.export("all", "stix")))["objects"]}

    assert out == {each["id"]: each for each in objects}


def test_a_misp_event_becomes_indicators_and_a_misp_event_again(client: Client) -> None:
    import json

    from pymisp import MISPEvent

    sample = Path("connectors/samples/phishing.json")
    done = client.ingest(sample, wait=60)
    assert (done.state, done.balanced) == ("finished", True)

    event = MISPEvent()
    event.load(json.loads(b"".join(client.export("indicator", "misp"))))

    came = json.loads(sample.read_text())
    came = came.get("Event", came)
    uuids = {a["uuid"] for a in came["Attribute"]}
    uuids |= {a["uuid"] for o in came.get("Object", []) for a in o["Attribute"]}
    left = {str(a.uuid) for a in event.attributes}
    assert left
    assert left <= uuids


def test_a_given_mapping_is_used_instead_of_a_suggestion(client: Client, feed: Path) -> None:
    mapping = """
    target: indicator
    fields:
      - {field: id, from: indicator, steps: [{step: stix_id}]}
      - {field: value, from: indicator}
      - {field: source, constant: our own feed}
    """
    client.ingest(feed, mapping=mapping, wait=60)

    assert {row["source"] for row in client.records("indicator").rows} == {"our own feed"}


def test_rows_nobody_can_tell_the_meaning_of_ask_for_a_target(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "poem.csv"
    path.write_text("aa,bb\nroses,red\nviolets,blue\n")

    with pytest.raises(MustAct) as refused:
        client.ingest(path, wait=60)

    assert "Name a target model" in refused.value.action
    assert client.runs().runs == []


def test_a_mapping_that_is_no_yaml_is_refused_with_its_line(client: Client, feed: Path) -> None:
    with pytest.raises(MustAct, match="not YAML") as refused:
        client.ingest(feed, mapping="target: [indicator\nfields: }", wait=60)
    assert refused.value.where.startswith("line ")
