"""How late rows come: those that stand before a cursor although they were not there when it was given.

A cursor carries how many rows stood within some spans before its value. At the next read they are counted again:
more of them means that some were committed later than they were stamped, and the widest span that has grown says
by how much. A row that was changed meanwhile has left its place, so what is told is the least there was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.ports import Cursor

# Parts of the overlap at which it is looked.
PARTS = (1 / 64, 1 / 8, 1 / 2, 1.0)
# How many rows stand within each of some spans before a value, the value's own among them.
Count = Callable[[str, Sequence[float]], list[int]]


def spans(overlap: float) -> list[float]:
    return [overlap * part for part in PARTS]


def measured(since: Cursor | None, value: str | None, overlap: float, count: Count) -> dict[str, Any] | None:
    """What has come late in all, by the cursor and by what stands before its value now."""
    if since is None or value is None or not overlap:
        return None
    known: Any = since.get("late")
    then: Any = since.get("window")
    if not isinstance(then, dict) or then.get("overlap") != overlap:
        return known if isinstance(known, dict) else None
    now = count(value, spans(overlap))
    # Counts are of ever wider spans, so what a span has beyond the one within it is its own.
    grown = [a - b for a, b in zip(_own(now), _own(list(then["rows"])), strict=True)]
    late = [(span, more) for span, more in zip(spans(overlap), grown, strict=True) if more > 0]
    if not late:
        return known if isinstance(known, dict) else None
    before = known if isinstance(known, dict) else {"rows": 0, "by": 0.0}
    return {
        "rows": before["rows"] + sum(more for _, more in late),
        "by": max(before["by"], late[-1][0]),
    }


def noted(cursor: Cursor, late: dict[str, Any] | None, overlap: float, count: Count) -> Cursor:
    """A cursor with what stands before its value, to be counted again at the next read."""
    if not overlap or not cursor.get("value"):
        return cursor
    rows = count(str(cursor["value"]), spans(overlap))
    return {**cursor, "window": {"overlap": overlap, "rows": rows}, **({"late": late} if late else {})}


def _own(wider: list[int]) -> list[int]:
    return [here - within for here, within in zip(wider, [0, *wider[:-1]], strict=True)]


def told(cursor: Cursor, overlap: float) -> list[str]:
    """How late rows were seen to come, in words; nothing where nobody looked."""
    late: Any = cursor.get("late")
    if not isinstance(late, dict):
        return ["no row was seen to come late"] if "window" in cursor else []
    rows = f"{late['rows']:,} row{'s' if late['rows'] != 1 else ''}"
    verdict = "raise the overlap" if late["by"] >= overlap else "the overlap covers that"
    return [f"{rows} came late, by up to {late['by']:g}: {verdict}"]
