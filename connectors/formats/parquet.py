"""Parquet, row group by row group; nested columns as JSON text, everything else as DuckDB writes it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.formats.compression import seekable
from connectors.formats.header import unique
from connectors.formats.json_lines import parser
from connectors.formats.limits import Damaged
from connectors.formats.lines import fill
from engine.model import Shape, SourceField
from engine.ports import Chunk

CHUNK_BYTES = 1 << 24


class Parquet:
    """Rows of Parquet."""

    name = "parquet"
    title = "Parquet"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """Parquet begins and ends with PAR1."""
        if fill(stream, 4) != b"PAR1":
            return None
        schema = _opened(stream).schema_arrow
        names = unique(schema.names)
        nested = [n for n, f in zip(names, schema, strict=True) if pa.types.is_nested(f.type)]
        notes = (f"nested columns come as JSON: {', '.join(nested)}",) if nested else ()
        return Shape(format=self.name, fields=tuple(SourceField(name=n) for n in names), notes=notes)

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every row is a row; a group that can't be decoded is Damaged."""
        file = _opened(stream)
        names = unique(file.schema_arrow.names)
        passed = 0
        for group in range(file.num_row_groups):
            held = file.metadata.row_group(group)
            rows = max(1, held.num_rows * chunk_bytes // max(held.total_byte_size, 1))
            try:
                for batch in file.iter_batches(batch_size=min(rows, 1 << 20), row_groups=[group]):
                    table = _text(pa.Table.from_batches([batch]).rename_columns(list(names)))
                    yield _chunk(table, passed + 1)
                    passed += table.num_rows
            except (OSError, pa.ArrowException) as error:
                raise Damaged(f"row group {group + 1} of the Parquet file: {error}") from error


def _opened(stream: BinaryIO) -> pq.ParquetFile:
    stream = seekable(stream)
    stream.seek(0)
    try:
        return pq.ParquetFile(stream)
    except (OSError, pa.ArrowException) as error:
        raise Damaged(f"the Parquet file: {error}") from error


def _text(table: pa.Table) -> pa.Table:
    """Every column as text: nested ones as JSON, bytes as hexadecimal."""
    picked = []
    for field in table.schema:
        name = '"' + field.name.replace('"', '""') + '"'
        if pa.types.is_nested(field.type):
            picked.append(f"CAST(to_json({name}) AS VARCHAR) AS {name}")
        elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            picked.append(f"lower(hex({name})) AS {name}")
        else:
            picked.append(f"CAST({name} AS VARCHAR) AS {name}")
    with parser() as connection:
        return connection.from_arrow(table).project(", ".join(picked)).to_arrow_table()


def _chunk(table: pa.Table, first: int) -> Chunk:
    out = io.BytesIO()
    pq.write_table(table, out, compression="none")

    def raw(rows: Sequence[int]) -> list[bytes]:
        return [orjson.dumps(row) for row in table.take(list(rows)).to_pylist()]

    return Chunk(
        kind="parquet",
        data=out.getbuffer(),
        rows=table.num_rows,
        first_line=first,
        columns=tuple(table.column_names),
        raw=raw,
        end=first + table.num_rows - 1,
    )
