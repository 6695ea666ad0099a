"""Which secret followed which, of those that were only tried, and whose turn it is to exchange one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# More are being tried at once nowhere; the oldest is forgotten first.
MOST = 200


@dataclass(repr=False)
class Followers:
    """In memory alone: what was tried and never saved ends with the process."""

    _next: dict[str, str] = field(default_factory=dict)
    _turns: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Be the only one to exchange this secret."""
        with self._guard:
            turn = self._turns.setdefault(name, threading.Lock())
        with turn:
            yield

    def newest(self, value: str) -> str:
        """The last of those that followed a value, or itself."""
        seen = {value}
        while (following := self._next.get(value)) is not None and following not in seen:
            value = following
            seen.add(value)
        return value

    def follow(self, value: str, following: str) -> None:
        with self._guard:
            self._next[value] = following
            while len(self._next) > MOST:
                del self._next[next(iter(self._next))]
