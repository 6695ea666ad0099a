"""Picks: the rows that stand behind one figure of a profile, as a condition in SQL."""

from __future__ import annotations

from typing import Literal

from engine.profile import shapes
from engine.profile.facts import Column
from engine.profile.shapes import literal, mask, quoted

By = Literal["value", "mask", "empty", "outliers", "mangled", "zeros"]


def condition(column: Column, by: By, value: str = "") -> str:
    """What holds for just the rows that were counted: a top value, a mask, the empty ones, the outliers,
    values a spreadsheet mangled, or those with leading zeros.
    """
    v = quoted(column.name)
    trimmed = f"trim({v})"
    nothing = f"({v} IS NULL OR {trimmed} = '' OR {shapes.placeholder(trimmed)})"
    match by:
        case "value":
            # A profile shows the first 500 characters of a value.
            return f"left({v}, 500) = {literal(value)}"
        case "mask":
            return f"({v} <> '' AND {mask(v)} = {literal(value)})"
        case "empty":
            return nothing
        case "mangled":
            return f"(contains(upper(right({trimmed}, 5)), 'E+') AND {shapes.is_type(trimmed, 'mangled')})"
        case "zeros":
            return f"(left({trimmed}, 1) = '0' AND length({trimmed}) > 1 AND {shapes.is_type(trimmed, 'integer')})"
        case "outliers":
            if column.type in ("text", "empty"):
                return "false"
            reads = [shapes.reads_as(trimmed, date.format) for date in column.dates]
            holds = " OR ".join(reads) or shapes.is_type(trimmed, column.type)
            return f"(NOT {nothing} AND NOT coalesce({holds}, false))"
