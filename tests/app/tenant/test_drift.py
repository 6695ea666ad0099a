"""Drift in runs: found, obeyed as the contract says, followed by a patched mapping, and never alarmed about for nothing."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.tenant.desk import Desk
from app.wire import Refused
from tests.app.tenant.conftest import FEED

HEAD = ["indicator", "confidence", "first_seen", "notes"]
MAPPING = {
    "target": "indicator",
    "fields": [
        {"field": "id", "from": "indicator", "steps": [{"step": "stix_id"}]},
        {"field": "value", "from": "indicator"},
        {"field": "confidence", "from": "confidence"},
        {"field": "description", "from": "notes"},
    ],
}


def lines(count: int, begin: int = 0) -> list[dict[str, Any]]:
    r = random.Random(begin)
    return [
        {
            "indicator": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
            "confidence": str(r.randrange(0, 101, 10)),
            "first_seen": f"2026-03-{1 + n % 28:02}T08:00:00Z",
            "notes": f"case {n}" if n % 33 == 0 else "",
        }
        for n in range(begin, begin + count)
    ]


def csv(rows: list[dict[str, Any]], names: list[str] | None = None) -> str:
    names = names or list(rows[0])
    return "\n".join([",".join(names), *(",".join(str(row[n]) for n in names) for row in rows)]) + "\n"


def ndjson(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps({k: v for k, v in row.items() if v != ""}) + "\n" for row in rows)


def piped(client: Client, text: str, name: str = "feed.csv", **more: Any) -> str:
    """A source and a pipeline over it."""
    source = client.create_source(payload=client.paste(text, name).payload, name=name, id="feed")
    made = client.create_pipeline(name="Feed", id="feed", source=source.source.id, mappings=[MAPPING], **more)
    return made.pipeline.id


def later(client: Client, text: str, name: str = "feed.csv") -> Any:
    """The source's next payload, run."""
    client.change_source("feed", payload=client.paste(text, name).payload)
    return client.start_run("feed", wait=60)


def contract(**words: str) -> dict[str, Any]:
    return {"contract": words}


def test_columns_in_another_order_more_rows_and_empty_sparse_ones_are_no_drift(client: Client) -> None:
    piped(client, csv(lines(600)))
    client.start_run("feed", wait=60)
    run = later(client, csv(lines(40, 1), ["notes", "first_seen", "indicator", "confidence"]))

    assert (run.state, run.ledger.rejected, run.drift) == ("finished", 0, None)
    assert client.records("indicator", search="10.0.0.5").rows[0]["value"] == "10.0.0.5"
    assert client.drift("feed") is None


def test_a_renamed_column_is_found_followed_and_accepted_with_the_rejects_replayed(client: Client) -> None:
    piped(client, csv(lines(400)), **contract(vanished_fields="discard row"))
    client.start_run("feed", wait=60)
    found = [{"ioc" if k == "indicator" else k: v for k, v in row.items()} for row in lines(300, 1000)]
    run = later(client, csv(found))

    assert run.ledger.rejected == 300
    assert [(f.kind, f.field, f.to) for f in run.drift.findings] == [("rename", "indicator", "ioc")]
    assert run.drift.findings[0].likelihood > 0.6
    assert {c.reason for c in client.causes(run=run.run, propose=False)} == {
        "indicator is gone from the source"
    }

    patch = client.try_drift("feed", run.run)
    assert (patch.after.good, patch.after.rejected, patch.quarantined, patch.would_pass) == (200, 0, 300, 300)
    assert any("ioc" in change.says for change in patch.changes)
    done = client.accept_drift("feed", run.run, based_on=patch.based_on)

    assert (done.replayed, done.ledger["inserted"], done.ledger["rejected"]) == (300, 300, 0)
    assert client.drift("feed") is None
    assert client.run(run.run).drift.state == "accepted"
    mapped = {f.field: f.source for f in client.pipeline("feed").pipeline.mappings[0].fields}
    assert (mapped["value"], mapped["id"]) == ("ioc", "ioc")
    again = later(client, csv([*found, *found[:1]]))
    assert (again.drift, again.ledger.rejected) == (None, 0)


def test_a_sparse_key_of_a_json_feed_is_gone_only_when_that_can_no_longer_be_chance(client: Client) -> None:
    piped(client, ndjson(lines(3000)), "feed.ndjson")
    client.start_run("feed", wait=60)
    without = [{**row, "notes": ""} for row in lines(9000, 5000)]
    assert later(client, ndjson(without[:200]), "feed.ndjson").drift is None


