"""Where a source stands is told, set with validation and led back, with what will be read again from the books."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import access
from app.cli.cursors import NoCursor, cursor_commands
from app.client import Client
from app.tenant.desk import Desk
from app.wire import Refused

MAPPING = {
    "target": "indicator",
    "fields": [
        {"field": "id", "from": "indicator", "steps": [{"step": "stix_id"}]},
        {"field": "value", "from": "indicator"},
    ],
}


def drop(folder: Path, name: str, begin: int, count: int) -> None:
    path = folder / name
    path.write_text(
        "indicator\n" + "".join(f"10.0.{n >> 8}.{n & 255}\n" for n in range(begin, begin + count))
    )
    os.utime(path, (1_700_000_000 + begin, 1_700_000_000 + begin))


@pytest.fixture
def folder(desk: Desk, client: Client, tmp_path: Path) -> Path:
    """A watched folder with two files, each read by a run of its own."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    desk.settings = desk.settings.model_copy(update={"folders": (str(folder),)})
    drop(folder, "first.csv", 0, 30)
    client.create_source(connector="folder", config={"path": str(folder)}, name="Inbox", id="inbox")
    client.create_pipeline(name="Inbox", id="inbox", source="inbox", mappings=[MAPPING])
    client.start_run("inbox", wait=60)
    drop(folder, "second.csv", 30, 12)
    assert client.start_run("inbox", wait=60).ledger.read == 12
    return folder


def test_a_cursor_is_shown_in_words_with_what_would_be_read_again(client: Client, folder: Path) -> None:
    shown = client.cursor("inbox")

    assert (shown.says, shown.run, shown.moves) == ("2 files read, the newest second.csv.", 2, True)
    assert [(p.run, p.rows, p.runs) for p in shown.points] == [(1, 12, 1), (None, 42, 2)]
    assert shown.points[0].says == "1 file read, the newest first.csv."


def test_a_source_led_back_is_read_again_from_there_and_doubles_nothing(client: Client, folder: Path) -> None:
    back = client.rewind_cursor("inbox", 1, "second file was wrong")
    assert (back.cursor, back.run) == (client.cursor("inbox").cursor, None)
    assert back.says == "1 file read, the newest first.csv."

    again = client.start_run("inbox", wait=60)
    assert (again.ledger.read, again.ledger.unchanged) == (12, 12)

    client.rewind_cursor("inbox")
    assert client.cursor("inbox").cursor is None
    whole = client.start_run("inbox", wait=60)
    assert (whole.ledger.read, whole.ledger.unchanged, whole.ledger.inserted) == (42, 42, 0)


def test_a_cursor_set_by_hand_must_be_one_the_source_could_have_given(client: Client, folder: Path) -> None:
    now = client.cursor("inbox").cursor
    assert client.try_cursor("inbox", {"files": "none"}).doubt == "files does not name its entries"
    with pytest.raises(Refused, match="could not have given"):
        client.set_cursor("inbox", {"files": {}, "more": 1})
    assert client.cursor("inbox").cursor == now

    files = {name: entry for name, entry in now["files"].items() if name == "second.csv"}
    assert client.try_cursor("inbox", {"files": files}).doubt == ""
    client.set_cursor("inbox", {"files": files})
    assert client.start_run("inbox", wait=60).ledger.read == 30


def test_every_change_of_a_cursor_is_in_the_journal_with_both_and_the_reason(
    client: Client, folder: Path
) -> None:
    before = client.cursor("inbox").cursor
    client.rewind_cursor("inbox", None, "read all anew")
    (event,) = client.audit(action="cursor.rewound").events
    told = client.audit_event(event.seq)
    assert event.who == "ana"
    assert "read all anew" in str(told.after)
    assert str(next(iter(before["files"]))) in str(told.before)


def test_an_uploaded_file_has_no_cursor_to_set(client: Client) -> None:
    client.create_source(text="indicator\n10.0.0.1\n10.0.0.2\n", name="pasted", id="pasted")
    client.create_pipeline(name="P", id="p", source="pasted", mappings=[MAPPING])
    shown = client.cursor("p")
    assert (shown.moves, shown.points) == (False, [])
    with pytest.raises(Refused, match="no position"):
        client.set_cursor("p", {"at": 1})


def test_the_command_says_what_will_be_read_again_before_it_does_it(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "tenant", lambda name: nullcontext(client))
    said = CliRunner().invoke(cursor_commands, ["rewind", "inbox", "--run", "1"])
    assert "Rows read since: 12" in said.output
    assert "Nothing was changed" in said.output
    assert client.cursor("inbox").run == 2

    done = CliRunner().invoke(
        cursor_commands, ["rewind", "inbox", "--run", "1", "--yes", "--reason", "again"]
    )
    assert done.exit_code == 0
    assert client.cursor("inbox").says == "1 file read, the newest first.csv."
    refused = CliRunner().invoke(cursor_commands, ["set", "inbox", "{"])
    assert isinstance(refused.exception, NoCursor)
