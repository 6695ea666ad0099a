"""When a schedule is due and what happens otherwise, as fields to fill in, and its next five times."""

from __future__ import annotations

from datetime import UTC, datetime, time
from html import escape
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from app.widgets import words
from app.widgets.clock import next_change
from app.widgets.cron import (
    DAYS,
    EVERY_HOURS,
    EVERY_MINUTES,
    LAST_SURE_DAY,
    Choice,
    Repeat,
    choice_of,
    in_words,
    line_of,
    ordinal,
)  # fmt: skip
from app.widgets.listing import Column, Row, cell, listing

Schedule = dict[str, Any]
TRIGGERS = {"cron": "At set times", "interval": "At an interval", "arrival": "When a file arrives"}
REPEATS: dict[Repeat, str] = {
    "daily": "every day", "weekdays": "every weekday", "weekly": "on some weekdays",
    "monthly": "on a day of the month", "hours": "every so many hours", "minutes": "every so many minutes",
    "own": "as a cron expression",
}  # fmt: skip
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
OVERLAP = {"skip": "Leave the new one out", "queue": "Wait, then run"}
MISSED = {"run_once": "Run once as soon as possible", "skip": "Leave it out"}


def timing(schedule: Schedule) -> dict[str, Any]:
    """When: the trigger, what it needs, and the time zone."""
    triggers = list(TRIGGERS)
    trigger = (
        st.segmented_control(
            "When", triggers, default=schedule["trigger"], format_func=lambda t: TRIGGERS[t], key="s-trigger"
        )
        or schedule["trigger"]
    )
    spec = schedule["spec"] if trigger == schedule["trigger"] else {}
    if trigger == "cron":
        return {"trigger": trigger, "spec": {"cron": set_times(spec)}, "time_zone": zone(schedule)}
    if trigger == "interval":
        one, two = st.columns(2, gap="small")
        seconds = int(spec.get("seconds", 3600))
        unit = next(name for name, size in reversed(UNITS.items()) if seconds % size == 0)
        number = one.number_input(
            "Every", value=max(seconds // UNITS[unit], 1), min_value=1, step=1, key="s-every"
        )
        unit = two.selectbox("Unit", list(UNITS), index=list(UNITS).index(unit), key="s-unit")
        return {"trigger": trigger, "spec": {"seconds": int(number) * UNITS[unit]}, "time_zone": "UTC"}
    one, two = st.columns(2, gap="small")
    folder = one.text_input(
        "Folder", value=spec.get("folder", ""), placeholder="/srv/feeds", key="s-folder",
        help="A folder of the server that the administrator opened with SPIRE_FOLDERS.",
    )  # fmt: skip
    pattern = two.text_input("Files like", value=spec.get("pattern", "*"), key="s-pattern")
    return {"trigger": trigger, "spec": {"folder": folder, "pattern": pattern}, "time_zone": "UTC"}


def set_times(spec: dict[str, Any]) -> str:
    """A crontab line, built in words or typed by who knows it."""
    kept = choice_of(spec.get("cron", "0 6 * * *"))
    repeats = list(REPEATS)
    one, two, three = st.columns(3, gap="small", vertical_alignment="bottom")
    repeat = one.selectbox(
        "Repeat", repeats, index=repeats.index(kept.repeat), format_func=lambda r: REPEATS[r], key="s-repeat"
    )
    if repeat == "own":
        line = two.text_input(
            "Cron expression", value=kept.line or line_of(kept), key="s-cron",
            help="Minute, hour, day, month and weekday, as in crontab(5): 0 6 * * 1-5 is every weekday at 06:00.",
        )  # fmt: skip
        three.html(
            f'<div class="m" style="min-height: 32px">{escape(in_words("cron", {"cron": line}))}</div>'
        )
        return " ".join(line.split())
    every, week, day = 1, kept.week, kept.day
    if repeat in ("minutes", "hours"):
        offered = EVERY_MINUTES if repeat == "minutes" else EVERY_HOURS
        every = two.selectbox(
            "How many", offered, index=offered.index(kept.every) if kept.every in offered else offered.index(1),
            key=f"s-{repeat}", format_func=lambda n: words.count(n, repeat.removesuffix("s")),
        )  # fmt: skip
        if repeat == "minutes":
            return line_of(Choice(repeat, every=every))
        minute = three.number_input("At minute", 0, 59, kept.at.minute, key="s-minute")
        return line_of(Choice(repeat, at=time(0, int(minute)), every=every))
    at = two.time_input("At", kept.at, key="s-at", step=300)
    if repeat == "weekly":
        order = [1, 2, 3, 4, 5, 6, 0]
        week = tuple(
            three.multiselect(
                "On",
                order,
                default=[d for d in order if d in kept.week],
                format_func=lambda d: DAYS[d],
                key="s-week",
            )
        ) or (1,)
    elif repeat == "monthly":
        days = list(range(1, 32))
        day = three.selectbox(
            "On the", days, index=days.index(kept.day), format_func=ordinal, key="s-day",
            help=f"Months that are shorter are left out after the {ordinal(LAST_SURE_DAY)}.",
        )  # fmt: skip
    return line_of(Choice(repeat, at=at or kept.at, week=week, day=day))


def zone(schedule: Schedule) -> str:
    zones = sorted(available_timezones())
    kept = schedule["time_zone"] if schedule["id"] else str(words.zone())
    at = zones.index(kept) if kept in zones else zones.index("UTC")
    return st.selectbox("Time zone", zones, index=at, key="s-zone")


def policy(kept: dict[str, Any]) -> dict[str, Any]:
    """What happens otherwise."""
    one, two = st.columns(2, gap="small", vertical_alignment="bottom")
    overlap = one.selectbox(
        "If the one before still runs", list(OVERLAP), index=list(OVERLAP).index(kept["overlap"]),
        format_func=lambda o: OVERLAP[o], key="s-overlap",
    )  # fmt: skip
    missed = two.selectbox(
        "If a time was missed", list(MISSED), index=list(MISSED).index(kept["missed"]),
        format_func=lambda o: MISSED[o], key="s-missed", help="As while the server was down, by more than a minute.",
    )  # fmt: skip
    retries = one.number_input(
        "Tries after a failure", value=kept["retries"], min_value=0, max_value=20, step=1,
        help="Only where it may pass, such as a source that does not answer.", key="s-retries",
    )  # fmt: skip
    delay = two.number_input(
        "Seconds before the first try", value=kept["retry_delay"], min_value=1, step=10, key="s-delay",
        help="Doubled before each further try, to one hour at most.", disabled=not retries,
    )  # fmt: skip
    return {"overlap": overlap, "missed": missed, "retries": int(retries), "retry_delay": int(delay)}


def due_list(when: dict[str, Any], times: list[dict[str, Any]], none: str) -> None:
    """The next five times: here, in the schedule's own zone where that is another, and in UTC."""
    here, there = words.zone(), ZoneInfo(when["time_zone"])
    own = when["trigger"] == "cron" and str(there) not in (str(here), "UTC")
    found = [utc for time in times if (utc := words.moment(time["utc"])) is not None]
    clock = "%H:%M:%S" if any(utc.second for utc in found) else "%H:%M"

    def spoken(at: datetime) -> str:
        return f"{at:%a %-d %b} {at:{clock}}"

    rows = []
    for place, utc in enumerate(found):
        local, own_time = utc.astimezone(here), utc.astimezone(there)
        changed = place and own_time.utcoffset() != found[place - 1].astimezone(there).utcoffset()
        cells = [cell(spoken(local), tone="b", hint=local.tzname() or "")]
        if own:
            cells.append(cell(spoken(own_time), hint=own_time.tzname() or ""))
        day = "" if utc.date() == local.date() else f"{utc:%a} "
        cells += [
            cell(f"{day}{utc:{clock}}", tone="wait" if changed else "muted", hint=f"{spoken(utc)} UTC"),
            cell(words.ago(utc), tone="muted"),
        ]
        rows.append(Row(str(place), cells, go=False))
    city = str(there).rpartition("/")[2].replace("_", " ")
    heads = [Column("Here"), *([Column(city)] if own else []), Column("UTC"), Column(right=True)]
    listing("Next five times", heads, rows, key="due-list", none=none)
    change = next_change(there, datetime.now(UTC)) if when["trigger"] == "cron" else None
    if change:
        crossed = any(utc >= change.at for utc in found)
        way = "earlier" if change.forward.total_seconds() > 0 else "later"
        text = f"{change.told(there)} in {city}: the same time there, {change.span} {way} in UTC."
        st.html(f'<div class="s {"wt" if crossed else "m"}" style="padding: 8px 12px">{escape(text)}</div>')
