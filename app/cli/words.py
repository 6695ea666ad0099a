"""What a command says: calm tables for people, JSON for programs, and errors that say what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NoReturn

from pydantic import BaseModel

from engine.errors import SpireError

_WIDEST = 60


def say(*lines: str) -> None:
    """Lines for a person."""
    for line in lines:
        print(line)


def tell(line: str) -> None:
    """A line beside the result: it goes to standard error, so that a pipe gets the result alone."""
    print(line, file=sys.stderr)


def show(found: Any) -> None:
    """A result as JSON."""
    print(json.dumps(plain(found), ensure_ascii=False, indent=None, default=str))


def plain(found: Any) -> Any:
    """A result as JSON's types."""
    if isinstance(found, BaseModel):
        return found.model_dump(mode="json", by_alias=True)
    if isinstance(found, dict):
        return {str(name): plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    if isinstance(found, datetime | date):
        return found.isoformat()
    return found


def cell(value: Any) -> str:
    """A value as it stands in a table: numbers with thousands separators, times to the second."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple | dict):
        value = json.dumps(plain(value), ensure_ascii=False)
    # A terminal must not be steered by what stands in a record.
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns under their names, numbers to the right; or one word where there is nothing."""
    if not rows:
        say("Nothing here.")
        return
    cells = [[cell(value) for value in row] for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(names))]
    widths = [max(len(names[i]), *(len(row[i]) for row in cells)) for i in range(len(names))]
    for row in [list(names), *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        say("  ".join(parts).rstrip())


def pairs(facts: Sequence[tuple[str, Any]]) -> None:
    """Facts, one a line, their names aligned."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        say(f"{name.ljust(width)}  {cell(value)}")


def explain(error: SpireError, *, as_json: bool = False) -> None:
    """What happened, where, and what to do, on standard error."""
    detail = getattr(error, "detail", "")
    if as_json:
        told = {"title": error.title, "where": error.where, "action": error.action, "detail": detail}
        print(json.dumps({"error": told}, ensure_ascii=False), file=sys.stderr)
        return
    tell(error.title)
    for name, text in (("where", error.where), ("what", detail), ("do", error.action)):
        if text:
            tell(f"  {name}: {text}")


def leave(code: int) -> NoReturn:
    """End the command with this code."""
    raise SystemExit(code)
