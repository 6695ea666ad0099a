"""Pipelines on the wire."""

from __future__ import annotations

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.definitions import Version
from engine.model import Contract, Mapping, Pipeline, Slug


class PipelineCreate(Request):
    """Makes a pipeline of a source and mappings."""

    id: Slug | None = Field(default=None, description="Made from the name where none is given.")
    name: str = Field(min_length=1, max_length=200)
    source: Slug
    mappings: list[Mapping] = Field(min_length=1)
    error_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Share of rejects that ends a run."
    )
    contract: Contract | None = Field(
        default=None, description="What a run does where its source has changed; it goes on by default."
    )
    comment: str = ""


class PipelineChange(Request):
    """Replaces a pipeline; the one before stays as a version."""

    name: str = Field(min_length=1, max_length=200)
    source: Slug
    mappings: list[Mapping] = Field(min_length=1)
    error_threshold: float | None = Field(default=None, ge=0, le=1)
    contract: Contract | None = Field(default=None, description="Left out: the one it has.")
    comment: str = ""
    based_on: int | None = Field(default=None, description="The version you started from.")


class PipelineView(Version):
    """A pipeline as it stands. `mapping_versions` are the content addresses of its mappings, in order."""

    pipeline: Pipeline
    mapping_versions: list[str] = []
    last_run: int | None = None


class FieldLineage(Answer):
    """Where a target field's value comes from: the source fields it reads, its steps, and the rules on it."""

    target: str
    field: str
    origin: str
    sources: list[str]
    steps: list[str]
    rules: list[str]


class PipelineLineage(Answer):
    """Every mapped target field with its origin, and the source fields that go nowhere."""

    pipeline: str
    source: str
    version: int
    fields: list[FieldLineage]
    unused: list[str]
