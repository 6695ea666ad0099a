"""Surroundings: the lines around a row in its sealed payload, which is opened for just that."""

from __future__ import annotations

import io
from itertools import islice
from typing import BinaryIO

from app.tenant.desk import Desk
from app.tenant.schemas.rejects import LineView, Surroundings
from app.tenant.tracing import segment_of
from connectors.formats.compression import unpacked
from engine.model import Shape
from storage.quarantine import Reject

# A line is found by reading its payload from the start; beyond this many bytes that takes too long.
LOOK_FAR = 512 << 20
WIDEST = 2000


def around(desk: Desk, reject: Reject, shape: Shape, lines: int) -> Surroundings:
    """So many lines before and after a reject, as they were received."""
    segment = segment_of(desk, reject.run, reject.segment)
    if segment is None:
        return Surroundings(payload="", why="Its payload is not kept any more.")
    if shape.format not in ("csv", "ndjson"):
        return Surroundings(payload=segment.name, why="A row of this format is no line of its own.")
    if shape.compression not in ("none", "gzip", "zstd"):
        return Surroundings(payload=segment.name, why="It stands in an archive of several files.")
    if segment.size > LOOK_FAR:
        return Surroundings(payload=segment.name, why="Its payload is too large to be looked through.")
    first = max(1, reject.line - lines)
    encoding = shape.dialect.encoding if shape.dialect else "utf-8"
    with desk.landing.open(segment) as stream:
        plain = stream if shape.compression == "none" else unpacked(stream, shape.compression, "")
        texts = _lines(plain, encoding, first, reject.line + lines)
    return Surroundings(
        payload=segment.name,
        lines=[
            LineView(line=number, text=text, mark=number == reject.line)
            for number, text in enumerate(texts, first)
        ],
    )


def _lines(stream: BinaryIO, encoding: str, first: int, last: int) -> list[str]:
    buffered = io.BufferedReader(stream, 1 << 20)  # type: ignore[type-var]
    text = io.TextIOWrapper(buffered, encoding, "backslashreplace", newline="\n")
    try:
        return [line.rstrip("\r\n")[:WIDEST] for line in islice(text, first - 1, last)]
    finally:
        # The stream is closed by whoever opened it.
        text.detach().detach()
