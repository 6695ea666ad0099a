"""Going through a MISP instance's events by its search interface, so that none is missed whatever it does meanwhile.

Nothing is promised about the order in which an instance lists events, so the reading asks for one and first looks
whether it is obeyed. Where it is, each page begins at the time the last one reached, so an event that is edited
meanwhile moves to a later page and pushes none out of sight. Where it is not, all pages are gone through until a
pass brings nothing new, and the time reached moves only then.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from connectors.formats.elements import batches
from connectors.formats.limits import NESTING
from connectors.web import Fetched, TooMuch, Web, refuse, shown
from engine.errors import Retry, Stop

PAGE_BYTES = 8 << 20
# One event alone may be larger than a page of several: pages shrink until they fit, and grow again.
EVENT_BYTES = 256 << 20
BLOCK = 1 << 20
PASSES = 20
JSON = {"accept": "application/json", "content-type": "application/json"}
ADDRESS = (
    "Give the address of the instance itself, as it stands in the browser without what follows the host."
)

Item = dict[str, Any]


class NoMisp(Stop):
    """What answers at this address is no MISP instance."""


class NotWhole(Retry):
    """The instance's answer was not whole. We will try again at the next run."""


class Unfollowable(Stop):
    """The instance gives the same page again and again, so what it has beyond is not taken for read."""


class Restless(Retry):
    """The instance changes faster than it can be read through. We will try again at the next run."""


@dataclass(frozen=True)
class Event:
    """One event as it came: what tells it from others and from its other versions, and when it is from."""

    mark: tuple[str, int, int]
    at: int
    raw: bytes


@dataclass(frozen=True)
class Page:
    """The events of one answer that this source takes, and of all in it how many and from when to when."""

    events: tuple[Event, ...]
    count: int
    first: int
    last: int
    now: int


Found = Iterator[tuple[Sequence[Event], int]]


