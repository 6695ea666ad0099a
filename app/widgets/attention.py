"""What a person is told on coming in: what waits, what is due, how fresh the data is, put together from
how the tenant stands and from its schedules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from app.widgets import words

Schedules = list[dict[str, Any]]
# What is done about each kind of need, and on which page.
ACTIONS = {
    "disk": ("See the settings", "settings"), "unbalanced": ("Look", "runs"), "failed": ("Look", "runs"),
    "rejects": ("Repair", "quarantine"), "draft": ("Finish mapping", "mapping"), "unmapped": ("Map", "mapping"),
    "unrun": ("Open", "mapping"), "credential": ("Rotate", "settings"), "drift": ("Follow", "runs"),
}  # fmt: skip
TROUBLE = {
    "failing": "its scheduled runs fail", "missed": "a scheduled run was missed", "late": "a scheduled run is late",
    "closed": "the folder it watches is closed",
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """One thing that waits, with the one next action and where it is done. The tone is bad or wait."""

    title: str
    detail: str
    action: str
    page: str
    tone: str = "wait"
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """A pipeline that is due, and when."""

    at: datetime
    pipeline: str


@dataclass(frozen=True)
class Fresh:
    """How old a pipeline's newest data is, how old it may be, and why that much (both in seconds)."""

    pipeline: str
    name: str
    newest: datetime | None
    age: float | None
    target: float | None
    why: str
    kept: int

    @property
    def share(self) -> float:
        """Age as a share of the target; what has neither comes last."""
        return self.age / self.target if self.age is not None and self.target else 0.0

    @property
    def late(self) -> bool:
        """Whether it is older than it may be."""
        return self.share > 1


def needs(standing: Any, schedules: Schedules, names: dict[str, str]) -> list[Need]:
    """Everything that waits, what is wrong before what only waits."""
    found = [*map(_need, standing.needs), *_of_schedules(schedules, names)]
    return sorted(found, key=lambda need: need.tone != "bad")


def _need(need: Any) -> Need:
    action, page = ACTIONS[need.kind]
    if need.kind == "unmapped" and need.title.endswith("ready to run"):
        action, page = "Run", "sources"
    if need.kind == "unmapped" and need.title.endswith("nothing to map"):
        action, page = "Open", "sources"
    params = {name: getattr(need, name) for name in ("pipeline", "source", "run") if getattr(need, name)}
    if need.kind == "credential":
        params = {"part": "credentials", "credential": need.credential}
    if page == "runs":
        params = {"run": need.run}
    return Need(need.title, need.detail, action, page, "bad" if need.wrong else "wait", params)


def _of_schedules(schedules: Schedules, names: dict[str, str]) -> Iterator[Need]:
    for schedule in schedules:
        stands = schedule["standing"]
        if stands["state"] not in TROUBLE:
            continue
        name = names.get(schedule["pipeline"], schedule["pipeline"])
        since = words.moment(stands["since"])
        told = [f"Since {words.exact(since)}." if since else "", *_why(schedule)]
        title = f"{name}: {TROUBLE[stands['state']]}"
        yield Need(
            title,
            " ".join(filter(None, told)),
            "See the schedule",
            "schedules",
            "bad",
            {"schedule": schedule["id"]},
        )


def _why(schedule: dict[str, Any]) -> Iterator[str]:
    """What the last due time's attempt said."""
    if schedule["standing"]["state"] in ("failing", "missed") and schedule["recent"]:
        yield schedule["recent"][0]["detail"]


def due(schedules: Schedules) -> list[Due]:
    """The next times of all schedules, soonest first."""
    found = [
        Due(at, schedule["pipeline"])
        for schedule in schedules
        if schedule["enabled"]
        for time in schedule["next"][:3]
        if (at := words.moment(time["utc"])) is not None
    ]
    return sorted(found, key=lambda one: one.at)


def freshness(standing: Any, schedules: Schedules, now: datetime | None = None) -> list[Fresh]:
    """Each pipeline's age against its freshness rule, else against the longest gap between its scheduled runs."""
    now = now or datetime.now(UTC)
    every: dict[str, float] = {}
    for schedule in schedules:
        gap = _gap(schedule) if schedule["enabled"] else None
        if gap:
            every[schedule["pipeline"]] = min(gap, every.get(schedule["pipeline"], gap))
    found = []
    for each in standing.freshness:
        newest = words.moment(each.newest)
        target, why = each.within, "its freshness rule"
        if target is None:
            target, why = every.get(each.pipeline), "its schedule's interval"
        age = (now - newest).total_seconds() if newest else None
        told = why if target else "no freshness rule and no schedule"
        found.append(Fresh(each.pipeline, each.name, newest, age, target, told, each.kept))
    return found


def _gap(schedule: dict[str, Any]) -> float | None:
    times = [at for time in schedule["next"] if (at := words.moment(time["utc"])) is not None]
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    return max(gaps, default=None)
