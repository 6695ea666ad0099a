"""Ranges read by several at once come in their order, and wait for it in little memory."""

from __future__ import annotations

import io
import threading
from contextlib import nullcontext
from typing import BinaryIO

import pytest

from connectors.abreast import Reader, Take, ahead, grouped, joined
from connectors.database import Broke
from connectors.pieces import stream_of


def opened(take: Take[int]) -> Reader[int]:
    return lambda: nullcontext(take)


def readers() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith(("reader", "ranges"))}


def test_ranges_come_in_their_order_whoever_is_done_first() -> None:
    later = threading.Event()

    def take(number: int, first: bool) -> BinaryIO:
        # The first range comes only after the third has been read.
        if number == 2:
            later.set()
        if number == 0:
            assert later.wait(30)
        return io.BytesIO(b"%d%s " % (number, b"*" if first else b""))

    groups = iter([([0, 1, 2], {"value": "2"}), ([3], {"complete": True})])
    with ahead(groups, opened(take), 2) as found:
        read = [(joined(group or ()).read(), after) for group, after in found]
    assert read == [(b"0* 1 2 ", {"value": "2"}), (b"3* ", {"complete": True})]


def test_what_waits_for_its_turn_is_bounded_whatever_a_range_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.abreast.WAITING", 3 << 20)
    block, size = b"x" * (1 << 18), 40
    given = dict.fromkeys(range(6), 0)

    def take(number: int, first: bool) -> BinaryIO:
        def following() -> bytes:
            given[number] += 1
            return block if given[number] <= size else b""

        return stream_of(following)

    with ahead(iter([(list(given), None)]), opened(take), 3) as found:
        [group, _] = next(found)
        stream = joined(group or ())
        taken = 0
        while data := stream.read(1 << 20):
            taken += len(data)
            # Besides what waits each reader has a piece in its hands, and so does the stream.
            assert sum(map(min, given.values(), [size] * 6)) * len(block) - taken <= (3 << 20) + 12 * (
                1 << 20
            )
    assert taken == 6 * size * len(block)


def test_an_error_is_met_where_its_range_would_go_on_and_nobody_is_left_reading() -> None:
    before = readers()

    def take(number: int, first: bool) -> BinaryIO:
        if number == 1:
            raise Broke("the second range")
        return io.BytesIO(b"zero")

    with ahead(iter([([0, 1, 2], None)]), opened(take), 2) as found:
        [group, _] = next(found)
        stream = joined(group or ())
        assert stream.read(4) == b"zero"
        with pytest.raises(Broke, match="the second range"):
            stream.read()
    assert not readers() - before


def test_readers_that_wait_for_room_go_home_when_nobody_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.abreast.WAITING", 1)
    before, begun = readers(), threading.Semaphore(0)

    def endless(number: int, first: bool) -> BinaryIO:
        begun.release()
        return stream_of(lambda: b"x" * 1000)

    with ahead(iter([([0, 1], None)]), opened(endless), 2) as found:
        next(found)
        assert all(begun.acquire(timeout=30) for _ in range(2))
    assert not readers() - before


def test_ranges_are_grouped_with_what_comes_after_their_last() -> None:
    assert list(grouped(iter([(1, "a"), (2, "b"), (3, "c")]), 2)) == [((1, 2), "b"), ((3,), "c")]
    assert list(grouped(iter([]), 2)) == []
