"""MISP's feeds of plain values, CSV and free text: each value found is a row, with the line it stood in.

They are read as MISP reads them: line by line, without empty lines and those that begin with `#`. Of CSV the
columns named hold values; in free text every address, name, hash or CVE number is one, defanged or not.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from connectors.formats.mentions import mentions

LINE_BYTES = 1 << 16
_BETWEEN = re.compile(r"[\s,;|\"'<>]+")
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)


def rows(
    stream: BinaryIO, *, columns: tuple[int, ...], delimiter: str, exclude: re.Pattern[str] | None
) -> Iterator[bytes]:
    """A JSON object for each value: it, the number of its line, and the line. Without columns it is free text.

    What is longer than `LINE_BYTES` is cut there; bytes that are no UTF-8 stand as `\\xNN`.
    """
    number = 0
    while line := stream.readline(LINE_BYTES):
        number += 1
        while line[-1:] != b"\n" and (rest := stream.readline(LINE_BYTES)):
            line = line[:LINE_BYTES] + (b"\n" if rest[-1:] == b"\n" else b"")
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "backslashreplace").strip("\r\n")
        if not text.strip() or text.startswith("#") or (exclude and exclude.search(text)):
            continue
        for value in _in_columns(text, columns, delimiter) if columns else _in_text(text):
            yield orjson.dumps({"value": value, "line": number, "text": text})


def _in_columns(text: str, columns: tuple[int, ...], delimiter: str) -> Iterator[str]:
    [cells] = csv.reader([text], delimiter=delimiter, strict=False)
    for column in columns:
        if column <= len(cells) and cells[column - 1].strip():
            yield cells[column - 1].strip()


def _in_text(text: str) -> Iterator[str]:
    """Values as they are written: those any text may mention, and bare addresses and names, which a feed means."""
    bare = dict.fromkeys(word for word in _BETWEEN.split(text) if word and _is_bare(word))
    # A network is more than the address it begins with.
    written = [mention.value for mention in mentions(text) if not any(mention.value in word for word in bare)]
    yield from sorted({**bare, **dict.fromkeys(written)}, key=text.find)


def _is_bare(word: str) -> bool:
    if _NAME.fullmatch(word):
        return True
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False
    return not word.isdigit()


def pattern_of(text: str) -> re.Pattern[str] | None:
    """An expression as MISP's settings have it (`/^x/i`) or bare; None for none. ValueError where it is wrong."""
    if not text:
        return None
    flags = 0
    if found := re.fullmatch(r"([/#~%])(.*)\1([a-z]*)", text, re.DOTALL):
        text, flags = found[2], re.IGNORECASE if "i" in found[3] else 0
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise ValueError(f"this is no expression: {error}") from error
