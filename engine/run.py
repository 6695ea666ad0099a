"""The run: chunks are staged in parallel and committed one batch at a time, in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from engine.errors import Stop
from engine.ledger import Ledger
from engine.ports import Chunk

# Under DuckDB's row group of 122,880 rows a commit costs up to half as much again; two are a good batch.
BATCH_ROWS = 245_760
_FEW_ROWS = 100

StagedT = TypeVar("StagedT")


class Cancelled(Stop):
    """The run was cancelled. What it had committed stays, and its books balance up to there."""


class TooManyRejects(Stop):
    """More rows were rejected than this pipeline allows, so the run stopped."""


@dataclass(frozen=True)
class Place:
    """Where a chunk stands: the segment's number in the run, and the chunk's in the segment."""

    segment: int
    number: int


@dataclass(frozen=True)
class Placed(Place):
    """A chunk and where it stands."""

    chunk: Chunk

    @property
    def place(self) -> Place:
        """Where it stands, without the chunk: what waits for its batch need not hold its bytes."""
        return Place(self.segment, self.number)


@dataclass(frozen=True)
class Batch(Generic[StagedT]):
    """Consecutive staged chunks that commit together. `position` counts the rows staged before them."""

    number: int
    position: int
    chunks: tuple[tuple[Place, StagedT], ...]


class RunStore(Protocol[StagedT]):
    """What the run needs of a store. `stage` is called from several threads, `commit` from one at a time."""

    def stage(self, placed: Placed) -> StagedT: ...

    def rows(self, staged: StagedT) -> int: ...

    def commit(self, batch: Batch[StagedT]) -> Ledger: ...


@dataclass
class Progress:
    """How far a run is, for whoever watches: rows so far, what each stage took, and a wish to stop.

    `share` is how much of the payload at hand has been read, 0 to 1; None where nobody says. `read` counts the
    rows that were read, `staged` those that went through the plan. `seconds`
    is the work of a stage, `spans` when it first began and last ended, counted from the run's start:
    stages overlap, and threads work side by side, so neither follows from the other.
    """

    ledger: Ledger = field(default_factory=Ledger)
    read: int = 0
    staged: int = 0
    share: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    begun: float = field(default_factory=time.perf_counter)
    cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + ended - begun
                first = self.spans.get(stage, (begun - self.begun, 0.0))[0]
                self.spans[stage] = (first, ended - self.begun)

    def saw(self, rows: int) -> None:
        with self._lock:
            self.staged += rows


@dataclass(frozen=True)
class Limits:
    """How a run works: rows to a batch, staging threads and what each of them does first, and the share of rejects
    that ends it.
    """

    batch_rows: int = BATCH_ROWS
    workers: int = 2
    error_threshold: float | None = None
    begin: Callable[[], None] = lambda: None


def run(
    chunks: Iterable[Placed],
    store: RunStore[StagedT],
    *,
    progress: Progress,
    limits: Limits = Limits(),
    first_batch: int = 0,
    position: int = 0,
) -> Ledger:
    """Stage every chunk and commit it, in order; returns the ledger of all batches.

    At most `workers` chunks are staged ahead, so memory stays flat whatever the source's size. An
    error ends the run after the last whole batch; the store has that batch, or nothing of it.
    """
    with (
        ThreadPoolExecutor(limits.workers, "stage", limits.begin) as stagers,
        ThreadPoolExecutor(1, "commit") as committer,
    ):
        books = _Books(store, committer, progress, limits, first_batch, position)
        waiting: deque[tuple[Place, int, Future[StagedT]]] = deque()
        try:
            for placed in chunks:
                _go_on(progress)
                progress.read += placed.chunk.read
                staging = stagers.submit(_stage, store, placed, progress)
                waiting.append((placed.place, placed.chunk.read, staging))
                del placed
                if len(waiting) > limits.workers:
                    books.take(*waiting.popleft())
            while waiting:
                _go_on(progress)
                books.take(*waiting.popleft())
            return books.close()
        except BaseException:
            for *_, future in waiting:
                future.cancel()
            books.abandon()
            raise


class _Books(Generic[StagedT]):
    """Gathers staged chunks into batches and hands them to the committing thread, one ahead at most."""

    def __init__(
        self,
        store: RunStore[StagedT],
        committer: ThreadPoolExecutor,
        progress: Progress,
        limits: Limits,
        number: int,
        position: int,
    ) -> None:
        self.store, self.committer, self.progress, self.limits = store, committer, progress, limits
        self.number, self.position = number, position
        self.gathered: list[tuple[Place, StagedT]] = []
        self.rows = 0
        self.committing: Future[None] | None = None

    def take(self, place: Place, read: int, staged: Future[StagedT]) -> None:
        done = staged.result()
        self.gathered.append((place, done))
        self.rows += max(self.store.rows(done), read)
        if self.rows >= self.limits.batch_rows:
            self._hand_over()

    def close(self) -> Ledger:
        if self.gathered:
            self._hand_over()
        self._wait()
        # Also where nothing was left to commit: a run may have died between its last batch and its end.
        self._judge()
        return self.progress.ledger.checked()

    def abandon(self) -> None:
        """Let a commit under way end; what is gathered is dropped."""
        if self.committing is not None:
            self.committing.exception()

    def _hand_over(self) -> None:
        self._wait()
        batch = Batch(self.number, self.position, tuple(self.gathered))
        self.number += 1
        self.position += sum(self.store.rows(staged) for _, staged in self.gathered)
        self.gathered, self.rows = [], 0
        self.committing = self.committer.submit(self._commit, batch)

    def _wait(self) -> None:
        if self.committing is not None:
            self.committing.result()
            self.committing = None

    def _commit(self, batch: Batch[StagedT]) -> None:
        with self.progress.timed("commit"):
            self.progress.ledger = self.progress.ledger + self.store.commit(batch).checked()
        self._judge()

    def _judge(self) -> None:
        ledger, threshold = self.progress.ledger, self.limits.error_threshold
        if threshold is not None and ledger.read >= _FEW_ROWS and ledger.rejected > threshold * ledger.read:
            raise TooManyRejects(
                f"{ledger.rejected:,} of the first {ledger.read:,} rows, against {threshold * 100:.1f} % allowed.",
                action="Repair the mapping, or raise the pipeline's error threshold.",
            )


def _stage(store: RunStore[StagedT], placed: Placed, progress: Progress) -> StagedT:
    with progress.timed("stage"):
        staged = store.stage(placed)
    progress.saw(placed.chunk.read)
    return staged


def _go_on(progress: Progress) -> None:
    if progress.cancelled.is_set():
        raise Cancelled()
