"""Cursors on the wire: where a source stands, in words, and the places it can be led back to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request


class PointView(Answer):
    """A place a source was left at by a run, or by a person (`run` is null), or its beginning (`at` is null too).

    Led back to it, the source gives again what was read since: `rows` rows by `runs` runs, as the books have it.
    """

    run: int | None = None
    at: datetime | None = None
    cursor: dict[str, Any] | None = None
    says: str
    rows: int
    runs: int


class CursorView(Answer):
    """Where a pipeline's source stands, and the places before, the newest first; the last one is the beginning."""

    pipeline: str
    source: str
    cursor: dict[str, Any] | None
    says: str
    at: datetime | None = None
    run: int | None = Field(default=None, description="The run that left it there; null where a person did.")
    moves: bool = Field(description="Whether this source has a position at all.")
    points: list[PointView] = []


class CursorTry(Request):
    """A cursor to be looked at before it is set; null is the beginning."""

    cursor: dict[str, Any] | None


class CursorTrial(Answer):
    """What a cursor says, and why the source could not have given it ("" where it could)."""

    says: str
    doubt: str = ""


class CursorChange(Request):
    """Sets a cursor by hand. It must be one the source could have given; null is the beginning."""

    cursor: dict[str, Any] | None
    reason: str = Field(default="", max_length=500)


class CursorRewind(Request):
    """Leads a source back to where a run left it, or to the beginning where no run is given."""

    run: int | None = None
    reason: str = Field(default="", max_length=500)
