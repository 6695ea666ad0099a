"""What holds for every connector, whatever it reads: one suite, run against each one's real server.

A connector joins with one module in `tests.connectors.harness`, named as it is. Here is what the suite's files have
in common: a connector whose data is being served, and which connectors a test is of.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors import payloads_of
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.harness import HARNESSES, Kind, Served
from tests.servers.proxy import Proxy

HERE = ("127.0.0.1",)


@dataclass
class Reading:
    """A connector, its data being served, and the way there."""

    name: str
    served: Served
    proxy: Proxy | None
    hosts: tuple[str, ...] = HERE
    told: list[str] = field(default_factory=list)

    def source(self, port: int | None = None, **more: Any) -> Source:
        given = self.proxy.port if self.proxy else 0
        config = {**self.served.config(port or given), **more}
        return Source(id="c", name="c", connector=self.name, config=config)

    def payloads(self, since: Cursor | None = None, **more: Any) -> Iterator[Any]:
        return payloads_of(self.source(**more), since, self.hosts, self.served.folders)

    def read(self, since: Cursor | None = None) -> list[tuple[str, bytes, Cursor | None]]:
        return [(p.name, p.stream.read(), p.cursor) for p in self.payloads(since)]

    def records(self, since: Cursor | None = None) -> set[str]:
        return {id for _, data, _ in self.read(since) for id in self.served.in_payload(data)}

    def as_far_as_it_goes(
        self, since: Cursor | None = None
    ) -> tuple[list[tuple[set[str], Cursor | None]], SpireError | None]:
        """What came before an error, if there was one: each payload's records and the cursor after it."""
        came: list[tuple[set[str], Cursor | None]] = []
        try:
            for payload in self.payloads(since):
                came.append((self.served.in_payload(payload.stream.read()), payload.cursor))
        except SpireError as error:
            self.told.append("".join(traceback.format_exception(error)))
            return came, error
        return came, None


# What the fixtures of these names give.
Serving = Callable[[str, Kind], AbstractContextManager[Reading]]
Impatience = Callable[[], AbstractContextManager[None]]
Reader = Callable[[dict[str, Any]], dict[str, int]]


def every(*speaks: str, kind: Kind = "some") -> pytest.MarkDecorator:
    """Each connector that can be served this kind of data, and speaks one of these."""
    names = [n for n, h in HARNESSES.items() if kind in h.KINDS and (not speaks or h.SPEAKS in speaks)]
    return pytest.mark.parametrize("name", sorted(names))
