"""A stream of bytes that come a piece at a time, each asked for when the one before it is used up."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, cast


class Pieces(io.RawIOBase):
    """What `following` gives, until it gives nothing."""

    def __init__(self, following: Callable[[], bytes]) -> None:
        self._following, self._held = following, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        if not self._held:
            self._held = memoryview(self._following())
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size


def stream_of(following: Callable[[], bytes]) -> BinaryIO:
    """The pieces as a stream that reads ahead by no more than a megabyte."""
    return cast(BinaryIO, io.BufferedReader(Pieces(following), 1 << 20))
