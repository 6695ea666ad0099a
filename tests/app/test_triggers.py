"""When schedules are due: crontab's own meaning, daylight saving, and files that settle."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from app.triggers import Arrival, Cron, Interval, Watch, next_time, next_times, opened

BERLIN = "Europe/Berlin"
MADE = datetime(2026, 1, 1, tzinfo=UTC)


def local(expression: str, after: datetime, count: int = 3) -> list[str]:
    times = next_times(Cron(cron=expression), BERLIN, MADE, after, count)
    return [time.astimezone(ZoneInfo(BERLIN)).strftime("%a %d %H:%M") for time in times]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 * * 0", ["Sun 07 09:00", "Sun 14 09:00", "Sun 21 09:00"]),
        ("0 9 * * 7", ["Sun 07 09:00", "Sun 14 09:00", "Sun 21 09:00"]),
        ("0 9 * * 1-5", ["Mon 01 09:00", "Tue 02 09:00", "Wed 03 09:00"]),
        ("0 9 * * fri-sun", ["Fri 05 09:00", "Sat 06 09:00", "Sun 07 09:00"]),
        ("*/20 9 * * *", ["Mon 01 09:00", "Mon 01 09:20", "Mon 01 09:40"]),
        ("0 0 13 * 5", ["Fri 05 00:00", "Fri 12 00:00", "Sat 13 00:00"]),
    ],
)
def test_cron_means_what_crontab_means(expression: str, expected: list[str]) -> None:
    assert local(expression, datetime(2026, 6, 1, tzinfo=UTC)) == expected


def test_a_daily_time_that_the_clock_skips_is_due_an_hour_later() -> None:
    assert local("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == ["Sun 29 03:30", "Mon 30 02:30"]


def test_a_daily_time_that_comes_twice_is_due_once_and_an_hourly_one_twice() -> None:
    evening = datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert local("30 2 * * *", evening, 2) == ["Sun 25 02:30", "Mon 26 02:30"]
    assert local("30 * * * *", evening, 4) == ["Sun 25 00:30", "Sun 25 01:30", "Sun 25 02:30", "Sun 25 02:30"]


@pytest.mark.parametrize("bad", ["", "* * * *", "61 * * * *", "0 0 * * 9", "x * * * *", "0 0 31 2 * *"])
def test_a_cron_line_that_can_not_be_read_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        Cron(cron=bad)


def test_an_interval_keeps_its_beat_however_late_we_look() -> None:
    spec = Interval(seconds=3600)
    assert next_time(spec, "UTC", MADE, MADE) == MADE + timedelta(hours=1)
    assert next_time(spec, "UTC", MADE, MADE + timedelta(hours=5, minutes=20)) == MADE + timedelta(hours=6)


def test_a_file_is_noticed_once_and_only_when_it_has_stopped_growing(tmp_path: Path) -> None:
    watch = Watch(Arrival(folder=tmp_path, pattern="*.csv"), since=0)
    feed = tmp_path / "feed.csv"
    feed.write_text("a")
    (tmp_path / "notes.txt").write_text("no")
    assert watch.look() == []
    feed.write_text("ab")
    assert watch.look() == []
    assert watch.look() == ["feed.csv"]
    assert watch.look() == []
    feed.write_text("abc")
    assert [watch.look(), watch.look()] == [[], ["feed.csv"]]


def test_a_file_moved_in_with_an_old_date_is_still_new(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("a")
    os.utime(feed, (1, 1))
    watch = Watch(Arrival(folder=tmp_path), since=feed.stat().st_ctime - 1)
    assert [watch.look(), watch.look()] == [[], ["feed.csv"]]


def test_a_folder_that_is_gone_has_no_arrivals(tmp_path: Path) -> None:
    assert Watch(Arrival(folder=tmp_path / "gone"), since=0).look() == []


def test_a_folder_is_open_where_it_is_below_an_opened_one_and_a_link_leads_nowhere_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "feeds" / "daily").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "feeds" / "way-out").symlink_to(tmp_path / "other")
    folders = [str(tmp_path / "feeds")]
    assert opened(tmp_path / "feeds" / "daily", folders)
    assert not opened(tmp_path / "other", folders)
    assert not opened(tmp_path / "feeds" / "way-out", folders)
    assert not opened(tmp_path / "feeds", [])
