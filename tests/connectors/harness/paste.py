"""Text from the clipboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.connectors.harness import Ground, Kind, Served
from tests.connectors.harness.folder import files

SPEAKS = ""
KINDS = frozenset[Kind]({"some", "broken"})
PATIENCE: dict[str, float] = {}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    text = b"".join(files(kind).values()).decode()
    yield Served(lambda _: {"text": text}, secret="")
