"""Answers that took work, kept while what they speak of stands: the same question by many costs once.

What an answer depends on is part of its key, so nothing here grows old; it is only let go, the longest
unused first, where there is too much.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

Made = TypeVar("Made")
# What a view is taken to weigh; bytes are counted.
_VIEW = 16 << 10


class Remembered:
    """Answers by their keys, up to about `most` bytes. Thread-safe; who asks meanwhile waits for the first."""

    def __init__(self, most: int = 48 << 20) -> None:
        self._most = most
        self._weight = 0
        self._kept: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def once(self, key: Hashable, work: Callable[[], Made]) -> Made:
        """The kept answer, or the one `work` gives now. What it raises is told to all who wait and not kept."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            else:
                mine: Future[Any] = Future()
                self._kept[key] = mine
        if kept is not None:
            there: Made = kept.result()
            return there
        try:
            made = work()
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(made)
        self._keep(_weight(made))
        return made

    def _keep(self, weight: int) -> None:
        with self._lock:
            self._weight += weight
            for key in list(self._kept):
                if self._weight <= self._most:
                    break
                if self._kept[key].done():
                    self._weight -= _weight(self._kept.pop(key).result())


def _weight(made: object) -> int:
    return len(made) if isinstance(made, bytes) else _VIEW
