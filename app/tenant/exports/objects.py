"""JSON: an array of records, or a record a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from app.tenant.exports import Rows, dictionaries
from engine.model import FieldType, TargetModel


def write(target: TargetModel, batches: Rows) -> Iterator[bytes]:
    """A JSON array of objects, one a line."""
    opening = b"[\n"
    for line in lines(target, batches):
        yield opening + line.rstrip(b"\n")
        opening = b",\n"
    yield b"\n]\n" if opening == b",\n" else b"[]\n"


def lines(target: TargetModel, batches: Rows) -> Iterator[bytes]:
    """One object a line (NDJSON). Fields without a value are left out."""
    kept = {field.name: field.type for field in target.fields}
    for row in dictionaries(batches):
        plain = {
            name: value(found, kept[name])
            for name, found in row.items()
            if found is not None and name in kept
        }
        yield orjson.dumps(plain, default=str, option=orjson.OPT_APPEND_NEWLINE)


def value(found: Any, kind: FieldType) -> Any:
    """A stored value as JSON has it: JSON text is embedded, times are RFC 3339."""
    if kind is FieldType.JSON and isinstance(found, str):
        return embedded(found)
    if isinstance(found, datetime):
        return moment(found)
    if isinstance(found, date):
        return found.isoformat()
    if isinstance(found, Decimal):
        return int(found) if found == found.to_integral_value() and abs(found) < 1 << 53 else float(found)
    return found


def embedded(text: str) -> Any:
    """JSON text as a value, or as it stands where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except ValueError:
            return text


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, or microseconds where there are any: as STIX 2.1 §2.13 asks."""
    fine = at.microsecond % 1000
    return at.replace(tzinfo=None).isoformat(timespec="microseconds" if fine else "milliseconds") + "Z"
