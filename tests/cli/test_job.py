"""The main job without a browser. The tests go on from each other, as a person's commands do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import ROOT, Spire

SAMPLES = ROOT / "connectors" / "samples"
KEYS = {
    "run", "read", "inserted", "updated", "unchanged", "duplicate", "rejected", "filtered", "balanced",
}  # fmt: skip
CHANGES = ("inserted", "updated", "duplicate")


def test_the_first_command_makes_everything_and_prints_the_ledger(spire: Spire) -> None:
    done = spire("ingest", SAMPLES / "indicators.csv", "--json")

    assert done.code == 0, done.err
    ledger = done.json
    assert set(ledger) == KEYS
    assert ledger["balanced"] is True
    assert ledger["read"] == sum(ledger[name] for name in KEYS - {"run", "read", "balanced"}) > 0
    key = spire.home / "keys" / "root.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert not key.is_relative_to(spire.home / "data")


def test_several_paths_give_a_list_and_formats_that_describe_themselves_need_no_target(spire: Spire) -> None:
    done = spire("ingest", SAMPLES / "campaign.json", SAMPLES / "phishing.json", "--json")

    assert done.code == 0, done.err
    assert [set(ledger) for ledger in done.json] == [KEYS, KEYS]
    assert all(ledger["inserted"] and ledger["balanced"] for ledger in done.json)


def test_a_second_identical_load_changes_nothing(spire: Spire) -> None:
    paths = [SAMPLES / name for name in ("indicators.csv", "campaign.json", "phishing.json")]
    done = spire("ingest", *paths, "--json")

    assert done.code == 0, done.err
    for ledger in done.json:
        assert [ledger[name] for name in CHANGES] == [0, 0, 0]
        assert ledger["unchanged"] + ledger["rejected"] == ledger["read"]


def test_records_are_asked_and_exported(inside: Spire, tmp_path: Path) -> None:
    asked = inside("query", "SELECT count(*) AS n FROM indicator WHERE value_type = 'ipv4'", "--json")
    assert asked.code == 0, asked.err
    assert asked.json["rows"][0][0] > 0

    path = tmp_path / "out.json"
    done = inside("export", "all", "--format", "stix", "--output", path)
    assert done.code == 0, done.err
    came = {o["id"] for o in json.loads((SAMPLES / "campaign.json").read_text())["objects"]}
    left = {o["id"] for o in json.loads(path.read_text())["objects"]}
    assert came <= left


def test_an_undone_run_is_gone_and_the_journal_holds(inside: Spire) -> None:
    undone = inside("undo", "1", "--json")
    assert undone.code == 0, undone.err
    assert undone.json["removed"] > 0
    listed = inside("runs", "--json")
    assert {run["run"]: run["state"] for run in listed.json["runs"]}[1] == "undone"
    verified = inside("audit", "verify", "--json")
    assert verified.code == 0, verified.out
    assert verified.json["tenant"]["events"] > 0


def test_a_mapping_is_suggested_kept_and_used(inside: Spire, tmp_path: Path) -> None:
    suggested = inside("suggest", SAMPLES / "indicators.csv", "--target", "indicator", "--yaml")
    assert suggested.code == 0, suggested.err
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(suggested.out)

    done = inside("ingest", SAMPLES / "indicators.csv", "--mapping", mapping, "--json")

    assert done.code == 0, done.err
    assert done.json["balanced"]


def test_another_root_key_is_refused_by_name_and_harms_nothing(spire: Spire, inside: Spire) -> None:
    other = inside.home / "keys" / "other.key"
    other.write_text("ab" * 32)
    other.chmod(0o600)

    refused = spire("runs", "--json", SPIRE_KEY_FILE=str(other))

    assert refused.code == 1
    told = json.loads(refused.err)["error"]
    assert "root key" in told["title"]
    assert told["action"]
    assert "Traceback" not in refused.err
    missing = inside("runs", "--key-file", inside.home / "keys" / "none.key")
    assert missing.code == 1
    assert "is gone" in missing.err
    assert inside("runs", "--json").code == 0


def test_people_read_tables_with_separators_and_errors_that_say_what_to_do(inside: Spire) -> None:
    shown = inside("runs")
    assert shown.out.splitlines()[0].split()[:3] == ["run", "pipeline", "state"]

    for arguments, word in (
        (("ingest", "no-such-file.csv"), "There is no file to read."),
        (("query", "DELETE FROM indicator"), "This query can't be run here."),
        (("run", "no-such-pipeline"), "There is nothing by that name here."),
        (("runs", "--tenant", "nobody"), "There is no such tenant."),
    ):
        failed = inside(*arguments)
        assert (failed.code, failed.err.splitlines()[0]) == (1, word)
        assert "Traceback" not in failed.err
