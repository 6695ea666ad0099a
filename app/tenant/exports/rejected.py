"""Rejects as a file: each row with why it was rejected, as it came, and where it stood."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from app.tenant.exports.delimited import cell

COLUMNS = (
    "id", "cause", "field", "rule", "all_causes", "file", "line", "raw", "repaired", "state", "at", "run",
    "pipeline", "mapping", "form",
)  # fmt: skip
Row = dict[str, Any]


def csv_lines(rows: Iterable[list[Row]], *, guard: bool) -> Iterator[bytes]:
    """RFC 4180, UTF-8, a header line, and CR LF at line ends; bytes that are no text stand as \\xNN."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for some in rows:
        writer.writerows([cell(row[name], guard=guard) for name in COLUMNS] for row in some)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def ndjson_lines(rows: Iterable[list[Row]], *, guard: bool) -> Iterator[bytes]:
    """One JSON object a line. Where a row's bytes are no text they stand whole in `raw_base64`."""
    for some in rows:
        yield b"".join(orjson.dumps(_object(row)) + b"\n" for row in some)


def _object(row: Row) -> Row:
    bare = {name: row[name] for name in COLUMNS}
    if row["exact"]:
        return bare
    return bare | {"raw_base64": base64.b64encode(row["bytes"]).decode()}


# Media type, and what writes it.
WRITERS: dict[str, tuple[str, Callable[..., Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "ndjson": ("application/x-ndjson", ndjson_lines),
}
