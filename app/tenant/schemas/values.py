"""The values of a field on the wire: how often each stands there, what it becomes, and near-duplicates."""

from __future__ import annotations

from pydantic import Field

from app.tenant.schemas import Answer
from app.tenant.schemas.chains import FieldRequest


class ValuesRequest(FieldRequest):
    """Asks for the distinct values that reach a step of a field's chain (of all of them: `step` left out)."""

    step: int | None = Field(default=None, ge=0, description="The place of the step in the chain, from 0.")
    all: bool = Field(default=False, description="All rows of the source, not a sample.")
    most: int = Field(default=500, ge=1, le=5000)


class ValueView(Answer):
    """A value, in how many rows it stands, what the step makes of it, and whether the step knows it."""

    value: str
    rows: int
    becomes: str | None = None
    known: bool = False


class ClusterView(Answer):
    """Values that may be one, the most frequent first, and why they are put together."""

    values: list[ValueView]
    best: str
    why: str


class Values(Answer):
    """Values the step does not know first, then by rows. `distinct` is how many there are, shown or not."""

    values: list[ValueView]
    clusters: list[ClusterView]
    distinct: int
    unknown: int = Field(description="Distinct values the step does not know.")
    empty: int = Field(description="Rows without a value.")
    rows: int
    extent: str
