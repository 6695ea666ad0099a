"""A schedule in words: crontab lines, intervals and file arrivals."""

from __future__ import annotations

from typing import Any

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def in_words(trigger: str, spec: dict[str, Any]) -> str:
    """What a trigger does, as a person would say it."""
    if trigger == "interval":
        return f"every {_span(int(spec['seconds']))}"
    if trigger == "arrival":
        return f"when a file like {spec.get('pattern', '*')} arrives in {spec['folder']}"
    return cron_in_words(str(spec["cron"]))


def cron_in_words(line: str) -> str:
    """A crontab line in words; where it says something unusual, field by field."""
    parts = line.split()
    if len(parts) != 5:
        return line
    minute, hour, day, month, week = parts
    days = _days(day, month, week)
    if minute.isdigit() and hour.isdigit():
        return f"{days} at {int(hour):02}:{int(minute):02}"
    if minute.isdigit() and hour == "*":
        return (
            f"{days}, every hour at minute {int(minute)}"
            if days != "every day"
            else f"every hour at minute {int(minute)}"
        )
    if minute.startswith("*/") and hour == "*":
        every = f"every {int(minute[2:])} minutes"
        return every if days == "every day" else f"{every}, {days}"
    if minute.isdigit() and hour.startswith("*/"):
        every = f"every {int(hour[2:])} hours at minute {int(minute)}"
        return every if days == "every day" else f"{every}, {days}"
    if minute == "*" and hour == "*":
        return "every minute" if days == "every day" else f"every minute, {days}"
    if minute.isdigit() and "," in hour and all(part.isdigit() for part in hour.split(",")):
        return f"{days} at {_and([f'{int(h):02}:{int(minute):02}' for h in hour.split(',')])}"
    return f"{days}; hours {hour}, minutes {minute}"


def _days(day: str, month: str, week: str) -> str:
    when = _month(month)
    if day == "*" and week == "*":
        return f"every day{when}"
    named = _weekdays(week) if week != "*" else ""
    monthly = f"on day {_and(day.split(','))} of the month" if day != "*" else ""
    # crontab(5): where both are given, either makes it due.
    return " or ".join(part for part in (monthly, named) if part) + when


def _weekdays(week: str) -> str:
    if week in ("1-5", "mon-fri"):
        return "Monday to Friday"
    if week in ("0,6", "6,0", "sat,sun"):
        return "at weekends"
    names = []
    for part in week.split(","):
        first, dash, last = part.partition("-")
        names.append(f"{_day(first)} to {_day(last)}" if dash else _day(part))
    return f"every {_and(names)}"


def _day(word: str) -> str:
    if word.isdigit():
        return DAYS[int(word) % 7]
    return next((day for day in DAYS if day.lower().startswith(word.lower()[:3])), word)


def _month(month: str) -> str:
    if month == "*":
        return ""
    names = [
        MONTHS[int(part) - 1] if part.isdigit() and 0 < int(part) <= 12 else part for part in month.split(",")
    ]
    return f" in {_and(names)}"


def _span(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            number = seconds // size
            return name if number == 1 else f"{number} {name}s"
    return f"{seconds} seconds"


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
