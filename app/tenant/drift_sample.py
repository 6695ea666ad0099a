"""Looking: some rows of each chunk a run reads are counted, so that its source can be compared with what is known."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from engine.drift_look import Look, Looking
from engine.model import Shape
from engine.ports import Chunk
from engine.scan import RAW

# The first rows tell most; after so many, a few of each chunk are enough to notice what changes on the way.
FIRST_ROWS = 400
MORE_ROWS = 100
WHOLE_LOOK = 5_000
FEW_ROWS = 20
_LARGEST_ROW = 1 << 20
Row = dict[str, tuple[tuple[str, ...], str | None]]


def is_watched(shape: Shape) -> bool:
    """Whether drift is looked for: a format that brings its own mappings says itself what its fields are."""
    return not shape.mappings


class Watch:
    """Looks at some rows of each chunk that passes."""

    def __init__(self, shape: Shape) -> None:
        self.looking = Looking()
        self._encoding = shape.dialect.encoding if shape.dialect else "utf-8"
        self._between = shape.dialect.delimiter if shape.dialect else ","
        self._quote = shape.dialect.quote if shape.dialect else '"'
        self._headed = _has_header(shape)

    def see(self, chunk: Chunk) -> None:
        """Count some of its rows."""
        if self._headed and chunk.columns:
            self.looking.header(chunk.columns)
        seen = self.looking.rows
        most = FIRST_ROWS if seen < FIRST_ROWS else MORE_ROWS if seen < WHOLE_LOOK else FEW_ROWS
        for row in self._rows(chunk, most):
            self.looking.add(row)

    def look(self) -> Look:
        """What was seen so far."""
        return self.looking.look()

    def _rows(self, chunk: Chunk, most: int) -> Iterator[Row]:
        if not chunk.rows:
            return
        some = np.unique(np.linspace(0, chunk.rows - 1, min(most, chunk.rows)).astype(np.int64)).tolist()
        for raw in chunk.raw(some):
            if len(raw) > _LARGEST_ROW:
                continue
            row = self._cells(raw, chunk) if chunk.kind == "csv" else _object(raw)
            if row is not None:
                yield row

    def _cells(self, raw: bytes, chunk: Chunk) -> Row | None:
        text = raw.decode(self._encoding or "utf-8", "replace").rstrip("\r\n")
        between = self._between
        if len(between) != 1 or between in "\r\n\0":
            return None
        plain: dict[str, Any] = (
            {"quotechar": self._quote} if len(self._quote) == 1 else {"quoting": csv.QUOTE_NONE}
        )
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=between, **plain), None)
        except csv.Error:
            return None
        if cells is None or len(cells) != len(chunk.columns):
            return None
        return {name: ((), cell) for name, cell in zip(chunk.columns, cells, strict=True)}


def _has_header(shape: Shape) -> bool:
    """Whether a payload itself names its columns."""
    if shape.format == "csv":
        return shape.dialect is not None and shape.dialect.header
    return shape.format == "parquet" or (shape.format == "excel" and bool(shape.options.get("header_row")))


def _object(raw: bytes) -> Row | None:
    """The fields of a JSON object as a source offers them: its keys, and `a.b` one level down."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    row: Row = {}
    for key, item in value.items():
        if not key.strip() or key == RAW:
            continue
        row[key[:200]] = ((key,), _text(item))
        if isinstance(item, dict):
            for inner, below in item.items():
                row[f"{key}.{inner}"[:200]] = ((key, inner), _text(below))
    return row


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value)
