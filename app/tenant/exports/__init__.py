"""Exports: stored records as files of other people's formats, streamed piece by piece.

Each writer takes batches of rows and yields bytes; what it had to leave out or change it says in notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from engine.model import TargetModel
from storage.explorer import Lack

BLOCK = 1 << 18
Rows = Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Writer:
    """One export format. `write` gets a target model and its batches; without one the format asks for more than those.

    `lacks` says which records of a model the format can't hold; a record whose `object` has something at
    the JSON paths `whole`, or there what a field of the record says, leaves as it came, whatever it lacks.
    """

    name: str
    title: str
    media_type: str
    suffix: str
    note: str
    write: Callable[[TargetModel, Rows], Iterator[bytes]] | None
    lacks: Callable[[TargetModel], tuple[Lack, ...]] = lambda target: ()
    whole: Mapping[str, str] = field(default_factory=dict)


def blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in larger ones: each piece sent is a turn of the event loop."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= BLOCK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def dictionaries(batches: Rows) -> Iterator[dict[str, Any]]:
    """The rows one by one, as Python values. A field that a whole batch leaves empty may be missing."""
    for batch in batches:
        # Most models have many fields and most sources fill few: what nobody filled costs nothing here.
        names = batch.schema.names
        filled = [n for n in names if n[0] != "_" and batch.column(n).null_count < batch.num_rows]
        yield from batch.select(filled).to_pylist()
