"""CSV: one line a record; cells that a spreadsheet would run as a formula are disarmed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from app.tenant.exports import Rows, dictionaries
from engine.model import TargetModel

# OWASP, CSV injection: what Excel, LibreOffice or Sheets take for the start of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
NOTE = "Text cells that begin with = + - @ or a control character have an apostrophe before them."
_ROWS_AT_ONCE = 2000


def lines(target: TargetModel, batches: Rows, *, guard: bool) -> Iterator[bytes]:
    """RFC 4180, UTF-8, a header line, and CR LF at line ends.

    Without `guard` the cells stand as they are, for machines that read them back.
    """
    names = [field.name for field in target.fields]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for number, row in enumerate(dictionaries(batches), 1):
        writer.writerow([cell(row.get(name), guard=guard) for name in names])
        if number % _ROWS_AT_ONCE == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def cell(value: Any, *, guard: bool = True) -> str:
    """A value as a CSV cell. Numbers, dates and booleans can't be formulas and stand as they are."""
    if value is None:
        return ""
    if type(value) is str:
        return f"'{value}" if guard and value.startswith(FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if not isinstance(value, str):
        return str(value)
    return f"'{value}" if guard and value.startswith(FORMULA) else value
