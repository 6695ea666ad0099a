"""Tenants, accounts, keys, schedules and the doctor from the command line."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import ROOT, Spire


def test_the_doctor_finds_a_fresh_machine_well(inside: Spire) -> None:
    done = inside("doctor", "--json", "--port", "0")
    assert done.code == 0, done.out
    names = {check["name"] for check in done.json["checks"]}
    assert {"Python", "DuckDB", "root key", "disk", "port", "clock", "workers"} <= names
    assert not (inside.home / "data").exists()


def test_the_doctor_names_a_key_file_that_others_can_read(inside: Spire) -> None:
    key = inside.home / "open.key"
    key.write_text("ab" * 32)
    key.chmod(0o644)
    done = inside("doctor", "--json", "--port", "0", "--key-file", key)
    assert done.code == 1
    (bad,) = [check for check in done.json["checks"] if not check["ok"]]
    assert bad["name"] == "root key"
    assert "chmod 600" in bad["action"]


def test_tenants_are_apart_from_each_other(inside: Spire) -> None:
    assert inside("tenant", "create", "acme", "--json").code == 0
    assert {t["id"] for t in inside("tenant", "list", "--json").json} == {"default", "acme"}
    assert inside("ingest", ROOT / "connectors/samples/campaign.json", "--tenant", "acme", "--json").code == 0
    assert inside("runs", "--tenant", "default", "--json").json["runs"] == []

    kept = inside("tenant", "destroy", "acme", "--confirm", "acne")
    assert kept.code == 1
    assert inside("tenant", "destroy", "acme", "--confirm", "acme").code == 0
    assert "can't be read by anybody" in inside("runs", "--tenant", "acme").err
    assert not (inside.home / "data" / "tenants" / "acme").exists()


def test_an_account_is_made_with_a_password_from_standard_input(inside: Spire) -> None:
    weak = inside("user", "create", "ana", text="short\n")
    assert weak.code == 1
    assert "12 to 512" in weak.err
    made = inside("user", "create", "ana", "--role", "engineer", text="correct horse battery\n")
    assert made.code == 0, made.err
    assert inside("user", "role", "ana", "viewer").code == 0
    (user,) = inside("user", "list", "--json").json
    assert user["tenants"] == {"default": "viewer"}
    events = inside("audit", "list", "--installation", "--json").json
    assert "correct horse" not in str(events)
    assert {"create-user", "change-role"} <= {event["action"] for event in events}


def test_an_api_key_is_shown_once_and_listed_without_its_text(inside: Spire) -> None:
    made = inside("key", "create", "nightly", "--role", "analyst", "--days", "7", "--json").json
    listed = inside("key", "list", "--json")
    assert made["key"].startswith("spire_")
    assert made["key"] not in listed.out
    assert inside("key", "revoke", made["id"]).code == 0
    assert inside("key", "list", "--json").json[0]["revoked"]


def test_a_root_key_is_changed_without_touching_data(inside: Spire) -> None:
    new = inside.home / "keys" / "new.key"
    assert inside("key", "rotate", "--new-key-file", new).code == 0
    assert inside("tenant", "list").code == 1
    assert inside("tenant", "list", "--key-file", new).code == 0
    assert (
        inside("key", "rotate", "--new-key-file", inside.home / "keys" / "root.key", "--key-file", new).code
        == 0
    )


def test_a_schedule_is_kept_for_the_server(inside: Spire, tmp_path: Path) -> None:
    assert inside("ingest", ROOT / "connectors/samples/campaign.json", "--json").code == 0
    made = inside(
        "schedule", "add", "campaign", "--cron", "0 6 * * 1-5", "--time-zone", "Europe/Vienna", "--json"
    )
    assert made.code == 0, made.err
    (listed,) = inside("schedule", "list", "--json").json
    assert len(listed["next"]) == 5
    assert inside("schedule", "add", "campaign", "--cron", "61 * * * *").code == 1
    assert inside("schedule", "add", "nothing", "--every", "60").code == 1
    assert inside("schedule", "remove", made.json["id"]).code == 0
    assert inside("schedule", "list", "--json").json == []
