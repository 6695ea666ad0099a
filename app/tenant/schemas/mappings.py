"""Mappings on the wire: suggested, previewed, compared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.tenant.schemas import Answer, Request
from engine.model import Mapping, Slug
from engine.suggest.facts import Suggestion


class SuggestRequest(Request):
    """Asks for mappings from a source onto a target model, or onto the best fitting one."""

    source: Slug
    target: Slug | None = Field(default=None, description="Left out: every target model is tried.")


class Suggestions(Answer):
    """Suggestions, best first. `ready` mappings can run as they are (self-describing formats bring theirs)."""

    source: str
    ready: list[Mapping]
    suggestions: list[Suggestion]
    extent: str


class PreviewRequest(Request):
    """Asks what some mappings make of a sample of a source's rows."""

    source: Slug
    mappings: list[Mapping] = Field(min_length=1)
    rows: int = Field(default=200, ge=1, le=5000)
    pipeline: Slug | None = Field(
        default=None, description="Under this pipeline's contract: what it says of a source that has changed."
    )


class PreviewRow(Answer):
    """A source row and what became of it: its values in the target, or why it would be rejected."""

    line: int
    outcome: Literal["good", "warned", "rejected", "filtered"]
    target: str | None = None
    source: dict[str, Any]
    values: dict[str, Any] = {}
    failed: list[dict[str, Any]] = []


class MappingPreview(Answer):
    """The plan's own result on a sample. `extent` says of how many rows."""

    rows: list[PreviewRow]
    good: int
    warned: int
    rejected: int
    filtered: int
    extent: str
    sql: list[str] = Field(default=[], description="The compiled SELECT of each mapping.")
    lacking: list[str] = Field(
        default=[], description="Fields the mappings read that the source does not have; empty in every row."
    )


class ImpactRequest(Request):
    """Asks which stored records would differ under other mappings of a pipeline."""

    pipeline: Slug
    mappings: list[Mapping] = Field(min_length=1)
    examples: int = Field(default=10, ge=0, le=100)


class Difference(Answer):
    """A record before and after, and the fields that differ."""

    target: str
    key: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    fields: list[str]


class Impact(Answer):
    """What would become of the payloads of the last finished run under the new mappings."""

    run: int
    read: int
    same: int
    different: int
    new: int
    gone: int
    rejected_before: int
    rejected_after: int
    by_field: dict[str, int]
    examples: list[Difference]
    extent: str


class DifferenceRequest(Request):
    """Asks what changed in meaning from some mappings to others; they are paired by target model and place."""

    before: list[Mapping]
    after: list[Mapping]


class ChangeView(Answer):
    """One change in words. `target` is the target model of its mapping; the parts are plain data."""

    target: str
    what: Literal["field", "rule", "target", "where", "explode", "mapping"]
    name: str
    how: Literal["added", "removed", "changed"]
    part: str = ""
    says: str


class TextRequest(Request):
    """Asks for mappings as text."""

    mappings: list[Mapping] = Field(min_length=1)
    format: Literal["yaml", "sql"] = "yaml"


class MappingText(Answer):
    """Mappings as text."""

    text: str


class ReadRequest(Request):
    """Asks what mappings a text holds: YAML, or SQL as it was given, edits included."""

    text: str = Field(min_length=1, max_length=5_000_000)


class ReadMappings(Answer):
    """The mappings of a text, which can run."""

    mappings: list[Mapping]
