"""Figures and times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

SPANS = ((86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"))


def zone() -> tzinfo:
    """The time zone of the browser."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def count(number: int, thing: str, things: str = "") -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def listed(things: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)


def plain(text: str) -> str:
    """A value inside a label that Streamlit reads as markdown: every sign of it stands for itself."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|~$:<>-])", r"\\\1", text)


def doer(who: str) -> str:
    """Who did something, as a person would say it: an account, a program by its key, or a schedule."""
    kind, _, name = who.partition(":")
    if kind == "key" and name:
        return f"API key {name}"
    return "its schedule" if kind == "schedule" or not who else who


def percent(part: float, whole: float) -> str:
    """A share with just enough digits to be told from nothing and from all."""
    if not whole or not part:
        return "0 %"
    share = 100 * part / whole
    if share < 0.01:
        return "< 0.01 %"
    if share < 1:
        return f"{share:.2f} %"
    return f"{min(share, 99.9) if part < whole else 100:.3g} %"


def size(number: int) -> str:
    """`214.6 MB`."""
    value, units = float(number), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{number:,} bytes" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


def seconds(number: float) -> str:
    """`0.4 s`, `9.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if number < 60:
        return f"{number:.1f} s"
    if number < 3600:
        return f"{int(number // 60)} min {int(number % 60)} s"
    return f"{int(number // 3600)} h {int(number % 3600 // 60)} min"


def spell(number: float) -> str:
    """How long something lasts, in its two largest units: `36 minutes`, `1 hour`, `1 h 21 min`, `1 day 2 h`."""
    left = max(int(number), 0)
    if left < 60:
        return count(left, "second")
    if left < 3600:
        return count(left // 60, "minute")
    if left < 86_400:
        hours, minutes = left // 3600, left % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else count(hours, "hour")
    days, hours = left // 86_400, left % 86_400 // 3600
    return f"{count(days, 'day')} {hours} h" if hours else count(days, "day")


def ago(time: datetime, now: datetime | None = None) -> str:
    """`just now`, `3 minutes ago`, `in 2 hours`."""
    passed = ((now or datetime.now(UTC)) - _aware(time)).total_seconds()
    for span, name in SPANS:
        if abs(passed) >= span:
            told = count(int(abs(passed) // span), name)
            return f"{told} ago" if passed > 0 else f"in {told}"
    return "just now" if passed >= -5 else "in less than a minute"


def exact(time: datetime) -> str:
    """A time to the second, here and in UTC."""
    here, there = _aware(time).astimezone(zone()), _aware(time).astimezone(UTC)
    local = f"{here:%-d %b %Y %H:%M:%S} {here.tzname()}"
    return local if here.utcoffset() == timedelta(0) else f"{local} ({there:%-d %b %H:%M:%S} UTC)"


def moment(time: datetime | str | None) -> datetime | None:
    """A time that came over the wire, aware of its zone."""
    if not time:
        return None
    return _aware(datetime.fromisoformat(time) if isinstance(time, str) else time)


def when(time: datetime | str | None, none: str = "never") -> str:
    """HTML: the time in words, the exact one on hover."""
    found = moment(time)
    if found is None:
        return escape(none)
    return f'<time datetime="{found.isoformat()}" title="{escape(exact(found))}">{escape(ago(found))}</time>'


def _aware(time: datetime) -> datetime:
    """What comes without a zone is UTC, as the store keeps it."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
