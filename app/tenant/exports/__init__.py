"""Exports: stored records as files of other people's formats, streamed piece by piece.

Each writer takes batches of rows and yields bytes; what it had to leave out or change it says in notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.model import TargetModel

Rows = Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Writer:
    """One export format. `write` gets the target models by name and, for each, its batches."""

    name: str
    title: str
    media_type: str
    suffix: str
    note: str
    write: Callable[[TargetModel, Rows], Iterator[bytes]]


def dictionaries(batches: Rows) -> Iterator[dict[str, Any]]:
    """The rows one by one, as Python values. A field that a whole batch leaves empty may be missing."""
    for batch in batches:
        # Most models have many fields and most sources fill few: what nobody filled costs nothing here.
        names = batch.schema.names
        filled = [n for n in names if n[0] != "_" and batch.column(n).null_count < batch.num_rows]
        yield from batch.select(filled).to_pylist()
