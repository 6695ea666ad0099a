"""A watched folder of three files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.connectors.harness import COUNT, LARGE, RECORDS, UNHEARD, Ground, Kind, Served, record

SPEAKS = ""
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE: dict[str, float] = {}
OLD = 1_600_000_000


def files(kind: Kind) -> dict[str, bytes]:
    """Files of a kind of data, for every connector that reads files: four records in each of three."""
    if kind == "empty":
        return {}
    if kind == "large":
        return {"large.csv": b"name,filler\n" + b"\n".join([b"rec-0001," + b"x" * 990] * (LARGE // 1000))}
    found = {}
    for part in range(3):
        rows = [f"{record(n)},{UNHEARD}" for n in range(part * 4 + 1, part * 4 + 5)]
        if kind == "broken" and part == 1:
            rows[1] += ',"a quote that never ends'
        found[f"{part}.csv"] = ("name,more\n" + "\n".join(rows) + "\n").encode()
    assert len(RECORDS) == COUNT
    return found


def fill(folder: Path, kind: Kind) -> None:
    """Write the files of a kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, data) in enumerate(files(kind).items()):
        (folder / name).write_bytes(data)
        os.utime(folder / name, (OLD + number, OLD + number))


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    fill(ground.folder / "in", kind)
    records = frozenset() if kind == "empty" else RECORDS
    yield Served(
        lambda _: {"path": str(ground.folder / "in")}, records=records, secret="", folders=(str(ground.folder),)
    )  # fmt: skip
