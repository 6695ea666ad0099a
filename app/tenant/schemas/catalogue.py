"""What the product offers, on the wire: connectors, samples, steps, kinds, vocabularies, target models."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.definitions import Version
from engine.model import Slug, TargetModel


class ConnectorView(Answer):
    """A kind of source: `config` is the JSON Schema of what it asks for.

    `capabilities` are among incremental, streams and write; `browse` says whether what is there can be listed.
    """

    name: str
    title: str
    summary: str
    config: dict[str, Any]
    capabilities: list[str] = []
    browse: bool = False


class SampleView(Answer):
    """A built-in sample, there to try things on."""

    name: str
    title: str
    summary: str = ""
    format: str = ""


class StepView(Answer):
    """A step of the catalogue: `options` is the JSON Schema of its options."""

    name: str
    title: str
    summary: str
    group: str
    takes: str
    options: dict[str, Any]


class KindView(Answer):
    """A kind of value that is recognised, checked and made canonical."""

    name: str
    title: str
    description: str


class VocabularyView(Answer):
    """A vocabulary. An open one takes values beside its own."""

    name: str
    values: list[str]
    synonyms: dict[str, str] = {}
    open: bool = False


class TargetView(Answer):
    """A target model, and how many records of it there are."""

    target: TargetModel
    records: int = 0
    version: Version | None = Field(default=None, description="None for the built-in ones.")


class ProposeModel(Request):
    """Asks for a target model made from a source."""

    source: Slug


class ProposedModel(Answer):
    """A target model made from a source, not saved: for each field the source field it is made of, and why."""

    model: TargetModel
    sources: dict[str, str]
    reasons: dict[str, str]
    extent: str


class TenantState(Answer):
    """What there is in this tenant, in figures."""

    tenant: str
    sources: int
    pipelines: int
    records: dict[str, int]
    open_rejects: int
    running: list[int]
    last_run: int | None
