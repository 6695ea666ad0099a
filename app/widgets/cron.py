"""A schedule in words: crontab lines, intervals and file arrivals; and the usual lines as choices."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Literal

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


Repeat = Literal["minutes", "hours", "daily", "weekdays", "weekly", "monthly", "own"]
EVERY_MINUTES = (1, 2, 3, 5, 10, 15, 20, 30)
EVERY_HOURS = (1, 2, 3, 4, 6, 8, 12)
LAST_SURE_DAY = 28
# What the numbers of minute, hour, day, month and weekday can be.
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True)
class Choice:
    """A crontab line as it is chosen: how it repeats, and what that needs. `own` is any other line.

    `week` holds days of the week, 0 is Sunday; hours repeat at `at`'s minute.
    """

    repeat: Repeat
    at: time = time(6, 0)
    every: int = 1
    week: tuple[int, ...] = field(default=(1,))
    day: int = 1
    line: str = ""


def line_of(choice: Choice) -> str:
    """The crontab line of a choice."""
    clock = f"{choice.at.minute} {choice.at.hour}"
    match choice.repeat:
        case "minutes":
            return "* * * * *" if choice.every == 1 else f"*/{choice.every} * * * *"
        case "hours":
            return f"{choice.at.minute} {'*' if choice.every == 1 else f'*/{choice.every}'} * * *"
        case "daily":
            return f"{clock} * * *"
        case "weekdays":
            return f"{clock} * * 1-5"
        case "weekly":
            return f"{clock} * * {','.join(map(str, sorted(choice.week)))}"
        case "monthly":
            return f"{clock} {choice.day} * *"
        case _:
            return choice.line


def choice_of(line: str) -> Choice:
    """A crontab line as a choice: `line_of` gives the same line back."""
    own = Choice("own", line=line)
    parts = line.split()
    if len(parts) != 5:
        return own
    minute, hour, day, _, week = parts
    at = _clock(minute, hour)
    tries = [
        Choice("minutes", every=_step(minute)),
        Choice("hours", at=_clock(minute, "0"), every=_step(hour)),
    ]
    if minute.isdigit() and hour.isdigit():
        tries += [Choice("daily", at=at), Choice("weekdays", at=at)]
        if day.isdigit():
            tries.append(Choice("monthly", at=at, day=int(day)))
        if week != "*" and all(part.isdigit() for part in week.split(",")):
            tries.append(Choice("weekly", at=at, week=tuple(int(part) for part in week.split(","))))
    plain = " ".join(parts)
    offered = {"minutes": EVERY_MINUTES, "hours": EVERY_HOURS}
    for one in tries:
        if line_of(one) == plain and one.every in offered.get(one.repeat, (1,)):
            return one
    return own


def _step(part: str) -> int:
    step = part.removeprefix("*/")
    return int(step) if step.isdigit() else 1


def _clock(minute: str, hour: str) -> time:
    fits = minute.isdigit() and hour.isdigit() and int(minute) < 60 and int(hour) < 24
    return time(int(hour), int(minute)) if fits else time(0, 0)


def ordinal(number: int) -> str:
    """`1st`, `22nd`, `13th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def in_words(trigger: str, spec: dict[str, Any]) -> str:
    """What a trigger does, as a person would say it."""
    if trigger == "interval":
        return f"every {_span(int(spec['seconds']))}"
    if trigger == "arrival":
        return f"when a file like {spec.get('pattern', '*')} arrives in {spec['folder']}"
    return cron_in_words(str(spec["cron"]))


def cron_in_words(line: str) -> str:
    """A crontab line in words; where it says something unusual, field by field; as it is where it says nothing."""
    parts = line.split()
    if len(parts) != 5 or not all(map(_within, parts, BOUNDS)):
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
        step = int(minute[2:])
        every = f"every {step} minutes" if 60 % step == 0 else f"every hour at {_minutes(step)}"
        return every if days == "every day" else f"{every}, {days}"
    if minute.isdigit() and hour.startswith("*/"):
        step = int(hour[2:])
        if 24 % step:
            return f"{days} at {_and([f'{h:02}:{int(minute):02}' for h in range(0, 24, step)])}"
        every = f"every {step} hours at minute {int(minute)}"
        return every if days == "every day" else f"{every}, {days}"
    if minute == "*" and hour == "*":
        return "every minute" if days == "every day" else f"every minute, {days}"
    if minute.isdigit() and "," in hour and all(part.isdigit() for part in hour.split(",")):
        return f"{days} at {_and([f'{int(h):02}:{int(minute):02}' for h in hour.split(',')])}"
    return f"{days}; hours {hour}, minutes {minute}"


def _within(part: str, bounds: tuple[int, int]) -> bool:
    """Whether every number of a field is one it can have; names are left to who reads the line."""
    span, _, step = part.partition("/")
    low, high = bounds
    return (not step or (step.isdigit() and int(step) > 0)) and all(
        low <= int(number) <= high for number in re.findall(r"\d+", span)
    )


def _minutes(step: int) -> str:
    """The minutes a step leads to where it does not fit into an hour: it begins anew with each."""
    found = [str(minute) for minute in range(0, 60, step)]
    return f"minute{'s' if len(found) > 1 else ''} {_and(found)}"


def _days(day: str, month: str, week: str) -> str:
    when = _month(month)
    if day == "*" and week == "*":
        return f"every day{when}"
    named = _weekdays(week) if week != "*" else ""
    monthly = f"on {_month_days(day)} of the month" if day != "*" else ""
    # crontab(5): where both are given, either makes it due.
    return " or ".join(part for part in (monthly, named) if part) + when


def _month_days(day: str) -> str:
    parts = day.split(",")
    if all(part.isdigit() for part in parts):
        return f"the {_and([ordinal(int(part)) for part in parts])}"
    return f"day {_and(parts)}"


def _weekdays(week: str) -> str:
    if week in ("1-5", "mon-fri"):
        return "every weekday"
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
    return "second" if seconds == 1 else f"{seconds} seconds"


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
