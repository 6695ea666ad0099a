"""Parquet: every row as text, nested columns as JSON."""

from __future__ import annotations

import datetime as dt
import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.formats import sniff
from connectors.formats.limits import Damaged
from tests.connectors.reading import read


def parquet(table: pa.Table, rows: int = 100) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=rows)
    return out.getvalue()


TABLE = pa.table(
    {
        "n": [1, None],
        "big": [2**63 - 1, 0],
        "s": ["1e1234567890", ""],
        "o": [{"x": 1}, None],
        "l": [[1], [2, 3]],
        "b": [b"\x01\xff", None],
        "t": [dt.datetime(2024, 1, 2, 3, 4, 5), None],
    }
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_columns_come_as_text(pack) -> None:  # type: ignore[no-untyped-def]
    found = read(pack(parquet(TABLE)))
    assert found.rows == [
        ("1", "9223372036854775807", "1e1234567890", '{"x":1}', "[1]", "01ff", "2024-01-02 03:04:05"),
        (None, "0", "", None, "[2,3]", None, None),
    ]


def test_row_groups_come_as_chunks_in_order() -> None:
    data = parquet(pa.table({"n": list(range(1000))}), rows=300)
    found = read(data, size=1024)
    assert [int(row[0]) for row in found.rows] == list(range(1000))
    assert found.places == list(range(1, 1001))


def test_a_damaged_file_says_so() -> None:
    with pytest.raises(Damaged):
        sniff(io.BytesIO(parquet(TABLE)[:-20]), "x.parquet")
