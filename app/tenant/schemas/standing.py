"""How things stand, on the wire: what waits for a person, and how old each pipeline's newest data is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.tenant.schemas import Answer


class Need(Answer):
    """Something that waits for a person, in words, and where it is done."""

    kind: Literal[
        "failed", "unbalanced", "disk", "credential", "drift", "rejects", "draft", "unmapped", "unrun"
    ]
    title: str
    detail: str = ""
    rows: int = 0
    wrong: bool = Field(default=False, description="Something is wrong, rather than only waiting.")
    pipeline: str | None = None
    source: str | None = None
    run: int | None = None
    credential: str | None = None


class Counts(Answer):
    """What waits, in two numbers that cost little."""

    open_rejects: int
    failed: int = Field(description="Pipelines whose last run failed.")


class FreshnessView(Answer):
    """A pipeline's newest data: when it was last read, and how old it may be by the pipeline's own rule."""

    pipeline: str
    name: str
    newest: datetime | None = Field(description="Start of the last run that finished; None before the first.")
    within: float | None = Field(
        description="Seconds, of its strictest freshness rule; None where it has none."
    )
    kept: int = Field(description="Records its runs put into the store, undone ones left out.")


class Standing(Answer):
    """How a tenant stands. `needs` come most urgent first."""

    needs: list[Need]
    freshness: list[FreshnessView]
    finished: int = Field(description="Finished runs.")
    unbalanced: list[int] = Field(description="Finished runs whose books do not balance; none, ever.")
