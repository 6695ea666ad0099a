"""Records on the wire: browsed, asked, traced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request


class TargetCount(Answer):
    """How many records of a target model there are."""

    target: str
    title: str
    records: int


class RecordPage(Answer):
    """Records, a page of them, and how many there are in all under this filter."""

    columns: list[str]
    rows: list[dict[str, Any]]
    total: int
    offset: int
    extent: str


class Origin(Answer):
    """Where a version of a record came from: the payload's line, the run and the mapping's version."""

    run: int
    pipeline: str
    pipeline_version: int
    mapping: str
    started: datetime
    started_by: str
    source: str
    source_name: str
    payload: str
    sha256: str
    line: int
    raw: str | None = Field(
        default=None, description="The line as it was received, fetched from the landing zone."
    )
    reject: int | None = Field(default=None, description="The reject that was replayed, where it was one.")
    repaired: str | None = Field(default=None, description="The line as a person repaired it.")


class RecordVersion(Answer):
    """One version of a record, newest first in a list. `latest` is what queries see."""

    values: dict[str, Any]
    latest: bool
    origin: Origin | None


class RecordDetail(Answer):
    """A record with all its versions."""

    target: str
    key: str
    versions: list[RecordVersion]


class FieldOrigin(Answer):
    """How one field of a record was made: source fields, their values on the line, steps."""

    field: str
    value: Any
    origin: str = ""
    sources: dict[str, str | None]
    steps: list[str]


class Lineage(Answer):
    """From a stored record back to its line, and through its mapping field by field."""

    target: str
    key: str
    origin: Origin
    fields: list[FieldOrigin]


class QueryRequest(Request):
    """One SELECT over `records.<target>` (also `versions`, `rejects`, `runs`), read-only."""

    sql: str = Field(min_length=1, max_length=100_000)
    limit: int = Field(default=1000, ge=1, le=100_000)
    timeout: float = Field(default=30, gt=0, le=300)


class QueryResult(Answer):
    """What a query gave. `truncated` where there was more than the limit."""

    columns: list[str]
    types: list[str] = []
    rows: list[list[Any]]
    truncated: bool
    seconds: float
