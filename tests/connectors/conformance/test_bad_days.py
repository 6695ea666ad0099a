"""Every connector bears a server's bad days: nothing is lost, and whoever waits knows why."""

from __future__ import annotations

import pytest

from connectors import check, payloads_of
from engine.errors import Retry
from engine.ports import Cursor
from tests.connectors.conformance import Impatience, Reading, Serving, every


def _half_way(reading: Reading) -> int:
    """How many bytes of its longest answer a server has given when it is about half through."""
    assert reading.proxy is not None
    reading.proxy.well()
    assert reading.as_far_as_it_goes()[1] is None
    longest = max(reading.proxy.said)
    reading.proxy.well()
    return longest * 6 // 10


def _goes_on(reading: Reading, came: list[tuple[set[str], Cursor | None]]) -> None:
    """With the server well again, the last cursor gives what had not come."""
    assert reading.proxy is not None
    reading.proxy.well()
    before = {id for ids, _ in came for id in ids}
    assert before | reading.records(came[-1][1] if came else None) >= reading.served.records


def _loses_nothing(reading: Reading, came: list[tuple[set[str], Cursor | None]], error: object) -> None:
    """All has come, or the run has ended to be tried again and the next one goes on."""
    if error is None:
        assert {id for ids, _ in came for id in ids} >= reading.served.records
    else:
        assert isinstance(error, Retry)
    _goes_on(reading, came)


@every("tcp", "http")
@pytest.mark.parametrize("begun", [False, True], ids=["at once", "half way"])
def test_a_server_that_falls_silent_ends_the_run_and_the_next_one_goes_on(
    name: str, begun: bool, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        reading.proxy.hang = _half_way(reading) if begun else 0
        reading.proxy.ailing = 1000
        with impatient():
            came, error = reading.as_far_as_it_goes()
        # Once it has begun, a driver may ask again on another connection, where less is said.
        assert begun or error is not None
        _loses_nothing(reading, came, error)


@every("tcp", "http")
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
def test_a_connection_that_breaks_off_loses_nothing(
    name: str, times: int, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        reading.proxy.drop = _half_way(reading)
        reading.proxy.ailing = times
        with impatient():
            came, error = reading.as_far_as_it_goes()
        _loses_nothing(reading, came, error)


@every("tcp", "http")
def test_where_nobody_answers_the_check_says_so_and_what_to_do(
    name: str, serving: Serving, impatient: Impatience, free_port: int
) -> None:
    with serving(name, "some") as reading, impatient():
        last = list(check(reading.source(free_port), reading.hosts))[-1]
        assert not last.ok
        assert last.action
        with pytest.raises(Retry):
            [p.stream.read() for p in payloads_of(reading.source(free_port), None, reading.hosts)]


@every("http")
def test_a_server_that_asks_us_to_wait_is_waited_for(
    name: str, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        for status in ("429 Too Many Requests", "503 Service Unavailable"):
            reading.proxy.instead = f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            reading.proxy.ailing = 1
            with impatient():
                came, error = reading.as_far_as_it_goes()
            _loses_nothing(reading, came, error)
