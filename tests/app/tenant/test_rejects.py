"""Rejects are explained, repaired, and only those replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.wire import MustAct


def cause_of(client: Client, rule: str) -> tuple[dict[str, object], list[object]]:
    found = next(c for c in client.causes() if c.rule == rule)
    return {"rule": found.rule, "field": found.field, "reason": found.reason}, list(found.proposals)


def test_a_reject_keeps_its_bytes_line_rule_and_reason(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    word, ragged = sorted(client.rejects().rejects, key=lambda r: r.line)

    assert (word.line, word.rule, word.payload) == (5, "confidence:type", "feed.csv")
    assert word.raw == "198.51.100.9,ip,2024-03-03,high,green,a word for a number"
    assert word.fields["confidence"] == "high"
    assert (ragged.line, ragged.raw, ragged.form) == (6, "192.0.2.44,ip,2024-03-06", "unreadable")
    assert word.run == ragged.run == done.run


def test_causes_come_with_plain_words_and_a_fix_that_was_tried(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    found = {cause.rule: cause for cause in client.causes()}

    assert "can't be read as the type" in found["confidence:type"].explanation
    best = found["confidence:type"].proposals[0]
    assert (best.repairs, best.tried, best.before, best.after) == (1, 1, "high", "85")
    assert found["readable"].proposals[0].fix.kind == "pad"


def test_a_repair_applied_to_all_alike_replays_only_those_and_once(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    cause, proposals = cause_of(client, "readable")

    done = client.repair(cause, proposals[0].fix)  # type: ignore[attr-defined]

    assert (done.repaired, done.left) == (1, 0)
    assert done.ledger is not None
    assert (done.ledger["read"], done.ledger["inserted"], done.ledger["balanced"]) == (1, 1, True)
    assert client.records("indicator", where=["value=192.0.2.44"]).total == 1
    again = client.repair(cause, proposals[0].fix)  # type: ignore[attr-defined]
    assert (again.repaired, again.run) == (0, None)
    assert len(client.rejects().rejects) == 1


def test_a_fix_saved_into_the_mapping_makes_the_next_load_pass(client: Client, feed: Path) -> None:
    first = client.ingest(feed, wait=60)
    cause, proposals = cause_of(client, "confidence:type")

    done = client.repair(cause, proposals[0].fix, save=True)  # type: ignore[attr-defined]

    assert done.pipeline_version == 2
    assert client.records("indicator", where=["confidence=85"]).total == 2
    again = client.start_run(first.pipeline, wait=60)
    assert (again.ledger.unchanged, again.ledger.rejected) == (4, 1)
    undone = client.undo_run(done.run or 0)
    assert undone.removed == 1
    assert [r.state for r in client.rejects(rule="confidence:type", state="any").rejects] == ["open"]


def test_one_reject_is_repaired_by_its_fields_and_keeps_its_original_bytes(
    client: Client, feed: Path
) -> None:
    client.ingest(feed, wait=60)
    reject = client.rejects(rule="confidence:type").rejects[0]

    changed = client.change_reject(reject.id, fields={"confidence": "33"})

    assert changed.raw == reject.raw
    assert changed.fixed is not None
    assert changed.fields["confidence"] == "33"
    done = client.replay()
    assert (done.replayed, done.ledgers[0]["inserted"]) == (1, 1)
    assert client.records("indicator", where=["confidence=33"]).rows[0]["_line"] == 5
    assert client.replay().runs == []
    with pytest.raises(MustAct, match="closed"):
        client.change_reject(reject.id, text="again")


def test_a_value_is_mapped_for_all_alike(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tlp.csv"
    path.write_text(
        "indicator,tlp\n"
        + "".join(f"203.0.113.{n},{'AMBRE' if n in (7, 9) else 'GREEN'}\n" for n in range(40))
    )
    client.ingest(path, wait=60)
    cause, proposals = cause_of(client, "tlp:vocabulary")
    assert proposals[0].fix.values == {"AMBRE": "AMBER"}  # type: ignore[attr-defined]

    done = client.repair(cause, proposals[0].fix)  # type: ignore[attr-defined]

    assert done.repaired == 2
    assert client.records("indicator", where=["tlp=AMBER"]).total == 2
    assert client.pipeline(client.pipelines()[0].pipeline.id).version == 1


def test_dismissed_rejects_stay_in_the_books_and_are_not_replayed(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    cause, _ = cause_of(client, "readable")
    client.repair(cause, {"kind": "dismiss"})

    assert [r.state for r in client.rejects(rule="readable", state="any").rejects] == ["dismissed"]
    assert client.replay(all_open=True).replayed == 1
    assert client.run(1).ledger.rejected == 2


def test_a_line_that_is_no_row_has_no_fields_to_change(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    ragged = client.rejects(rule="readable").rejects[0]
    with pytest.raises(MustAct, match="no fields"):
        client.change_reject(ragged.id, fields={"confidence": "1"})
    fixed = client.change_reject(ragged.id, text="192.0.2.44,ip,2024-03-06,,,")
    assert fixed.fields["indicator"] == "192.0.2.44"
