"""Answers are kept while they hold, and worked out once for all who ask at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.tenant.remembered import Remembered


def test_who_asks_meanwhile_waits_for_the_first() -> None:
    answers, worked = Remembered(), []

    def work() -> str:
        worked.append(threading.get_ident())
        time.sleep(0.05)
        return "found"

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: answers.once("question", work), range(8)))
    assert told == ["found"] * 8
    assert len(worked) == 1


def test_a_refusal_is_told_and_asked_again() -> None:
    answers = Remembered()
    with pytest.raises(ZeroDivisionError):
        answers.once("question", lambda: 1 // 0)
    assert answers.once("question", lambda: 2) == 2


def test_the_longest_unused_is_let_go_first() -> None:
    answers = Remembered(most=100)
    for name in ("one", "two"):
        answers.once(name, lambda: b"x" * 40)
    answers.once("one", lambda: b"")
    answers.once("three", lambda: b"x" * 40)
    assert answers.once("one", lambda: b"anew") == b"x" * 40
    assert answers.once("two", lambda: b"anew") == b"anew"
