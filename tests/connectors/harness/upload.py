"""An upload, which the landing zone has already: there is nothing left to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.connectors.harness import Ground, Kind, Served

SPEAKS = ""
KINDS = frozenset[Kind]({"some"})
PATIENCE: dict[str, float] = {}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    yield Served(lambda _: {"upload": "u1"}, records=frozenset(), secret="", unheard="")
