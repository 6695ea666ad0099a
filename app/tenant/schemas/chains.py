"""The chain of one field on the wire: followed step by step, what could come next, and readings to choose from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request
from engine.model import Mapping, Slug, Step


class FieldRequest(Request):
    """Speaks of one target field of one of some mappings, on a sample of a source's rows."""

    source: Slug
    mappings: list[Mapping] = Field(min_length=1)
    at: int = Field(default=0, ge=0, description="Which of the mappings, from 0.")
    field: Slug
    rows: int = Field(default=200, ge=1, le=5000)


class TraceRequest(FieldRequest):
    """Asks for the way of a field's values. Without a line, a row is shown that has the most to tell."""

    line: int | None = None


class Stage(Answer):
    """The value after one step: of the row shown, and in how many rows it is changed here, or fails here.

    The first is the value as it came, the last as it is stored; both have no `step`.
    """

    step: str = ""
    title: str
    detail: str = ""
    value: str | None = None
    lost: str | None = Field(default=None, description="Why the row shown fails here.")
    changes: int = 0
    fails: int = 0
    failing: int | None = Field(default=None, description="The line of a row that fails here.")


class Broken(Answer):
    """A check on the field: in how many rows it does not hold, and whether the row shown is one of them."""

    rule: str
    message: str
    severity: str
    rows: int
    here: bool


class Trace(Answer):
    """The way of a field's values through the plan. `extent` says of how many rows the counts speak."""

    field: str
    line: int | None
    stages: list[Stage]
    broken: list[Broken]
    rows: int
    extent: str
    sql: str = Field(description="The steps as one expression, as `sql:` takes it.")


class Offer(Answer):
    """Steps that the values speak for: the field's chain with them, what they change and what they mend."""

    title: str
    why: str
    steps: list[Step]
    changes: int = 0
    repairs: int = 0
    fails: int = Field(default=0, description="Rows that fail now, of which `repairs` would not.")
    before: str | None = None
    after: str | None = None


class Offers(Answer):
    """What could come next: `next` steps for the values, `repairs` for rows that fail, the best first."""

    next: list[Offer]
    repairs: list[Offer]
    extent: str


class ReadingsRequest(Request):
    """Asks how values of a source field read under different chains."""

    source: Slug
    target: Slug
    field: Slug
    origin: str = Field(alias="from")
    choices: list[list[Step]] = Field(min_length=1, max_length=6)


class Reading(Answer):
    """A value as it stands in the source, and what each chain makes of it (None where it can't)."""

    line: int
    value: str
    read: list[Any]


class Readings(Answer):
    """Values that the chains read differently, first; `unread` counts by chain what it can't read."""

    values: list[Reading]
    differ: int
    unread: list[int]
    extent: str
