"""How a read of a database is cut into slices, each with the cursor to go on from after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from connectors import lateness
from engine.ports import Cursor

SliceT = TypeVar("SliceT")
# The slices from a value on, None for all, each with the value reached after it.
Slices = Callable[[str | None], Iterator[tuple[SliceT, str | None]]]


@dataclass(frozen=True)
class Slice:
    """Rows whose value is above `above` and not above `until`; or, of the first slice, at or after `since`.

    `since` counts less the overlap. With `valueless` it is the rows that have no value at all.
    """

    since: str | None = None
    above: str | None = None
    until: str | None = None
    valueless: bool = False


def sliced(
    since: str | None, end_of: Callable[[Slice], str | None], valueless: Callable[[], bool]
) -> Iterator[tuple[Slice, str | None]]:
    """Slices that together take every row once, each with the value reached.

    `end_of` gives the value at which a slice that is open above is to end, None where it is empty. Rows
    without a value come last, every time: nothing says whether they are new.
    """
    open_above, last = Slice(since=since), since
    while (end := end_of(open_above)) is not None:
        last = end
        yield replace(open_above, until=end), last
        open_above = Slice(above=end)
    if valueless():
        yield Slice(valueless=True), last


def followed(
    since: Cursor | None,
    grows: tuple[str, str],
    overlap: float,
    slices: Slices[SliceT],
    count: lateness.Count,
) -> Iterator[tuple[SliceT, Cursor]]:
    """A read of what is new by what grows: what the cursor calls that, and its name.

    Each cursor tells how late rows were seen to come, and what `count` needs to see it again.
    """
    called, name = grows
    begun = _known(since, called, name)
    late = lateness.measured(since, begun, overlap, count)
    for this, value in slices(begun):
        reached: Cursor = {called: name, "value": value} if value else {**(since or {})}
        yield this, lateness.noted(reached, late, overlap, count)


def cut(
    since: Cursor | None, key: str, slices: Slices[SliceT]
) -> Iterator[tuple[SliceT | None, Cursor | None]]:
    """A read of everything by its key.

    Where one slice is all there is, it is None: read everything, with no cursor. The last of several says
    that the read is complete, so that what comes after it begins anew. So does a cursor beyond the last row.
    """
    begun = _known(since, "key", key)
    found = slices(begun)
    ahead = next(found, None)
    if ahead is None and begun is not None:
        begun, found = None, slices(None)
        ahead = next(found, None)
    if ahead is None:
        yield None, None
    alone = begun is None
    while ahead is not None:
        (this, value), ahead = ahead, next(found, None)
        if ahead is not None:
            yield this, {"key": key, "value": value}
        elif alone:
            yield None, None
        else:
            yield this, {"key": key, "complete": True}
        alone = False


def _known(since: Cursor | None, called: str, name: str) -> str | None:
    """The value a cursor has reached; None where it is of something else, or there is none."""
    if not since or since.get(called) != name or not since.get("value"):
        return None
    return str(since["value"])
