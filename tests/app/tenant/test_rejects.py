"""Rejects are explained, repaired, and only those replayed."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path

import orjson
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
    assert word.version == ragged.version == 1


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


def test_a_run_that_fails_every_time_leaves_its_rejects_once(client: Client) -> None:
    rows = "".join(f"203.0.113.{n % 250},{'lots' if n % 40 == 3 else n % 100}\n" for n in range(160))
    read = client.create_source(text=f"indicator,confidence\n{rows}", name="Feed").source
    mapping = client.suggest(read.id, target="indicator").suggestions[0].mapping
    made = client.create_pipeline(name="Feed", source=read.id, mappings=[mapping], error_threshold=0.0)
    states = [client.start_run(made.pipeline.id, wait=60).state for _ in range(3)]
    assert states == ["failed"] * 3

    waiting = client.rejects().rejects
    assert len(waiting) == client.run(1).ledger.rejected
    assert {reject.run for reject in waiting} == {3}


def test_a_line_that_is_no_row_has_no_fields_to_change(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    ragged = client.rejects(rule="readable").rejects[0]
    with pytest.raises(MustAct, match="no fields"):
        client.change_reject(ragged.id, fields={"confidence": "1"})
    fixed = client.change_reject(ragged.id, text="192.0.2.44,ip,2024-03-06,,,")
    assert fixed.fields["indicator"] == "192.0.2.44"


def test_a_repair_of_one_row_is_checked_before_it_is_made(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    reject = client.rejects(rule="confidence:type").rejects[0]

    good = client.check_reject(reject.id, fields={"confidence": "33"})
    bad = client.check_reject(reject.id, fields={"confidence": "33", "tlp": "mauve"})
    ragged = client.check_reject(reject.id, text="one,two")

    assert (good.outcome, good.passes) == ("good", good.of)
    assert good.values["confidence"] == 33
    assert (good.before["confidence"], good.after["confidence"]) == ("high", "33")
    assert (bad.outcome, bad.passes) == ("rejected", bad.of - 1)
    assert bad.failed[0]["field"] == "tlp"
    assert ragged.outcome == "unreadable"
    assert client.reject(reject.id).fixed is None


def test_the_failing_cell_is_marked_in_the_row_as_it_came(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text(
        "indicator,notes,confidence\n"
        + "198.51.100.9,fine,70\n" * 40
        + '198.51.100.9,"high, then low",high\n'
    )
    client.ingest(path, wait=60)
    reject = client.rejects(rule="confidence:type").rejects[0]
    assert reject.mark is not None
    assert reject.raw[slice(*reject.mark)] == "high"
    assert reject.mark[1] == len(reject.raw)


def test_the_lines_around_a_reject_come_from_its_sealed_payload(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    reject = client.rejects(rule="readable").rejects[0]
    found = client.around_reject(reject.id, lines=2)
    assert [(each.line, each.mark) for each in found.lines] == [(4, False), (5, False), (6, True)]
    assert found.lines[-1].text == "192.0.2.44,ip,2024-03-06"
    assert found.payload == "feed.csv"


MIXED = "indicator,confidence\n" + "".join(f"203.0.113.{n},{n}\n" for n in range(100)) + "".join(
    f"198.51.100.{n},{value}\n" for n, value in enumerate(["70 %", "80 %", "many", "some", "few", "lots"])
)  # fmt: skip


def test_a_fix_for_some_of_a_cause_says_how_many_and_is_applied_to_those_only(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED)
    client.ingest(path, wait=60)
    cause, proposals = cause_of(client, "confidence:type")
    best = proposals[0]
    assert (best.repairs, best.tried) == (2, 6)  # type: ignore[attr-defined]

    trial = client.try_fix(cause, best.fix)  # type: ignore[attr-defined]
    done = client.repair(cause, best.fix)  # type: ignore[attr-defined]

    assert (trial.repairs, trial.passes, trial.tried, trial.total) == (2, 2, 6, 6)
    assert [row.outcome for row in trial.rows] == ["good"] * 2 + ["rejected"] * 4
    assert (trial.rows[0].before["confidence"], trial.rows[0].values["confidence"]) == ("70 %", 70)
    assert (done.repaired, done.left, done.again) == (2, 4, [])
    assert {r.fixed for r in client.rejects().rejects} == {None}


def test_a_repair_is_taken_back_with_its_replay(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED)
    client.ingest(path, wait=60)
    cause, proposals = cause_of(client, "confidence:type")
    done = client.repair(cause, proposals[0].fix)  # type: ignore[attr-defined]

    back = client.take_back(done.run or 0)

    assert (back.rejects, back.removed) == (2, 2)
    assert [(r.fixed, r.state) for r in client.rejects().rejects] == [(None, "open")] * 6
    assert client.run(done.run or 0).state == "undone"
    with pytest.raises(MustAct, match="nothing to take back"):
        client.take_back(done.run or 0)


def test_a_correction_of_two_cells_is_made_in_every_row_that_held_the_same(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "two.csv"
    path.write_text(
        "indicator,confidence,notes\n"
        + "".join(f"203.0.113.{n},{n},x\n" for n in range(100))
        + "198.51.100.1,lots,ok\n198.51.100.2,lots,ok\n198.51.100.3,lots,other\n"
    )
    client.ingest(path, wait=60)
    cause, _ = cause_of(client, "confidence:type")
    changes = [
        {"field": "confidence", "before": "lots", "after": "100"},
        {"field": "notes", "before": "ok", "after": "seen"},
    ]

    done = client.repair(cause, {"kind": "edit", "changes": changes})

    assert (done.repaired, done.left) == (2, 1)
    assert client.records("indicator", where=["confidence=100"]).total == 2


def test_a_fragment_of_a_line_is_not_filled_up_into_a_row_that_says_nothing(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "fragment.csv"
    path.write_text(
        "indicator,type,first_seen,confidence,tlp\n"
        + "".join(f"203.0.113.{n},ip,2024-03-01,{n},GREEN\n" for n in range(100))
        + "198.51.100.7,ip\n"
    )
    client.ingest(path, wait=60)
    _, proposals = cause_of(client, "readable")
    assert proposals == []


def test_a_dismissal_keeps_its_reason_and_can_be_taken_back(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    reject = client.rejects(rule="readable").rejects[0]

    closed = client.change_reject(reject.id, dismiss=True, reason="a stray footer")

    assert (closed.state, closed.dismissed) == ("dismissed", "a stray footer (ana)")
    assert client.change_reject(reject.id, undo=True).state == "open"


def test_rejects_leave_as_a_file_with_cause_line_and_place_and_it_is_noted_who_took_them(
    client: Client, feed: Path
) -> None:
    feed.write_bytes(feed.read_bytes() + b"=cmd|' /C calc'!A0,ip,2024-03-06\n\xff\xfe,ip\n")
    done = client.ingest(feed, wait=60)

    rows, bare = (
        sorted(
            csv.DictReader(io.StringIO(b"".join(client.export_rejects("csv", guard=guard)).decode())),
            key=lambda row: int(row["line"]),
        )
        for guard in (True, False)
    )
    objects = sorted(
        map(orjson.loads, b"".join(client.export_rejects("ndjson")).splitlines()), key=lambda one: one["line"]
    )

    assert [(row["file"], row["line"], row["run"]) for row in rows] == [
        ("feed.csv", str(line), str(done.run)) for line in (5, 6, 7, 8)
    ]
    assert [one["line"] for one in objects] == [5, 6, 7, 8]
    assert (rows[0]["field"], rows[0]["raw"]) == (
        "confidence", "198.51.100.9,ip,2024-03-03,high,green,a word for a number",
    )  # fmt: skip
    assert "number" in rows[0]["cause"] or "integer" in rows[0]["cause"]
    # A spreadsheet must not run it; another program gets it as it came.
    assert rows[2]["raw"] == "'=cmd|' /C calc'!A0,ip,2024-03-06"
    assert objects[2]["raw"] == "=cmd|' /C calc'!A0,ip,2024-03-06"
    assert bare[2]["raw"] == objects[2]["raw"]
    assert base64.b64decode(objects[3]["raw_base64"]).rstrip(b"\r\n") == b"\xff\xfe,ip"
    assert "raw_base64" not in objects[0]

    told = client.audit(action="rejects.exported").events
    assert {event.who for event in told} == {"ana"}
    assert {orjson.loads(event.after or "")["rejects"] for event in told} == {4}


def test_an_edited_json_row_keeps_the_digits_of_its_numbers(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "feed.ndjson"
    bad = '{"ip":"198.51.100.9","confidence":"many","score":1.50,"more":{"weight":0.12345678901234567890}}'
    good = (f'{{"ip":"192.0.2.{n}","confidence":{n},"score":2.25,"more":{{"weight":1}}}}' for n in range(20))
    path.write_text("\n".join([*good, bad]))
    client.ingest(path, target="indicator", wait=60)
    (reject,) = client.rejects().rejects
    assert reject.fields["score"] == "1.50"

    fixed = client.change_reject(reject.id, fields={"confidence": "70"}).fixed
    assert fixed == bad.replace('"many"', '"70"')
    again = client.change_reject(reject.id, fields={"score": "3.10"}).fixed
    assert again == bad.replace('"many"', '"70"').replace("1.50", "3.10")


def test_only_the_rejects_asked_for_leave(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    again = client.ingest(feed, wait=60)
    cause = next(c for c in client.causes() if c.rule == "readable")

    def exported(**filters: object) -> list[dict[str, object]]:
        return [
            orjson.loads(line) for line in b"".join(client.export_rejects("ndjson", **filters)).splitlines()
        ]

    assert {row["run"] for row in exported(run=again.run)} == {again.run}
    assert [row["rule"] for row in exported(rule=cause.rule, reason=cause.reason)] == [
        "readable"
    ] * cause.rows
    assert exported(pipeline="nothing-of-that-name") == []
    assert len(exported(state="any")) >= len(exported())
    client.change_reject(cause.first, dismiss=True, reason="a footer")
    assert cause.first in [row["id"] for row in exported(state="dismissed")]
    assert cause.first not in [row["id"] for row in exported()]
