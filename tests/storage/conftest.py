"""A store in a temporary folder, and loads of a few lines through the real plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import types
from engine.compile import compile_plan
from engine.ledger import Ledger
from engine.model import FieldType, Mapping, SourceField, TargetField, TargetModel
from engine.ports import Chunk, Fault
from engine.run import Limits, Placed, Progress, run
from storage import runs
from storage.books import RunBooks
from storage.store import Store

KEY = bytes(range(32))
NOW = datetime(2026, 11, 20, 6, 0)

HOST = TargetModel(
    name="host",
    key=("name",),
    fields=(
        TargetField(name="name", required=True),
        TargetField(name="port", type=FieldType.INTEGER),
        TargetField(name="tags", type=FieldType.TEXTS),
    ),
)
ADVISORY = TargetModel(
    name="advisory",
    key=("id",),
    version="modified",
    fields=(
        TargetField(name="id", required=True),
        TargetField(name="modified", type=FieldType.TIMESTAMP),
        TargetField(name="title"),
    ),
)
TARGETS = {t.name: t for t in (HOST, ADVISORY)}


def straight(target: TargetModel, **more: Any) -> Mapping:
    """Every target field from the source field of its name."""
    return Mapping(
        target=target.name, fields=[{"field": f.name, "from": f.name} for f in target.fields], **more
    )


def lines(*objects: str, first_line: int = 1, faults: Sequence[Fault] = ()) -> Chunk:
    rows = [o.encode() for o in objects]
    data = b"".join(row + b"\n" for row in rows)
    return Chunk(
        "lines",
        data,
        len(rows),
        first_line,
        faults=tuple(faults),
        raw=lambda wanted: [rows[i] for i in wanted],
    )


class Loader:
    """Loads chunks into a store; each call is a run of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tick = NOW
        self.last = 0
        self.books: RunBooks | None = None

    def __call__(
        self,
        mappings: Mapping | Sequence[Mapping],
        chunks: Sequence[Chunk],
        *,
        dry: bool = False,
        batch_rows: int = 2,
        error_threshold: float | None = None,
    ) -> Ledger:
        mappings = [mappings] if isinstance(mappings, Mapping) else mappings
        plan = compile_plan(mappings, TARGETS)
        self.tick += timedelta(minutes=1)
        self.last = runs.begin(self.store, "p", 1, "run", {}, "ana", self.tick)
        fields = {n: SourceField(name=n) for b in plan.branches for n in b.fields}
        fields |= {n: SourceField(name=n) for n in ("kind",)}
        self.books = RunBooks(self.store, self.last, "p", plan, fields, now=lambda: self.tick, dry=dry)
        try:
            return run(
                [Placed(0, i, chunk) for i, chunk in enumerate(chunks)],
                self.books,
                progress=Progress(),
                limits=Limits(batch_rows=batch_rows, error_threshold=error_threshold),
            )
        finally:
            self.books.close()

    def latest(self, target: str, columns: str = "*") -> list[tuple[Any, ...]]:
        return (
            self.store.cursor().execute(f"SELECT {columns} FROM store.records.{target} ORDER BY 1").fetchall()
        )


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the one store of this test, again and again if asked."""
    stores: list[Store] = []

    def opened() -> Store:
        if stores:
            stores.pop().close()
        stores.append(Store.open(tmp_path / "tenant", KEY, functions=types.register))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def load(store: Store) -> Loader:
    return Loader(store)