def test_a_type_that_changed_follows_the_word_of_the_contract(client: Client) -> None:
    piped(client, csv(lines(200)), **contract(type_changes="discard value"))
    client.start_run("feed", wait=60)
    worded = [{**row, "confidence": "high"} for row in lines(100, 2000)]

    left_out = later(client, csv(worded))
    assert (left_out.ledger.inserted, left_out.ledger.rejected) == (100, 0)
    assert [(f.message, f.rows) for f in left_out.findings] == [
        ("confidence is not a whole number, as it was, so it was left out", 100)
    ]
    assert [(f.kind, f.field, f.was, f.now, f.word) for f in left_out.drift.findings] == [
        ("type", "confidence", "integer", "text", "discard value")
    ]
    assert client.records("indicator", search="10.0.7.208").rows[0]["confidence"] is None

    version = client.change_contract("feed", {"type_changes": "discard row"}).version
    assert version == 2
    rejected = later(client, csv(worded[:50] + lines(5, 9000)))
    assert (rejected.ledger.inserted, rejected.ledger.rejected) == (5, 50)
    assert (
        client.causes(run=rejected.run, propose=False)[0].reason
        == "confidence is not a whole number, as it was"
    )


def test_a_new_field_in_a_json_row_follows_the_word_of_the_contract(client: Client) -> None:
    piped(client, ndjson(lines(100)), "feed.ndjson", **contract(new_fields="discard row"))
    client.start_run("feed", wait=60)
    more = lines(50, 3000)
    more[7]["asn"] = 64500

    rejected = later(client, ndjson(more), "feed.ndjson")
    assert (rejected.ledger.inserted, rejected.ledger.rejected) == (49, 1)
    (reject,) = client.rejects(run=rejected.run).rejects
    assert reject.reason == "the row has a field the mapping does not know"
    assert json.loads(reject.raw)["asn"] == 64500

    client.change_contract("feed", {"new_fields": "discard value"})
    counted = later(client, ndjson(more), "feed.ndjson")
    assert counted.ledger.rejected == 0
    assert [(f.severity, f.rows) for f in counted.findings] == [("warn", 1)]

    client.change_contract("feed", {"new_fields": "freeze"})
    stopped = later(client, ndjson(more), "feed.ndjson")
    assert (stopped.state, stopped.ledger.inserted) == ("failed", 0)


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("new_fields", lambda row: {**row, "asn": "64500"}),
        ("type_changes", lambda row: {**row, "confidence": "high"}),
        ("vanished_fields", lambda row: {k: v for k, v in row.items() if k != "notes"}),
    ],
)
def test_freeze_stops_a_run_and_a_dry_run_and_a_preview_before_anything_is_kept(
    client: Client, word: str, change: Any
) -> None:
    piped(client, csv(lines(200)), **contract(**{word: "freeze"}))
    client.start_run("feed", wait=60)
    before = client.record_counts()

    stopped = later(client, csv([change(row) for row in lines(100, 4000)]))

    assert (stopped.state, stopped.ledger.read, stopped.written) == ("failed", 0, [])
    assert "contract says to stop" in stopped.error["title"]
    assert stopped.drift.froze
    assert stopped.drift.findings[0].says in stopped.error["where"]
    assert client.record_counts() == before
    dry = client.start_run("feed", dry_run=True)
    assert (dry.state, dry.error["title"]) == ("failed", stopped.error["title"])
    with pytest.raises(Refused, match="contract says to stop"):
        client.preview("feed", [MAPPING], pipeline="feed")
    client.accept_drift("feed", stopped.run)
    assert client.start_run("feed", wait=60).state == "finished"


def test_a_preview_under_a_contract_is_what_the_run_does(client: Client) -> None:
    rows = lines(300)
    piped(client, csv(rows), **contract(type_changes="discard row"))
    client.start_run("feed", wait=60)
    odd = [{**row, "confidence": "high" if n % 3 else "50"} for n, row in enumerate(lines(90, 6000))]
    client.change_source("feed", payload=client.paste(csv(odd), "feed.csv").payload)

    shown = client.preview("feed", [MAPPING], 5000, pipeline="feed")
    dry = client.start_run("feed", dry_run=True)
    run = client.start_run("feed", wait=60)

    assert (shown.good, shown.rejected) == (30, 60)
    assert (
        (run.ledger.inserted, run.ledger.rejected) == (dry.ledger.inserted, dry.ledger.rejected) == (30, 60)
    )


