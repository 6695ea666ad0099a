"""A source's payloads are sealed one ahead of what is read of them, and in their order."""

from __future__ import annotations

import io
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.tenant.desk import Desk
from app.tenant.fetching import fetched
from engine.errors import Retry
from engine.ports import Cursor, Payload, Segment
from engine.run import Cancelled, Progress
from storage.landing import Landing


class Source:
    """Some payloads, and how far they were asked for."""

    def __init__(self, payloads: list[Payload | Exception]) -> None:
        self.payloads, self.given, self.closed = payloads, 0, threading.Event()
        self.asked = [threading.Event() for _ in range(len(payloads) + 1)]

    def __call__(self) -> Generator[Payload]:
        try:
            for asked, one in zip(self.asked, self.payloads, strict=False):
                asked.set()
                if isinstance(one, Exception):
                    raise one
                yield one
            self.asked[-1].set()
        finally:
            self.closed.set()


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, bytes(range(32)), "acme")


def pages(count: int) -> list[Payload | Exception]:
    return [Payload(f"page-{n}", io.BytesIO(b"%d" % n), {"page": n}) for n in range(count)]


def fetch(
    source: Source, landing: Landing, progress: Progress, books: list[Any] | None = None
) -> Generator[tuple[Segment, Cursor | None]]:
    kept = books if books is not None else []
    return fetched(source(), landing, "run-1", 0, lambda *entry: kept.append(entry), progress)


def test_the_next_payload_is_sealed_and_entered_while_one_is_worked_on_and_no_further(
    landing: Landing,
) -> None:
    source, books = Source(pages(4)), list[Any]()
    coming = fetch(source, landing, Progress(), books)
    segment, after = next(coming)
    assert (segment.name, after) == ("page-0", {"page": 0})
    assert source.asked[1].wait(10)
    assert not source.asked[2].wait(0.2)
    assert [found[0].name for found in coming] == ["page-1", "page-2", "page-3"]
    assert [(number, segment.name, after) for number, segment, after in books] == [
        (n, f"page-{n}", {"page": n}) for n in range(4)
    ]
    assert landing.segments("run-1") == [segment for _, segment, _ in books]
    assert source.closed.is_set()


def test_an_error_of_the_source_comes_after_everything_before_it(landing: Landing) -> None:
    coming = fetch(Source([*pages(2), Retry("page 2")]), landing, Progress())
    assert [next(coming)[0].name for _ in range(2)] == ["page-0", "page-1"]
    with pytest.raises(Retry, match="page 2"):
        next(coming)


class Endless(io.RawIOBase):
    """A payload that never ends."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.begun.set()
        return bytes(size)


def test_who_wants_no_more_waits_for_no_payload_that_is_under_way(landing: Landing) -> None:
    endless = Endless()
    source = Source([*pages(1), Payload("endless", endless)])  # type: ignore[arg-type]
    coming = fetch(source, landing, Progress())
    next(coming)
    assert endless.begun.wait(10)
    coming.close()
    assert source.closed.is_set()
    assert [segment.name for segment in landing.segments("run-1")] == ["page-0"]


def test_cancelling_ends_a_payload_that_is_under_way(landing: Landing) -> None:
    endless, progress = Endless(), Progress()
    coming = fetch(Source([Payload("endless", endless)]), landing, progress)  # type: ignore[arg-type]
    threading.Timer(0.1, progress.cancelled.set).start()
    with pytest.raises(Cancelled):
        next(coming)
    assert landing.segments("run-1") == []


def test_what_a_crash_sealed_and_did_not_enter_is_fetched_anew(
    client: Client, desk: Desk, feed: Path
) -> None:
    made = client.create_source(connector="paste", config={"text": feed.read_text()}, name="feed.csv")
    suggested = client.suggest(made.source.id, "indicator").suggestions[0]
    saved = client.create_pipeline(name="feed", source=made.source.id, mappings=[suggested.mapping])
    desk.landing.seal(Payload("left", io.BytesIO(b"from before the crash")), "run-1", 0)

    ended = client.wait_run(client.start_run(saved.pipeline.id).run)

    assert (ended.run, ended.state, ended.ledger.read) == (1, "finished", 5)
    assert b"".join(client.run_payload(1, 0)) == feed.read_bytes()
