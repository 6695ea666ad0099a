"""A built-in sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.connectors.harness import Ground, Kind, Served

SPEAKS = ""
KINDS = frozenset[Kind]({"some"})
PATIENCE: dict[str, float] = {}


def _lines(data: bytes) -> set[str]:
    return {line.partition(",")[0] for line in data.decode("utf-8-sig").splitlines()}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    yield Served(
        lambda _: {"sample": "indicators"}, records=frozenset(), in_payload=_lines, secret="", unheard=""
    )
