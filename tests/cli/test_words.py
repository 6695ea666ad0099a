"""How commands are understood and how they speak, without starting anything."""

from __future__ import annotations

import pytest

from app.cli import chosen
from app.cli.chosen import BadSetting
from app.cli.words import cell, table


@pytest.fixture(autouse=True)
def _no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "_flags", {})
    chosen.settings.cache_clear()


def test_a_setting_may_stand_anywhere_on_the_line_and_beats_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPIRE_PORT", "9000")
    rest = chosen.take(["--port", "9100", "serve", "--host=127.0.0.2", "--json"])

    assert rest == ["serve", "--json"]
    assert (chosen.settings().port, chosen.settings().host) == (9100, "127.0.0.2")


def test_what_follows_a_double_dash_is_no_setting() -> None:
    assert chosen.take(["query", "--", "--port"]) == ["query", "--", "--port"]


def test_a_bad_setting_names_its_flag_and_its_variable() -> None:
    chosen.take(["--port", "many"])
    with pytest.raises(BadSetting) as refused:
        chosen.settings()
    assert "--port (SPIRE_PORT)" in refused.value.where
    with pytest.raises(BadSetting, match="needs a value"):
        chosen.take(["--port"])


def test_every_setting_has_a_flag_a_variable_and_words() -> None:
    assert all(description for *_, description in chosen.described() if _[0] != "--log-level")


def test_numbers_have_separators_and_stand_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "rows"), [("a", 1234567), ("bb", 5)])
    assert capsys.readouterr().out.splitlines() == ["name       rows", "a     1,234,567", "bb            5"]


def test_a_record_cannot_steer_the_terminal() -> None:
    assert cell("a\x1b[2Jb\r\nc") == "a [2Jb  c"
    assert len(cell("x" * 500)) == 60
