"""Following a feed: with each entry that is new or changed comes the page it links to, as its server gave it.

What was read is remembered entry by entry. An entry whose page does not come is told with what the feed says of it,
and once more when the page does come.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from connectors.formats import followed
from connectors.formats.articles import entries
from connectors.formats.followed import Followed, Page
from connectors.formats.markup import Read, main_text
from connectors.linked_pages import LATER, Asking, Link, Missed, link, places
from connectors.marks import mark, packed, unpacked
from connectors.web import Web, shown
from engine.errors import Stop
from engine.ports import Cursor, Payload, Stage

FEED_BYTES = 16 << 20
PAYLOAD_PAGES = 5
PAYLOAD_BYTES = 8 << 20
# How often a page that does not come is asked for, each time in another run.
TRIES = 3
# Entries that left a feed come back where it is served from several places.
REMEMBERED = 10_000


class NoFeed(Stop):
    """What answers at this address is no RSS or Atom feed, so there are no entries to follow."""


@dataclass(frozen=True)
class Linked:
    """An entry by its number, its mark as it is now, and where it leads."""

    number: int
    mark: int
    to: Link


@dataclass
class Standing:
    """What was read before, by marks: all that is done, and pages yet to come with how often they were asked for."""

    done: set[int]
    waiting: dict[int, int]

    @classmethod
    def of(cls, since: Cursor) -> Standing:
        told = since.get("waiting")
        groups = told.items() if isinstance(told, dict) else ()
        return cls(
            unpacked(since.get("known")),
            {seen: int(tries) for tries, marks in groups for seen in unpacked(marks)},
        )

    def settle(self, seen: int, found: Page | Missed) -> None:
        """Enter how asking for a page went."""
        tries = self.waiting.pop(seen, 0)
        if isinstance(found, Missed) and found.again and (not found.asked or tries + 1 < TRIES):
            self.waiting[seen] = tries + found.asked
        else:
            self.done.add(seen)

    def cursor(self, whole: Mapping[str, object]) -> Cursor:
        """Where the next reading begins. Only one with nothing to wait for may be told that nothing changed."""
        if not self.waiting:
            return {"known": packed(self.done), **whole}
        by_tries: dict[str, set[int]] = {}
        for seen, tries in self.waiting.items():
            by_tries.setdefault(str(tries), set()).add(seen)
        waiting = {tries: packed(marks) for tries, marks in by_tries.items()}
        return {"known": packed(self.done), "waiting": waiting}


class Feed(Protocol):
    """Which feed is followed, and how far."""

    url: str
    follow_hosts: list[str]
    follow_most: int
    time_limit: float


def news_only(config: Feed, since: Cursor) -> bool:
    """Whether a feed that has not changed since holds nothing to read."""
    return since.get("asked") == _asked(config)


def read(
    config: Feed, web: Web, feed: bytes, base: str, name: str, since: Cursor, whole: Cursor
) -> Iterator[Payload]:
    """What is new or changed since the cursor, some pages in each payload, and the rest of the entries in the first.

    The feed was found at `base`; `whole` is what its server marks it with. Errors: NoFeed.
    """
    listed = linked(config, feed, base)
    there = {each.mark for each in listed}
    standing = Standing.of(since)
    if len(standing.done) > REMEMBERED:
        standing.done &= there
    standing.waiting = {seen: tries for seen, tries in standing.waiting.items() if seen in there}
    news = {each.mark for each in listed} - standing.done - standing.waiting.keys()
    pages: dict[str, list[Linked]] = {}
    part = _Part(feed, name, 1)
    for each in listed:
        if each.to.url and (each.mark in news or each.mark in standing.waiting):
            pages.setdefault(each.to.url, []).append(each)
        elif each.mark in news:
            part.tell(each, each.to.why)
            standing.done.add(each.mark)
    urls = list(pages)
    for each in (each for url in urls[config.follow_most :] for each in pages[url]):
        standing.waiting.setdefault(each.mark, 0)
        if each.mark in news:
            part.tell(each, LATER)
    asking = _asking(config, web)
    for url in urls[: config.follow_most]:
        if part.full:
            yield part.payload(standing.cursor({}))
            part = _Part(feed, name, part.number + 1)
        found = asking.page(url, [each.number for each in pages[url]])
        if isinstance(found, Page):
            part.pages.append(found)
        for each in pages[url]:
            if each.mark in news or isinstance(found, Page):
                part.tell(each, found.why if isinstance(found, Missed) else "")
        for seen in {each.mark for each in pages[url]}:
            standing.settle(seen, found)
    # Also where nothing is told: how often a page was asked for must not be forgotten.
    if part.told or urls:
        yield part.payload(standing.cursor({**whole, "asked": _asked(config)}))


def check(config: Feed, web: Web, feed: bytes, base: str) -> Iterator[Stage]:
    """What the feed lists and where it leads, and the first of its pages. Errors: NoFeed."""
    listed = linked(config, feed, base)
    lead = [each.to.url for each in listed if each.to.url]
    others = list(dict.fromkeys(each.to.host for each in listed if each.to.host and not each.to.url))
    said = f"{len(listed):,} entries, {len(lead):,} with a page that is followed"
    if others:
        said += f"; others are at {', '.join(others[:5])}"
    name_them = f"Name the hosts to follow, such as {others[0]}." if others else ""
    yield Stage("entries", bool(lead) or not others, said, "" if lead else name_them)
    for url in lead[:1]:
        found = _asking(config, web).page(url, ())
        text = (
            main_text(found.body, found.media_type, found.packing)
            if isinstance(found, Page)
            else Read("", found.why)
        )
        if text.text:
            yield Stage("page", True, f"{len(text.text):,} characters of text at {shown(url)}")
        else:
            advice = "Its entry comes without it. If it goes so with all pages, turn following off."
            yield Stage("page", False, f"{shown(url)}: {text.problem}", advice)


def linked(config: Feed, feed: bytes, base: str) -> list[Linked]:
    """The entries of a feed and where each one leads. Errors: NoFeed."""
    listed = entries(feed)
    if listed is None:
        raise NoFeed(shown(base), action="Give the address of a feed, or turn following off.")
    allowed, found = places(config.url, config.follow_hosts), []
    for entry in listed:
        to = link(entry.link, base, config.url, allowed)
        # A host that is named later on makes its entries new.
        seen = mark(entry.digest + (b"followed" if to.url else b""))
        found.append(Linked(entry.number, seen, to))
    return found


def _asked(config: Feed) -> str:
    """What the source asks for, in short: pages of a host that is named later are there in a feed of before."""
    return f"{mark(orjson.dumps([config.url, sorted(config.follow_hosts)])):016x}"


def _asking(config: Feed, web: Web) -> Asking:
    return Asking(web, places(config.url, config.follow_hosts), time.monotonic() + config.time_limit)


@dataclass
class _Part:
    """A payload in the making: entries that are told with it, their pages, and why others are missed."""

    feed: bytes
    name: str
    number: int
    told: list[int] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    missed: dict[int, str] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        size = sum(len(page.body) for page in self.pages)
        return len(self.pages) >= PAYLOAD_PAGES or size >= PAYLOAD_BYTES

    def tell(self, each: Linked, why: str) -> None:
        self.told.append(each.number)
        if why:
            self.missed[each.number] = why

    def payload(self, cursor: Cursor) -> Payload:
        # The name stands in the run's log, which is where missed pages are looked for.
        told, pages = len(self.told), len(self.pages)
        counts = f"{told:,} {'entry' if told == 1 else 'entries'}, {pages:,} page{'s' if pages != 1 else ''}"
        counts += f", {len(self.missed):,} missed" if self.missed else ""
        body = followed.packed(
            Followed(self.feed, tuple(self.told), tuple(self.pages), self.missed, self.number == 1)
        )
        return Payload(
            f"{self.name} {self.number}: {counts}", io.BytesIO(body), cursor, "application/octet-stream"
        )
