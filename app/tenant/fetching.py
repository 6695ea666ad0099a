"""Fetching: a source's payloads are sealed as they come, one ahead of what is read of them.

So a run waits for a server and works on what that server sent before at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import BinaryIO, cast

from engine.ports import Cursor, Payload, Segment
from engine.run import Cancelled, Progress
from storage.landing import Landing

# Enters a sealed payload in the books, with its number and the source's cursor after it.
Keep = Callable[[int, Segment, Cursor | None], None]


@dataclass
class _Watched:
    """A payload's stream, until nobody wants it any more."""

    stream: BinaryIO
    unwanted: Callable[[], bool]

    def read(self, size: int) -> bytes:
        if self.unwanted():
            raise Cancelled()
        return self.stream.read(size)


def fetched(
    payloads: Generator[Payload], landing: Landing, place: str, first: int, keep: Keep, progress: Progress
) -> Iterator[tuple[Segment, Cursor | None]]:
    """Each payload, sealed in `place` as number `first` and on, with the source's cursor after it.

    All of it happens in one thread, also `keep`, which comes right after the seal: what is sealed and not in the
    books would be asked for again after a crash. An error of the source is raised once all before it was given.
    """
    left = threading.Event()

    def fetch(number: int) -> tuple[Segment, Cursor | None] | None:
        with progress.timed("fetch"):
            payload = next(payloads, None)
            if payload is None:
                return None
            watched = _Watched(payload.stream, lambda: left.is_set() or progress.cancelled.is_set())
            segment = landing.seal(replace(payload, stream=cast(BinaryIO, watched)), place, number)
        keep(number, segment, payload.cursor)
        return segment, payload.cursor

    with ThreadPoolExecutor(1, "fetch") as beside:
        try:
            fetching = beside.submit(fetch, first)
            for number in count(first + 1):
                this = fetching.result()
                if this is None:
                    return
                fetching = beside.submit(fetch, number)
                yield this
        finally:
            left.set()
            beside.submit(payloads.close)
