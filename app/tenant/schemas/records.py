"""Records on the wire: browsed, asked, traced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer


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


class FacetValue(Answer):
    """A value as a filter names it, as a person reads it, and how many records have it."""

    value: str
    label: str
    count: int


class FacetView(Answer):
    """A field's commonest values; `more` further ones are not listed."""

    field: str
    title: str
    values: list[FacetValue]
    more: int


class Bar(Answer):
    """Records in one stretch of time, from `start` to the next bar's."""

    start: datetime
    count: int


class TimelineView(Answer):
    """Records by day, week, month or year. `fields` are the others it could be drawn by."""

    field: str
    title: str
    unit: str
    bars: list[Bar]
    end: datetime | None
    without: int = Field(description="Records that have no such time.")
    outside: int = Field(description="Records whose time lies so far off that it would hide the others.")
    fields: list[tuple[str, str]]


class FacetPage(Answer):
    """What the records under a filter are. `sample` is how many the counts rest on where that is not all."""

    total: int
    extent: str
    facets: list[FacetView]
    timeline: TimelineView | None
    sample: int | None = None


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
    size: int = Field(default=0, description="Bytes of the payload.")
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
    altered: bool = Field(
        default=False, description="It came with the version of an older one, but other content."
    )


class MarkingView(Answer):
    """A marking in force: what it says, and the parts it is for, where it is not for all of the record."""

    ref: str
    says: str = Field(description="Empty where its definition is not in the store.")
    selectors: list[str] = []
    lang: str = Field(default="", description="The language of the parts, where that is what is marked.")


class TranslationView(Answer):
    """A record's fields in another language; what is not translated is not among them."""

    lang: str
    fields: dict[str, Any]
    by: str = Field(description="The language-content that gives them.")


class GoneView(Answer):
    """A source that gives all it holds, and no longer has the record."""

    pipeline: str
    payload: str
    run: int
    at: datetime | None


class About(Answer):
    """What the store knows of a record from outside it."""

    markings: list[MarkingView] = []
    translations: list[TranslationView] = []
    gone_from: list[GoneView] = []
    waits_for: list[str] = Field(default=[], description="Ids it names that are not here yet.")


class RecordDetail(Answer):
    """A record with all its versions."""

    target: str
    key: str
    versions: list[RecordVersion]
    defanged: dict[str, str] = Field(
        default={},
        description="Values of the latest version that could be clicked on, so that they can't be.",
    )
    about: About = About()


class RelationView(Answer):
    """One relation. `way` is out (this record names the other), in (the other names it) or same (value)."""

    label: str
    way: str
    ref: str
    target: str
    key: str = Field(description="Empty where the other is not in the store.")
    name: str
    via: str = Field(description="The relationship record between the two, where it is one.")


class RelationGroup(Answer):
    """How many relations of one kind there are."""

    label: str
    way: str
    count: int


class SightingsView(Answer):
    """What sighting records say: how many there are, how often it was seen, and when."""

    reports: int
    times: int
    first: datetime | None
    last: datetime | None


class RelationPage(Answer):
    """What a record has to do with others: some relations, and how many there are of each kind."""

    relations: list[RelationView]
    groups: list[RelationGroup]
    total: int
    sightings: SightingsView | None


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


class LeftOut(Answer):
    """Records an export can't hold, and why."""

    reason: str
    count: int


class ExportManifest(Answer):
    """What an export holds: so many of the records that are meant, without those left out."""

    target: str
    format: str
    title: str
    records: int
    exported: int
    left_out: list[LeftOut]
    note: str
