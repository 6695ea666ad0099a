"""Crontab lines are built from choices and come back as the same choices; clocks that change are foretold."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.widgets.clock import next_change
from app.widgets.cron import Choice, choice_of, cron_in_words, line_of, ordinal
from app.widgets.difference import differences


@pytest.mark.parametrize(
    ("choice", "line", "told"),
    [
        (Choice("daily", at=time(6, 5)), "5 6 * * *", "every day at 06:05"),
        (Choice("weekdays", at=time(7)), "0 7 * * 1-5", "every weekday at 07:00"),
        (Choice("weekly", at=time(7), week=(1, 4)), "0 7 * * 1,4", "every Monday and Thursday at 07:00"),
        (Choice("monthly", at=time(2, 30), day=22), "30 2 22 * *", "on the 22nd of the month at 02:30"),
        (Choice("minutes", every=15), "*/15 * * * *", "every 15 minutes"),
        (Choice("hours", at=time(0, 10), every=6), "10 */6 * * *", "every 6 hours at minute 10"),
        (Choice("hours", at=time(0, 0)), "0 * * * *", "every hour at minute 0"),
    ],
)
def test_a_choice_is_a_line_and_comes_back(choice: Choice, line: str, told: str) -> None:
    assert line_of(choice) == line
    assert line_of(choice_of(line)) == line
    assert choice_of(line).repeat == choice.repeat
    assert cron_in_words(line) == told


@pytest.mark.parametrize(
    "line", ["0 6 1 1 *", "*/7 * * * *", "0 6 1 * 1", "0 8-10 * * *", "what", "99 99 * * *"]
)
def test_an_unusual_line_is_kept_as_it_is(line: str) -> None:
    assert choice_of(line).repeat == "own" or line == "99 99 * * *"
    assert line_of(choice_of(line)) == line


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("*/25 * * * *", "every hour at minutes 0, 25 and 50"),
        ("5 */9 * * 1", "every Monday at 00:05, 09:05 and 18:05"),
        ("99 99 * * *", "99 99 * * *"),
        ("0 6 32 * *", "0 6 32 * *"),
        ("*/0 * * * *", "*/0 * * * *"),
    ],
)
def test_a_line_is_told_as_it_is_due_and_not_told_where_it_never_is(line: str, told: str) -> None:
    assert cron_in_words(line) == told


def test_ordinals_end_as_they_should() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "31st",
    ]  # fmt: skip


def test_the_next_change_of_clocks_is_found_to_the_minute() -> None:
    change = next_change(ZoneInfo("Europe/Berlin"), datetime(2026, 11, 22, tzinfo=UTC))
    assert change is not None
    assert change.at == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    assert change.forward == timedelta(hours=1)
    assert change.told(ZoneInfo("Europe/Berlin")) == "Clocks go forward 1 hour on 28 March 2027"
    assert next_change(ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_change_is_told_field_by_field_the_changed_first() -> None:
    found = differences(
        '{"a": 1, "b": {"c": [1, 2]}, "gone": true}', '{"a": 1, "b": {"c": [1, 3]}, "new": null}'
    )
    assert [(one.field, one.before, one.after) for one in found] == [
        ("b.c", "1, 2", "1, 3"), ("gone", "yes", None), ("new", None, "none"), ("a", "1", "1"),
    ]  # fmt: skip
    assert [(one.field, one.after) for one in differences("", '"plain"')] == [("value", "plain")]
