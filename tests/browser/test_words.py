"""Schedules and figures in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.widgets.cron import in_words
from app.widgets.words import ago, doer, percent, seconds, size


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 6 * * *", "every day at 06:00"),
        ("30 7 * * 1-5", "every weekday at 07:30"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour at minute 0"),
        ("0 2 * * 0", "every Sunday at 02:00"),
        ("0 6,18 * * *", "every day at 06:00 and 18:00"),
        ("0 3 1 * *", "on the 1st of the month at 03:00"),
        ("0 3 1 * 1", "on the 1st of the month or every Monday at 03:00"),
        ("15 4 * 1,7 *", "every day in January and July at 04:15"),
        ("5 8-10 * * *", "every day; hours 8-10, minutes 5"),
    ],
)
def test_a_crontab_line_is_told_in_words(line: str, told: str) -> None:
    assert in_words("cron", {"cron": line}) == told


def test_who_did_it_is_told_without_what_machines_are_called() -> None:
    told = [doer(who) for who in ("ada", "schedule:f7da85a33e13", "", "key:ogxda7xy")]
    assert told == ["ada", "its schedule", "its schedule", "API key ogxda7xy"]


def test_intervals_and_arrivals_are_told_in_words() -> None:
    assert in_words("interval", {"seconds": 900}) == "every 15 minutes"
    assert in_words("interval", {"seconds": 86_400}) == "every day"
    assert (
        in_words("arrival", {"folder": "/srv", "pattern": "*.csv"})
        == "when a file like *.csv arrives in /srv"
    )


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (9_999, 10_000, "99.9 %"),
        (1, 1_000, "0.10 %"),
        (1, 10**6, "< 0.01 %"),
        (226, 1000, "22.6 %"),
    ],
)
def test_a_share_never_claims_all_or_nothing_where_it_is_not(part: int, whole: int, told: str) -> None:
    assert percent(part, whole) == told


def test_times_and_sizes_are_told_as_people_say_them() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert ago(now - timedelta(minutes=3), now) == "3 minutes ago"
    assert ago(now + timedelta(hours=2), now) == "in 2 hours"
    assert ago(now.replace(tzinfo=None), now) == "just now"
    assert size(214_600_000) == "214.6 MB"
    assert seconds(200) == "3 min 20 s"