def test_rows_of_a_file_with_a_header_of_its_own_are_repaired_by_its_columns(client: Client) -> None:
    piped(client, csv(lines(50)))
    client.start_run("feed", wait=60)
    names = ["extra", "confidence", "notes", "indicator", "first_seen"]
    rows = [{**row, "extra": f"e{n}"} for n, row in enumerate(lines(20, 7000))]
    rows[3]["confidence"] = "many"
    source = client.source("feed").source
    run = later(client, csv(rows, names))
    assert run.ledger.rejected == 1

    # As a connector's source: its shape is still the one of the first file.
    client.change_source(
        "feed", config={"upload": client.source("feed").source.config["upload"]}, format="csv"
    )
    (reject,) = client.rejects(run=run.run).rejects
    assert (reject.fields["indicator"], reject.fields["confidence"]) == (rows[3]["indicator"], "many")
    assert source.shape.fields != client.source("feed").source.shape.fields
    client.change_reject(reject.id, fields={"confidence": "70"})
    assert client.replay().ledgers[0]["inserted"] == 1
    assert client.records("indicator", search=rows[3]["indicator"]).rows[0]["confidence"] == 70


def test_a_new_field_that_can_feed_the_target_is_suggested_in_the_patch(client: Client) -> None:
    rows = [{k: v for k, v in row.items() if k != "confidence"} for row in lines(200)]
    source = client.create_source(payload=client.paste(csv(rows), "feed.csv").payload, name="feed", id="feed")
    mapping = {**MAPPING, "fields": [f for f in MAPPING["fields"] if f["field"] != "confidence"]}
    client.create_pipeline(name="Feed", id="feed", source=source.source.id, mappings=[mapping])
    client.start_run("feed", wait=60)
    run = later(client, csv(lines(200, 8000)))

    assert [(f.kind, f.field) for f in run.drift.findings] == [("new", "confidence")]
    patch = client.try_drift("feed", run.run)
    assert {f.field: f.source for f in patch.mappings[0].fields}["confidence"] == "confidence"
    assert patch.after.rows[0].values["confidence"] is not None


def test_what_is_dismissed_is_not_told_again_and_both_answers_are_in_the_journal(client: Client) -> None:
    piped(client, csv(lines(200)))
    client.start_run("feed", wait=60)
    wider = [{**row, "asn": "64500"} for row in lines(100, 9000)]
    run = later(client, csv(wider))
    client.dismiss_drift("feed", run.run)

    assert later(client, csv(wider + lines(0) + [{**wider[0], "asn": "1"}])).drift is None
    with pytest.raises(Refused, match="answered already"):
        client.accept_drift("feed", run.run)
    told = [event.action for event in client.audit(object="feed").events]
    assert "drift.found" in told
    assert "drift.dismissed" in told


def test_an_accepted_patch_that_was_made_from_an_older_version_is_refused(client: Client) -> None:
    piped(client, csv(lines(200)))
    client.start_run("feed", wait=60)
    run = later(client, csv([{**row, "asn": "64500"} for row in lines(100, 9000)]))
    client.change_contract("feed", {"type_changes": "discard row"})
    with pytest.raises(Refused, match="at version 2"):
        client.accept_drift("feed", run.run, based_on=1)


def test_a_vanished_field_is_dropped_where_it_may_be_and_named_where_it_may_not(client: Client) -> None:
    piped(client, csv(lines(200)))
    client.start_run("feed", wait=60)
    run = later(client, csv([{k: row[k] for k in ("indicator", "first_seen")} for row in lines(60, 100)]))

    assert {(f.kind, f.field, f.read) for f in run.drift.findings} == {
        ("vanished", "confidence", True),
        ("vanished", "notes", True),
    }
    done = client.accept_drift("feed", run.run)
    kept = {f.field for f in client.pipeline("feed", done.version).pipeline.mappings[0].fields}
    assert kept == {"id", "value"}


def test_a_run_of_the_first_file_again_finds_nothing(client: Client, desk: Desk, feed: Path) -> None:
    client.ingest(feed, wait=60)
    again = client.ingest(feed, wait=60)
    assert client.run(again.run).drift is None
    assert FEED.startswith("indicator")


