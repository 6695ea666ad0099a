"""The promises: the books balance, preview is the run, everything that came in comes out again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.tenant.desk import Desk

BUNDLES = [
    "attack-stix-data/ics-attack-18.1.json",
    "mitre-cti/ics-attack-stix20.json",
    "mitre-cti/capec-stix20.assembled.json",
    "mitre-cti/capec-stix21.assembled.json",
]

MESSY = """# exported by the night shift
Indicator;Type;First seen;Score;TLP;Family
hxxp://evil[.]example/a;url;2026-11-01 10:00;90;TLP:AMBER;AsyncRAT
192.0.2[.]14;ip;2026-11-02 11:30;85;tlp:green;Cobalt Strike
198.51.100.7;ip;2026-11-03;40;TLP:CLEAR;
evil.example;domain;2026-11-04;70
44d88612fea8a8f36de82e1278abb02f;md5;2026-11-05;99;TLP:RED;"Eicar; test"
not an indicator at all;ip;2026-11-06;10;TLP:RED;
198.51.100.7;ip;2026-11-03;40;TLP:CLEAR;
"unterminated;url;2026-11-07;5;TLP:RED;
203.0.113.9;ip;2026-11-08;55;TLP:GREEN;Qakbot
"""


def ingested(client: Client, path: Path, **more: Any) -> Any:
    result = client.ingest(path, wait=60, **more)
    assert result.state == "finished", result.error
    assert result.balanced
    return result


def exported(client: Client) -> list[dict[str, Any]]:
    return list(json.loads(b"".join(client.export("all", format="stix")))["objects"])


def canonical(objects: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(o, sort_keys=True) for o in objects)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_every_stix_object_comes_out_equal_to_what_came_in(
    client: Client, shared_data: Path, bundle: str
) -> None:
    path = shared_data / bundle
    objects = json.loads(path.read_bytes())["objects"]
    result = ingested(client, path)
    assert (result.read, result.rejected, result.filtered) == (len(objects), 0, 0)
    assert canonical(exported(client)) == canonical(objects)
    again = ingested(client, path)
    assert (again.unchanged, again.inserted, again.updated) == (len(objects), 0, 0)


def test_the_order_of_a_bundle_does_not_matter(client: Client, shared_data: Path, tmp_path: Path) -> None:
    bundle = json.loads((shared_data / BUNDLES[0]).read_bytes())
    ingested(client, shared_data / BUNDLES[0])
    shuffled = bundle["objects"][:]
    random.Random(7).shuffle(shuffled)
    path = tmp_path / "shuffled.json"
    path.write_text(json.dumps({"objects": shuffled, "id": bundle["id"], "type": "bundle"}))
    assert ingested(client, path).unchanged == len(shuffled)


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "night.csv"
    path.write_text(MESSY)
    return path


def test_a_messy_csv_loses_no_line_and_a_second_load_changes_nothing(client: Client, messy: Path) -> None:
    first = ingested(client, messy, target="indicator")
    assert first.read == 9
    assert first.rejected >= 3
    assert first.duplicate == 1
    again = ingested(client, messy, target="indicator")
    assert (again.inserted, again.updated) == (0, 0)
    assert again.rejected == first.rejected
    raws = {r.raw for r in client.rejects(run=again.run).rejects}
    assert any(raw.startswith('"unterminated') for raw in raws)
    assert "evil.example;domain;2026-11-04;70" in raws


def test_what_the_preview_shows_is_what_the_run_keeps(client: Client, messy: Path) -> None:
    result = ingested(client, messy, target="indicator")
    pipeline = client.pipeline(result.pipeline)
    shown = client.preview(result.source, pipeline.pipeline.mappings, rows=200)
    kept = client.records("indicator", limit=100).rows
    promised = {row.values["value"] for row in shown.rows if row.outcome in ("good", "warned")}
    assert promised == {row["value"] for row in kept}
    assert shown.rejected <= result.rejected


def test_a_dry_run_promises_the_ledger_that_the_run_then_has(client: Client, messy: Path) -> None:
    result = ingested(client, messy, target="indicator")
    client.undo_run(result.run)
    promised = client.start_run(result.pipeline, dry_run=True, wait=60)
    done = client.start_run(result.pipeline, wait=60)
    assert promised.ledger == done.ledger


def test_shuffled_columns_give_the_same_records(client: Client, messy: Path, tmp_path: Path) -> None:
    ingested(client, messy, target="indicator")
    before = {row["value"] for row in client.records("indicator", limit=100).rows}
    lines = [line.split(";") for line in MESSY.splitlines()[1:] if line.count(";") == 5 and '"' not in line]
    order = [3, 0, 5, 2, 4, 1]
    path = tmp_path / "day.csv"
    path.write_text("\n".join(";".join(line[i] for i in order) for line in lines) + "\n")
    ingested(client, path, target="indicator")
    assert {row["value"] for row in client.records("indicator", limit=100).rows} == before


def test_a_repaired_reject_is_replayed_once_and_the_books_of_the_replay_balance(
    client: Client, messy: Path
) -> None:
    result = ingested(client, messy, target="indicator")
    reject = next(r for r in client.rejects(run=result.run).rejects if r.raw.startswith("not an indicator"))
    client.change_reject(reject.id, text=reject.raw.replace("not an indicator at all", "203.0.113.77"))
    (number,) = client.replay(ids=[reject.id]).runs
    done = client.wait_run(number)
    assert done.state == "finished"
    assert (done.ledger.read, done.ledger.inserted) == (1, 1)
    lineage = client.records("indicator", search="203.0.113.77").rows
    assert [row["_line"] for row in lineage] == [reject.line]
    assert len(client.rejects(run=result.run, state="open").rejects) == result.rejected - 1
    origin = client.lineage("indicator", lineage[0]["_id"]).origin
    assert (origin.reject, origin.payload, origin.raw) == (reject.id, "night.csv", reject.raw)
    assert origin.repaired is not None
    assert "203.0.113.77" in origin.repaired
    again = client.start_run(result.pipeline, wait=60)
    assert again.ledger.rejected == result.rejected
    assert len(client.rejects(state="open").rejects) == result.rejected - 1


def test_nothing_that_was_loaded_stands_in_clear_in_any_file(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    marker = "PLANTEDMARKER"
    rows = "\n".join(f"192.0.2.{i},{marker}-{i},2026-01-01,{marker}" for i in range(200))
    path = tmp_path / "outside.csv"
    path.write_text(f"ip,{marker}_column,first_seen,comment\n{rows}\n{marker} broken line\n")
    result = ingested(client, path, target="indicator")
    assert result.rejected == 1
    client.query(f"SELECT * FROM indicator WHERE description = '{marker}'")
    list(client.export("indicator", format="csv"))
    found = [
        str(p) for p in desk.settings.data_dir.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()
    ]
    assert found == []


def test_a_named_target_takes_any_table_and_quarantines_what_it_cannot_map(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("x,y\n1,2\n3\n6,7\n")
    result = ingested(client, path, target="indicator")
    assert (result.read, result.rejected) == (3, 3)
    assert "nothing was found for id" in result.notes
