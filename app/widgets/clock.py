"""When the clocks of a time zone change, and what that does to a time of day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

YEAR = timedelta(days=366)


@dataclass(frozen=True)
class ClockChange:
    """The moment clocks change, and by how much they go forward (negative: back)."""

    at: datetime
    forward: timedelta

    @property
    def span(self) -> str:
        """By how much, whichever way."""
        minutes = abs(int(self.forward.total_seconds() // 60))
        if minutes % 60:
            return f"{minutes} minutes"
        return "1 hour" if minutes == 60 else f"{minutes // 60} hours"

    def told(self, zone: ZoneInfo) -> str:
        """As a person would say it."""
        way = "forward" if self.forward > timedelta() else "back"
        return f"Clocks go {way} {self.span} on {self.at.astimezone(zone):%-d %B %Y}"


def next_change(zone: ZoneInfo, after: datetime, within: timedelta = YEAR) -> ClockChange | None:
    """The next time the clocks of a zone change, to the minute; None where they don't within that span."""
    step, now = timedelta(days=7), after.astimezone(UTC)
    end = now + within
    while now < end:
        later = min(now + step, end)
        if _offset(zone, now) != _offset(zone, later):
            return _between(zone, now, later)
        now = later
    return None


def _between(zone: ZoneInfo, before: datetime, after: datetime) -> ClockChange:
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) / 2
        if _offset(zone, middle) == _offset(zone, before):
            before = middle
        else:
            after = middle
    at = after.replace(second=0, microsecond=0)
    return ClockChange(at, _offset(zone, after) - _offset(zone, before))


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
