"""Fetching: a source's payloads are sealed as they come, one ahead of what is read of them, and cut into chunks.

So a run waits for a server and works on what that server sent before at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from typing import BinaryIO, cast

from app.tenant.credential_use import arriving
from app.tenant.desk import Desk, received
from app.tenant.drift import Drifting
from connectors.formats import reader
from engine.model import Shape, Source
from engine.ports import Chunk, Cursor, Payload, Segment
from engine.run import Cancelled, Placed, Progress
from storage import runs
from storage.landing import Landing
from storage.runs import Resume

# Binding a plan costs up to 50 ms a chunk, so chunks are large; three are in memory at a time.
CHUNK_BYTES = 32 << 20
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
) -> Generator[tuple[Segment, Cursor | None]]:
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


@dataclass
class Intake:
    """The segments of a run, sealed as they come, and which cursor each one leads to."""

    desk: Desk
    run: int
    source: Source
    pipeline: str
    shape: Shape
    progress: Progress
    drifting: Drifting | None = None
    reached: dict[tuple[int, int], Cursor] = field(default_factory=dict)
    sealed: list[tuple[Segment, Cursor | None]] | None = None

    def placed(self, resume: Resume) -> Generator[Placed]:
        """Every chunk not yet committed, in order."""
        if self.sealed is not None:
            yield from self._chunked(self.sealed, resume)
            return
        # Closed at once whatever ends this: an error that is still being told would keep it fetching.
        with closing(self._segments()) as segments:
            yield from self._chunked(segments, resume)

    def _chunked(self, segments: Iterable[tuple[Segment, Cursor | None]], resume: Resume) -> Iterator[Placed]:
        for number, (segment, after) in enumerate(segments):
            if self.drifting is not None:
                self.drifting.took(segment)
            yield from self._chunks(number, segment, after, resume.chunks.get(number, 0))

    def look_ahead(self) -> None:
        """Seal all there is and look at it, so that what is found counts before the first row is staged."""
        assert self.drifting is not None  # noqa: S101  there is nobody else to look for
        self.sealed = []
        with closing(self._segments()) as segments:
            for segment, after in segments:
                self.sealed.append((segment, after))
                self.drifting.took(segment)
                with self.desk.landing.open(segment) as stream:
                    for _, chunk in self._read(stream):
                        if self.progress.cancelled.is_set():
                            raise Cancelled()
                        self.drifting.see(chunk)

    def _segments(self) -> Generator[tuple[Segment, Cursor | None]]:
        """What an interrupted run had sealed, then what the source has besides."""
        sealed = runs.segments(self.desk.store.cursor(), self.run)
        yield from sealed
        if self.source.connector == "upload":
            there = received(self.desk, self.source)
            for number in range(len(sealed), len(there)):
                runs.add_segment(self.desk.store, self.run, number, there[number], None)
                yield there[number], None
            return
        if sealed and (sealed[-1][1] is None or "complete" in sealed[-1][1]):
            return  # everything was read: what a connector says after that belongs to the next run
        since = sealed[-1][1] if sealed else runs.cursor_of(self.desk.store.cursor(), self.pipeline)
        yield from self._arriving(since, len(sealed))

    def _arriving(self, since: Cursor | None, first: int) -> Iterator[tuple[Segment, Cursor | None]]:
        """What the source has that is new, each payload sealed as it comes."""
        # What a crash left there is not in the books, and the source may say something else now.
        self.desk.landing.discard(self._place, first)
        payloads = arriving(self.desk, self.source, since, by=self._by)
        return fetched(payloads, self.desk.landing, self._place, first, self._keep, self.progress)

    def _keep(self, number: int, segment: Segment, after: Cursor | None) -> None:
        runs.add_segment(self.desk.store, self.run, number, segment, after)
        told = f"Sealed {segment.name}, {segment.size:,} bytes, as received."
        runs.tell(self.desk.store, self.run, told, self.desk.now())

    @property
    def _place(self) -> str:
        return f"run-{self.run}"

    @property
    def _by(self) -> str:
        """As what it signs in, in audit events."""
        return f"run {self.run}"

    def _chunks(self, number: int, segment: Segment, after: Cursor | None, done: int) -> Iterator[Placed]:
        last = -1
        with self.desk.landing.open(segment) as stream:
            chunks = self._read(stream)
            for i, chunk in chunks if after is None else self._to_the_end(chunks, number, after):
                self.progress.share = stream.tell() / segment.size if segment.size else None
                if i >= done:
                    if self.drifting is not None and self.sealed is None:
                        self.drifting.see(chunk)
                    yield Placed(number, i, chunk)
                last = i
        if last < 0 and after is not None:
            runs.keep_cursor(self.desk.store, self.pipeline, after, self.run, self.desk.now())

    def _read(self, stream: BinaryIO) -> Iterator[tuple[int, Chunk]]:
        chunks = iter(reader(self.shape).read(stream, self.shape, CHUNK_BYTES))
        for i in count():
            with self.progress.timed("read"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield i, chunk

    def _to_the_end(
        self, chunks: Iterator[tuple[int, Chunk]], number: int, after: Cursor
    ) -> Iterator[tuple[int, Chunk]]:
        """The chunks, one read ahead: the cursor commits with the last, which must be known before it leaves."""
        ahead = next(chunks, None)
        while ahead is not None:
            this, ahead = ahead, next(chunks, None)
            if ahead is None:
                self.reached[number, this[0]] = after
            yield this

    def cursor(self, segment: int, chunk: int) -> Cursor | None:
        return self.reached.get((segment, chunk))
