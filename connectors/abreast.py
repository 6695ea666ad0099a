"""Ranges of one read, taken on several connections at once and handed over in their order.

One thread asks where the ranges end; each reader takes the next range as soon as it has done with its last. What is
read ahead waits for its turn, some megabytes of it and no more, whatever the size of a range.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import BinaryIO, Generic, TypeVar

from connectors.pieces import stream_of
from engine.ports import Cursor

RangeT = TypeVar("RangeT")
AfterT = TypeVar("AfterT")
# Bytes that may be read ahead of their turn, and how many of the range whose turn it is may wait in any case.
WAITING, AT_HAND = 32 << 20, 1 << 20
_BLOCK = 1 << 18
# Groups of ranges that are found out ahead.
_KNOWN = 2
# A range as a stream; only the first of a group begins with what heads its rows.
Take = Callable[[RangeT, bool], BinaryIO]
# A connection of a reader's own.
Reader = Callable[[], AbstractContextManager[Take[RangeT]]]


def grouped(
    ranges: Iterator[tuple[RangeT, AfterT]], size: int
) -> Iterator[tuple[tuple[RangeT, ...], AfterT]]:
    """So many ranges at a time, with what comes after the last of them."""
    held: tuple[RangeT, ...] = ()
    for one, after in ranges:
        held = (*held, one)
        if len(held) == size:
            yield held, after
            held = ()
    if held:
        yield held, after


@contextmanager
def ahead(
    groups: Iterator[tuple[Sequence[RangeT] | None, Cursor | None]], opened: Reader[RangeT], readers: int
) -> Iterator[Iterator[tuple[list[Part] | None, Cursor | None]]]:
    """Each group of ranges as it is read ahead, with the cursor after it; a group that is None is nobody's to read."""
    with ExitStack() as connections:
        desk = _Desk(opened, readers, connections)
        try:
            yield desk.groups(groups)
        finally:
            desk.close()


def joined(group: Sequence[Part]) -> BinaryIO:
    """A group as one stream. An error of a reader is raised where its range would go on."""
    waiting = deque(group)

    def following() -> bytes:
        while waiting:
            if block := waiting[0].take():
                return block
            waiting.popleft()
        return b""

    return stream_of(following)


class _Desk(Generic[RangeT]):
    """Who reads, what waits, and whose turn it is."""

    def __init__(self, opened: Reader[RangeT], readers: int, connections: ExitStack) -> None:
        self._opened, self._connections, self._number = opened, connections, readers
        self._planner = ThreadPoolExecutor(1, "ranges")
        self._readers = ThreadPoolExecutor(readers, "reader")
        self._idle: list[Take[RangeT]] = []
        self.changed = threading.Condition()
        self.waiting = 0
        self.turn: Part | None = None
        self.closed = False

    def groups(
        self, groups: Iterator[tuple[Sequence[RangeT] | None, Cursor | None]]
    ) -> Iterator[tuple[list[Part] | None, Cursor | None]]:
        def find() -> tuple[list[Part] | None, Cursor | None] | None:
            group = next(groups, None)
            if group is None:
                return None
            ranges, after = group
            if ranges is None:
                return None, after
            # All at once, so that what they see of a database is as close together as can be.
            while self._number:
                self._number -= 1
                self._readers.submit(lambda: self._idle.append(self._open()))
            return [self._begun(each, number == 0) for number, each in enumerate(ranges)], after

        finding = deque(self._planner.submit(find) for _ in range(_KNOWN))
        while (found := finding.popleft().result()) is not None:
            finding.append(self._planner.submit(find))
            yield found

    def close(self) -> None:
        """Let every reader end, and wait until it has."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self._planner.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)

    def _begun(self, range: RangeT, first: bool) -> Part:
        part = Part(self)
        part.reading = self._readers.submit(self._read, part, range, first)
        part.reading.add_done_callback(part.ended)
        return part

    def _open(self) -> Take[RangeT]:
        return self._connections.enter_context(self._opened())

    def _read(self, part: Part, range: RangeT, first: bool) -> None:
        with self.changed:
            take = self._idle.pop() if self._idle else None
        # Where none could be opened before, whoever wants this range is told why, if it is so still.
        take = take or self._open()
        stream = take(range, first)
        while block := stream.read(_BLOCK):
            if not part.put(block):
                return
        self._idle.append(take)


class Part:
    """A range that is read by one thread and taken by another."""

    def __init__(self, desk: _Desk[RangeT]) -> None:
        self._desk, self._blocks, self._size = desk, deque[bytes](), 0
        self.reading: Future[None] = Future()

    def put(self, block: bytes) -> bool:
        """Wait for room and add to what waits; False where nobody wants any more."""
        desk = self._desk
        with desk.changed:
            desk.changed.wait_for(
                lambda: desk.closed or desk.waiting < WAITING or (desk.turn is self and self._size < AT_HAND)
            )
            if desk.closed:
                return False
            self._blocks.append(block)
            self._size += len(block)
            desk.waiting += len(block)
            desk.changed.notify_all()
            return True

    def take(self) -> bytes:
        """The next bytes; nothing at the end. What went wrong with the range is raised here."""
        desk = self._desk
        with desk.changed:
            desk.turn = self
            desk.changed.notify_all()
            desk.changed.wait_for(lambda: self._blocks or self.reading.done())
            if self._blocks:
                block = self._blocks.popleft()
                self._size -= len(block)
                desk.waiting -= len(block)
                return block
        self.reading.result()
        return b""

    def ended(self, reading: Future[None]) -> None:
        with self._desk.changed:
            self._desk.changed.notify_all()
