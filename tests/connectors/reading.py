"""Reading a payload as a run does, and each chunk with the real DuckDB."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import orjson

from connectors.formats import reader, sniff
from engine import scan
from engine.model import Dialect, Shape, SourceField
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24


@dataclass
class Outcome:
    """Everything a payload held: rows as DuckDB sees them, their places and bytes, and the faults."""

    rows: list[tuple[Any, ...]]
    places: list[int]
    raws: list[bytes]
    faults: list[Fault]

    def reasons(self) -> dict[int, str]:
        return {fault.line: fault.reason for fault in self.faults}


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def duck(chunk: Chunk) -> list[tuple[Any, ...]]:
    """The chunk's rows through DuckDB, everything as text; JSON lines as the objects they are."""
    handle = os.memfd_create("chunk")
    try:
        view = memoryview(chunk.data)
        while view:
            view = view[os.write(handle, view) :]
        path = f"/proc/self/fd/{handle}"
        with _engine().cursor() as connection:
            if chunk.kind == "csv":
                columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in chunk.columns)
                return connection.execute(
                    f"SELECT * FROM read_csv('{path}', columns={{{columns}}}, header=false, auto_detect=false, "
                    f"delim={_text(chunk.delimiter)}, quote={_text(chunk.quote)}, escape={_text(chunk.escape)}, "
                    "new_line='\\n', strict_mode=true)"
                ).fetchall()
            if chunk.kind == "lines":
                # Numbers that stand between marks come back as the run sees them.
                return connection.execute(scan.source(chunk, path, [SourceField(name=scan.RAW)])).fetchall()
            return connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
    finally:
        os.close(handle)


def read(
    data: bytes, shape: Shape | None = None, *, name: str = "payload", size: int = CHUNK_BYTES
) -> Outcome:
    """All chunks of a payload, each checked to hold exactly the rows it says."""
    shape = shape or sniff(io.BytesIO(data), name)
    found = Outcome([], [], [], [])
    end = -1
    for chunk in (c.proven for c in reader(shape).read(io.BytesIO(data), shape, size)):
        rows = duck(chunk) if chunk.rows else []
        assert len(rows) == chunk.rows
        assert chunk.end >= end, "chunks end one after the other"
        end = chunk.end
        places = list(range(chunk.first_line, chunk.first_line + chunk.rows))
        found.places += places if chunk.lines is None else [int(n) for n in chunk.lines]
        found.rows += rows
        found.raws += chunk.raw(range(chunk.rows))
        found.faults += chunk.faults
        assert chunk.read == chunk.rows + len(chunk.faults)
    assert len(found.places) == len(found.rows) == len(found.raws)
    return found


def table(data: bytes, *, size: int = CHUNK_BYTES, **dialect: Any) -> Outcome:
    """A delimited text in the dialect given."""
    return read(data, Shape(format="csv", dialect=Dialect(**dialect)), size=size)


def objects(found: Outcome) -> list[dict[str, Any]]:
    """The rows of JSON lines as Python values."""
    return [orjson.loads(row[0]) for row in found.rows]
