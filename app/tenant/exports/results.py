"""A query's result as a file: the columns are whatever was asked for, with the types DuckDB gave them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from app.tenant.exports import Rows, delimited
from app.tenant.exports.columnar import Spout
from app.tenant.values import plain


@dataclass(frozen=True)
class ResultWriter:
    """One format of results. `write` gets the schema, the batches, and whether to disarm formulas."""

    media_type: str
    suffix: str
    note: str
    write: Callable[[pa.Schema, Rows, bool], Iterator[bytes]]


def _csv(schema: pa.Schema, batches: Rows, guard: bool) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([delimited.cell(name, guard=guard) for name in schema.names])
    for batch in batches:
        # By place: two columns of a result may have one name.
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            writer.writerow([delimited.cell(value, guard=guard) for value in row])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _json(schema: pa.Schema, batches: Rows, guard: bool) -> Iterator[bytes]:
    opening = b"[\n"
    for batch in batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield opening + orjson.dumps(dict(zip(schema.names, map(plain, row), strict=True)), default=str)
            opening = b",\n"
    yield b"\n]\n" if opening == b",\n" else b"[]\n"


def _parquet(schema: pa.Schema, batches: Rows, guard: bool) -> Iterator[bytes]:
    spout = Spout()
    # Extension types of DuckDB's (a 128-bit integer, JSON) are written as what they are stored as.
    plain_types = pa.schema(
        [
            pa.field(f.name, f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type)
            for f in schema
        ]
    )
    with pq.ParquetWriter(pa.PythonFile(spout, mode="w"), plain_types, compression="zstd") as writer:
        for batch in batches:
            columns = [c.storage if isinstance(c, pa.ExtensionArray) else c for c in batch.columns]
            writer.write_batch(pa.record_batch(columns, schema=plain_types))
            yield spout.drain()
    yield spout.drain()


WRITERS = {
    "csv": ResultWriter("text/csv; charset=utf-8", "csv", delimited.NOTE, _csv),
    "parquet": ResultWriter("application/vnd.apache.parquet", "parquet", "", _parquet),
    "json": ResultWriter("application/json", "json", "", _json),
}
