"""Queries on the wire: what is asked, what comes back, and what a person keeps of both."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request

Sql = Field(min_length=1, max_length=100_000)


class QueryRequest(Request):
    """One SELECT over `records.<target>` (also `versions`, `rejects`, `runs`), read-only."""

    sql: str = Sql
    limit: int = Field(default=1000, ge=1, le=100_000)
    timeout: float = Field(default=30, gt=0, le=300)
    name: str = Field(default="", max_length=64, description="What to cancel it by.")
    keep: bool = Field(default=False, description="Put it into one's history.")


class QueryResult(Answer):
    """What a query gave. `truncated` where there was more than the limit; `total` where that could be counted."""

    columns: list[str]
    types: list[str] = []
    rows: list[list[Any]]
    truncated: bool
    seconds: float
    total: int | None = None
    asked: int | None = Field(default=None, description="Its number in one's history.")


class Cancelled(Answer):
    """Whether there was a query under way by that name."""

    cancelled: bool


class ColumnInfo(Answer):
    """A column of a table, with its type in DuckDB's words."""

    name: str
    type: str


class TableInfo(Answer):
    """A table a query may read."""

    name: str
    title: str
    rows: int | None
    columns: list[ColumnInfo]


class AskedQuery(Answer):
    """A query of one's history. `outcome` is done, refused, stopped or cancelled."""

    id: int
    sql: str
    at: datetime
    seconds: float
    rows: int | None
    outcome: str


class SavedQuery(Answer):
    """A query saved for everybody in the tenant."""

    id: str
    name: str
    sql: str
    author: str
    at: datetime
    version: int


class QueryToSave(Request):
    """A query under a name. The same name again is a new version."""

    name: str = Field(min_length=1, max_length=120)
    sql: str = Sql


class Preference(Answer):
    """A choice of one's own; null where there is none."""

    name: str
    body: Any = None