@dataclass
class Search:
    """What to look for at an instance, and by which of an event's times (`field`) to go.

    A page has `most` events, and fewer where they are large. `wanted` says once more which are
    asked for: not every implementation of the interface heeds every filter.
    """

    web: Web
    home: str
    field: str
    query: Item
    wanted: Callable[[Item], bool]
    most: int

    def __post_init__(self) -> None:
        self.size = self.most

    def ask(self, query: Item, most: int) -> Fetched:
        body = orjson.dumps({"returnFormat": "json", **query})
        found = self.web.fetch(f"{self.home}/events/restSearch", JSON, body, most=most)
        refuse(found.status, found.url)
        return found

    def page(self, query: Item) -> Page:
        found = self.ask(query, EVENT_BYTES if query["limit"] == 1 else PAGE_BYTES)
        events, times = list[Event](), list[int]()
        for raw in _elements(found):
            event = _event_of(raw, found)
            at = _seconds(event.get(self.field))
            times.append(at)
            if self.wanted(event):
                mark = (
                    str(event.get("uuid")),
                    _seconds(event.get("timestamp")),
                    _seconds(event.get("publish_timestamp")),
                )
                events.append(Event(mark, at, raw))
        return Page(tuple(events), len(times), min(times, default=0), max(times, default=0), _now(found))

    def obeys_order(self) -> bool:
        """Whether the instance gives events in the order asked for: proven, or taken as not."""
        ends = []
        for direction in ("asc", "desc", "asc"):
            order = {"order": f"Event.{self.field} {direction}", "metadata": True}
            ends.append(self.page({**self.query, **order, "limit": 1, "page": 1}))
        first, last, again = ends
        return first.count == last.count == 1 and first.last == again.last < last.last

    def in_order(self, after: int, begin: float) -> Found:
        """Pages by time, each from the time reached by the one before."""
        seen: set[tuple[str, int, int]] = set()
        order = {"order": f"Event.{self.field} asc"}
        while True:
            try:
                page = self.page({**self.query, **order, **self._from(after), "limit": self.size, "page": 1})
            except TooMuch:
                self._shrink()
                continue
            if not page.count:
                return
            if page.first < after:
                # It heeds the order and not the time: then only going through all of it helps.
                yield from self.in_any_order(after, begin)
                return
            if fresh := [event for event in page.events if event.mark not in seen]:
                seen |= {event.mark for event in fresh}
                yield fresh, min(page.last, page.now)
            if page.last > after:
                after = page.last
                self.size = min(self.most, self.size * 2)
                continue
            # All are of one second: more than a page may share it, and only page numbers lead through those.
            for more, _ in self.in_any_order(after, after, until=after, seen=seen):
                yield more, min(after, page.now)
            after, seen = after + 1, set()

    def in_any_order(
        self,
        after: int,
        begin: float,
        until: int | None = None,
        seen: set[tuple[str, int, int]] | None = None,
    ) -> Found:
        """All pages from a time, gone through until nothing new comes; the time reached moves with the last."""
        seen = set() if seen is None else seen
        held: list[Event] = []
        reached = int(begin)
        window = self._from(after) if until is None else {self.field: [after, until]}
        for _ in range(PASSES):
            known = len(seen)
            for page in self._pass(window):
                fresh = [
                    event
                    for event in page.events
                    if event.mark not in seen and after <= event.at and (until is None or event.at <= until)
                ]
                reached = max([reached, *(min(event.at, page.now) for event in fresh)])
                seen |= {event.mark for event in fresh}
                if fresh and held:
                    yield held, int(begin)
                held = fresh or held
            if len(seen) == known:
                break
        else:
            raise Restless(shown(self.home), action="Narrow what this source takes.")
        if held:
            yield held, reached

    def _from(self, after: int) -> Item:
        return {self.field: after} if after else {}

    def _pass(self, window: Item) -> Iterator[Page]:
        """One going-through of the pages of a window. Where pages get smaller it begins anew."""
        number, before = 1, list[tuple[str, int, int]]()
        while True:
            try:
                page = self.page({**self.query, **window, "limit": self.size, "page": number})
            except TooMuch:
                self._shrink()
                number, before = 1, []
                continue
            marks = [event.mark for event in page.events]
            again = bool(marks) and marks == before
            if not page.count or (again and page.count != self.size):
                return
            if again:
                raise Unfollowable(shown(self.home), action="Tell its operator: `page` is not heeded.")
            yield page
            number, before = number + 1, marks

    def _shrink(self) -> None:
        if self.size == 1:
            raise TooMuch(
                f"{shown(self.home)}: one event has more than {EVENT_BYTES:,} bytes.",
                action="Leave attachments out, or leave that event out by a tag.",
            )
        self.size = max(1, self.size // 4)


def _elements(found: Fetched) -> Iterator[bytes]:
    """The events of an answer, each as its bytes. Raises NotWhole where it broke off, NoMisp where it is none."""
    body = found.body.lstrip()
    listed = body[:1] == b"["
    if not listed and b'"response"' not in body[:4096]:
        raise NoMisp(shown(found.url), action=ADDRESS)
    for batch in batches(io.BytesIO(body), () if listed else ("response",), BLOCK, NESTING, EVENT_BYTES):
        if batch.pieces or batch.bad:
            raise NotWhole(f"{shown(found.url)}: broken JSON.")
        for index in range(len(batch.starts)):
            yield batch.element(index)


def _event_of(raw: bytes, found: Fetched) -> Item:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotWhole(f"{shown(found.url)}: broken JSON.") from error
    event = value.get("Event", value) if isinstance(value, dict) else None
    if not isinstance(event, dict) or not event.get("uuid"):
        raise NoMisp(f"{shown(found.url)}: what it lists are no events.", action=ADDRESS)
    return event


def _seconds(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isdigit() else 0


def _now(found: Fetched) -> int:
    """The instance's clock. A time set by hand may lie ahead of it, and must not hide what comes before that."""
    try:
        return int(parsedate_to_datetime(found.headers.get("date", "")).timestamp())
    except (TypeError, ValueError):
        return int(time.time())
