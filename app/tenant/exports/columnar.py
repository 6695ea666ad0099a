"""Parquet: columns with their types, written to memory a row group at a time and never to a disk."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from app.tenant.exports import Rows
from engine.model import FieldType, TargetModel

_TYPES: dict[FieldType, pa.DataType] = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.DECIMAL: pa.decimal128(38, 9),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    FieldType.DATE: pa.date32(),
    FieldType.JSON: pa.string(),
    FieldType.TEXTS: pa.list_(pa.string()),
}


class Spout:
    """A file that only grows; what was written since the last `drain` is taken away by it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def drain(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def schema_of(target: TargetModel) -> pa.Schema:
    """The target's fields as Arrow knows them."""
    return pa.schema([pa.field(field.name, _TYPES[field.type]) for field in target.fields])


def write(target: TargetModel, batches: Rows) -> Iterator[bytes]:
    """One Parquet file, zstd, a row group for each batch."""
    schema = schema_of(target)
    spout = Spout()
    with pq.ParquetWriter(pa.PythonFile(spout, mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(typed(batch, schema))
            yield spout.drain()
    yield spout.drain()


def typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Stored rows with the columns of a schema and no others."""
    return pa.record_batch([_as(batch.column(field.name), field.type) for field in schema], schema=schema)


def _as(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column if column.type == wanted else column.cast(wanted)