def test_a_connectors_later_files_are_read_by_their_own_headers_until_the_mapping_follows(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    desk.settings = desk.settings.model_copy(update={"folders": (str(tmp_path),)})
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def arrives(name: str, text: str) -> Any:
        (inbox / name).write_text(text)
        os.utime(inbox / name, (1_700_000_000, 1_700_000_000))
        return client.start_run("feed", wait=60)

    (inbox / "a.csv").write_text(csv(lines(300)))
    os.utime(inbox / "a.csv", (1_600_000_000, 1_600_000_000))
    client.create_source(connector="folder", config={"path": str(inbox)}, name="Inbox", id="feed")
    client.create_pipeline(name="Feed", id="feed", source="feed", mappings=[MAPPING])
    assert client.start_run("feed", wait=60).ledger.inserted == 300

    shuffled = arrives("b.csv", csv(lines(40, 400), ["notes", "confidence", "first_seen", "indicator"]))
    assert (shuffled.ledger.inserted, shuffled.drift) == (40, None)

    wider = [{"source": "x", **row} for row in lines(60, 500)]
    wider[5]["confidence"] = "many"
    found = arrives("c.csv", csv(wider, ["source", "notes", "confidence", "first_seen", "indicator"]))
    assert (found.ledger.inserted, found.ledger.rejected) == (59, 1)
    assert [(f.kind, f.field) for f in found.drift.findings] == [("new", "source")]
    (reject,) = client.rejects(run=found.run).rejects
    assert reject.fields["indicator"] == wider[5]["indicator"]
    client.change_reject(reject.id, fields={"confidence": "70"})
    assert client.reject(reject.id).fixed.count(",") == 4
    assert client.replay().ledgers[0]["inserted"] == 1
    assert client.records("indicator", search=wider[5]["indicator"]).rows[0]["confidence"] == 70

    client.accept_drift("feed", found.run)
    assert client.source("feed").source.shape.fields[0].name == "source"
    assert (
        arrives(
            "d.csv", csv(lines(10, 900), ["indicator", "confidence", "first_seen", "notes"])
        ).ledger.inserted
        == 10
    )


def test_rows_that_go_to_several_mappings_obey_the_contract_in_each(client: Client) -> None:
    sure = {**MAPPING, "where": "confidence::INT >= 50"}
    source = client.create_source(
        payload=client.paste(ndjson(lines(80)), "f.ndjson").payload, name="f", id="feed"
    )
    words = {"new_fields": "discard row", "type_changes": "discard value"}
    client.create_pipeline(
        name="Feed", id="feed", source=source.source.id, mappings=[sure, MAPPING], contract=words
    )  # fmt: skip
    client.start_run("feed", wait=60)
    more = lines(40, 4000)
    for row in more[:10]:
        row["asn"] = 1
    for row in more[10:15]:
        row["confidence"] = "high"
    shown = later(client, ndjson(more), "f.ndjson")
    assert (shown.ledger.rejected, shown.ledger.inserted) == (10, 30)
    assert sum(f.rows for f in shown.findings if f.severity == "warn") == 5
    tried = client.preview("feed", [sure, MAPPING], 5000, pipeline="feed")
    assert (tried.rejected, tried.good, tried.warned) == (10, 25, 5)


def test_a_newer_file_has_its_card_before_the_next_run_which_then_reads_it_right(client: Client) -> None:
    piped(client, csv(lines(200)))
    client.start_run("feed", wait=60)
    assert client.drift("feed") is None
    found = [{"ioc" if k == "indicator" else k: v for k, v in row.items()} for row in lines(90, 1000)]
    client.change_source("feed", payload=client.paste(csv(found), "feed.csv").payload)

    waiting = client.drift("feed")
    assert [(f.kind, f.field, f.to) for f in waiting.findings] == [("rename", "indicator", "ioc")]
    assert (waiting.run, waiting.looked, waiting.quarantined) == (0, 90, 0)
    patch = client.try_drift("feed", 0)
    assert (patch.after.good, patch.before.rejected) == (90, 90)
    assert client.accept_drift("feed", 0, patch.based_on).run is None

    assert client.drift("feed") is None
    run = client.start_run("feed", wait=60)
    assert (run.ledger.inserted, run.drift) == (90, None)
    with pytest.raises(Refused):
        client.accept_drift("feed", 0)
