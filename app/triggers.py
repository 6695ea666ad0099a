"""When a schedule is due: cron, interval and file arrival, as values that tell their next times."""

from __future__ import annotations

import fnmatch
import math
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from pydantic import BaseModel, ConfigDict, Field, field_validator

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORTEST = 10
# APScheduler's name of a field of a crontab line, ours, and its least and greatest number.
FIELDS = (
    ("minute", "minute", 0, 59),
    ("hour", "hour", 0, 23),
    ("day", "day", 1, 31),
    ("month", "month", 1, 12),
)


class Spec(BaseModel):
    """Base of the three specs: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cron(Spec):
    """Five fields as in crontab(5): minute, hour, day of month, month, day of week (0 and 7 are Sunday)."""

    cron: str = Field(examples=["0 6 * * 1-5"])

    @field_validator("cron")
    @classmethod
    def _reads(cls, value: str) -> str:
        value = " ".join(value.split())
        cron_trigger(value, UTC)
        return value


class Interval(Spec):
    """Every so many seconds, counted from when the schedule was made."""

    seconds: int = Field(ge=SHORTEST, le=366 * 86400)


class Arrival(Spec):
    """When a file has arrived in a folder and stopped growing."""

    folder: Path
    pattern: str = "*"
    every: int = Field(default=SHORTEST, ge=1, le=3600, description="Seconds between two looks.")

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute() or ".." in value.parts:
            raise ValueError("give the folder's whole path")
        return value


AnySpec = Cron | Interval | Arrival
KINDS: dict[str, type[Cron] | type[Interval] | type[Arrival]] = {
    "cron": Cron,
    "interval": Interval,
    "arrival": Arrival,
}


class Trigger(Protocol):
    """APScheduler's seam, as far as we use it."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None: ...


def _days(words: str) -> str:
    """A day-of-week field in names. APScheduler counts from Monday, crontab from Sunday: numbers would shift."""
    found: set[int] = set()
    for word in words.lower().split(","):
        span, _, step = word.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = 0, 6
        else:
            low = DAYS.index(first) if first in DAYS else int(first)
            high = (DAYS.index(last) if last in DAYS else int(last)) if dash else (6 if step else low)
            high = 7 if dash and high == 0 else high  # fri-sun ends with the week
        if not (0 <= low <= 7 and 0 <= high <= 7) or high < low or (step and int(step) < 1):
            raise ValueError(f"day of week: {word} is not between 0 and 7")
        found |= {day % 7 for day in range(low, high + 1, int(step) if step else 1)}
    return ",".join(DAYS[day] for day in sorted(found))


def cron_trigger(expression: str, zone: tzinfo) -> Trigger:
    """The trigger of a crontab line. Where both day fields are given, either makes it due, as in crontab(5).

    ValueError says which field can't be read.
    """
    parts = expression.split()
    if len(parts) != 5:
        raise ValueError("cron has five fields: minute, hour, day of month, month, day of week")
    minute, hour, day, month, week = parts
    for (name, title, low, high), part in zip(FIELDS, parts, strict=False):
        try:
            CronTrigger(**{name: part}, timezone=zone)
        except ValueError:
            raise ValueError(
                f"the {title} “{part}” can't be read; numbers from {low} to {high} can, lists, spans such as "
                f"{low}-{high}, steps such as */2, and * for each"
            ) from None
    rest = {"minute": minute, "hour": hour, "month": month, "timezone": zone}
    if week == "*":
        return CronTrigger(day=day, **rest)
    try:
        names = _days(week)
    except ValueError:
        raise ValueError(
            f"the weekday “{week}” can't be read; 0 to 7 and mon to sun can, 0 and 7 are Sunday"
        ) from None
    if day == "*":
        return CronTrigger(day_of_week=names, **rest)
    return OrTrigger([CronTrigger(day=day, **rest), CronTrigger(day_of_week=names, **rest)])


def next_time(spec: AnySpec, zone: str, anchor: datetime, after: datetime) -> datetime | None:
    """The first due time later than `after`, in UTC; None for arrivals, which no clock foretells."""
    if isinstance(spec, Interval):
        passed = max(math.floor((after - anchor).total_seconds() / spec.seconds) + 1, 1)
        return (anchor + timedelta(seconds=passed * spec.seconds)).astimezone(UTC)
    if isinstance(spec, Cron):
        trigger, local = cron_trigger(spec.cron, ZoneInfo(zone)), ZoneInfo(zone)
        # APScheduler gives a time at or after `now`, in whole seconds.
        found = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
        # When clocks go back an hour comes twice: "daily at 02:30" is due once, "hourly" both times.
        while found and "*" not in spec.cron.split()[1] and found.astimezone(local).fold:
            found = trigger.get_next_fire_time(None, found.astimezone(UTC) + timedelta(microseconds=1))
        return found.astimezone(UTC) if found else None
    return None


def next_times(
    spec: AnySpec, zone: str, anchor: datetime, after: datetime, count: int = 5
) -> Iterator[datetime]:
    """The next due times in order."""
    for _ in range(count):
        found = next_time(spec, zone, anchor, after)
        if found is None:
            return
        yield found
        after = found


def opened(folder: Path, folders: Sequence[str]) -> bool:
    """Whether a folder is one the administrator opened (SPIRE_FOLDERS), or below one, wherever links lead."""
    try:
        place = folder.resolve()
        return any(place.is_relative_to(Path(one).resolve()) for one in folders)
    except (OSError, RuntimeError):
        return False


@dataclass
class Watch:
    """Notices files that arrived and settled: the same size and time at two looks in a row.

    `since` is the time before which files count as seen, so a restart notices what came meanwhile.
    """

    spec: Arrival
    since: float
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)
    _told: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self) -> list[str]:
        """The names that are new since the last telling and have settled."""
        now: dict[str, tuple[int, int]] = {}
        changed: dict[str, float] = {}
        try:
            with os.scandir(self.spec.folder) as entries:
                for entry in entries:
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode) and fnmatch.fnmatch(entry.name, self.spec.pattern):
                        now[entry.name] = (state.st_size, state.st_mtime_ns)
                        # A file moved in keeps its old mtime; ctime tells when it came here.
                        changed[entry.name] = max(state.st_ctime, state.st_mtime)
        except OSError:
            return []
        settled = [
            name
            for name, mark in now.items()
            if self._last.get(name) == mark and self._told.get(name) != mark and changed[name] > self.since
        ]
        self._last = now
        self._told = {name: mark for name, mark in self._told.items() if name in now}
        self._told |= {name: now[name] for name in settled}
        return sorted(settled)
