"""Audit events on the wire."""

from __future__ import annotations

from dataclasses import fields

from pydantic import AwareDatetime, Field

from app.tenant.schemas import Answer, Request
from storage.audit_search import Search, Summary


class EventView(Answer):
    """An audit event, a link of the tenant's chain. `before` and `after` are JSON text, secrets masked."""

    seq: int
    at: str
    who: str
    action: str
    kind: str
    object: str
    outcome: str
    before: str
    after: str
    hash: str


class EventSearch(Request):
    """Which audit events are asked for; what is left out asks for nothing. `text` may stand anywhere."""

    text: str = Field(default="", max_length=200)
    who: str = Field(default="", max_length=200)
    action: str = Field(default="", max_length=200)
    kind: str = Field(default="", max_length=20)
    object: str = Field(default="", max_length=200, description="Part of the object's name.")
    outcome: str = Field(default="", max_length=20)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(default=None, description="Excluded.")

    def search(self) -> Search:
        """As the store asks."""
        return Search(**{each.name: getattr(self, each.name) for each in fields(Search)})


class EventBar(Answer):
    """A stretch of the time line, an hour or a day of UTC: its events, and those that were not done."""

    start: str
    events: int
    wrong: int


class EventCount(Answer):
    """A value of a field, and how many events have it."""

    value: str
    events: int


class EventSummary(Answer):
    """What a search finds, counted: in all, along time (`step` is hour or day), and by value."""

    total: int
    step: str
    bars: list[EventBar]
    who: list[EventCount]
    action: list[EventCount]
    kind: list[EventCount]
    outcome: list[EventCount]

    @classmethod
    def of(cls, found: Summary) -> EventSummary:
        """On the wire."""
        counted = {
            name: [EventCount(value=value, events=number) for value, number in values]
            for name, values in found.values.items()
        }
        bars = [EventBar(start=bar.start, events=bar.events, wrong=bar.wrong) for bar in found.bars]
        return cls(total=found.total, step=found.step, bars=bars, **counted)


class EventPage(Answer):
    """Audit events, newest first. Ask on with `before` where there are more."""

    events: list[EventView]
    more: bool = False


class Witness(Request):
    """Where the chain was seen before, as kept in another place."""

    count: int = 0
    hash: str | None = None


class VerifyResult(Answer):
    """Whether the chain holds. `broken` is the first event that does not."""

    ok: bool
    count: int
    hash: str
    broken: int | None = None
    reason: str = ""
