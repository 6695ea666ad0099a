"""The nouns: source fields, target models, mappings, rules and pipelines, as plain data.

All of it is what a person, a file or the API hands us, so all of it is pydantic, frozen, and
refuses unknown keys. Behaviour lives elsewhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=200)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Scalar = str | int | float | bool | None


class Data(BaseModel):
    """Base of all nouns: frozen, and an unknown key is an error, not a guess."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class FieldType(StrEnum):
    """How a target field is stored. Source values are always text until the plan casts them."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"
    TEXTS = "text[]"


class SourceField(Data):
    """One field of a source as its reader offers it. `path` is where it stands inside a JSON object."""

    name: Name
    path: tuple[str, ...] = ()
    sensitive: bool = False


class TargetField(Data):
    """One field of a target model.

    `kind` names an entry of `engine.types` (ipv4, domain, sha256, …, or `indicator` for any of them);
    `vocabulary` one of `engine.types.vocabularies`. Both make values checked and canonical.
    """

    name: Slug
    type: FieldType = FieldType.TEXT
    title: str = ""
    description: str = ""
    required: bool = False
    sensitive: bool = False
    pii: bool = False
    kind: str | None = None
    vocabulary: str | None = None
    synonyms: tuple[str, ...] = ()


class TargetModel(Data):
    """What records of one kind look like.

    `key` fields identify a record; `version`, where there is one, names the field that orders its
    versions (STIX `modified`). Without it a changed content is a new version in order of arrival.
    """

    name: Slug
    title: str = ""
    summary: str = ""
    fields: tuple[TargetField, ...]
    key: tuple[Slug, ...] = Field(min_length=1)
    version: Slug | None = None
    builtin: bool = False

    @model_validator(mode="after")
    def _names_hold(self) -> TargetModel:
        names = [f.name for f in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"target model {self.name}: a field name stands twice")
        for name in (*self.key, *([self.version] if self.version else [])):
            if name not in names:
                raise ValueError(f"target model {self.name}: {name} is not one of its fields")
        return self

    def field(self, name: str) -> TargetField:
        """The field of that name; KeyError where there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


class Step(Data):
    """One step of a chain: the name of a catalogue entry and its options."""

    step: Slug
    options: dict[str, Any] = {}


class FieldMapping(Data):
    """How one target field gets its value: exactly one of source, constant and sql, then the steps in order.

    On disk `source` is written `from`.
    """

    field: Slug
    source: str | None = Field(default=None, alias="from")
    constant: Scalar | list[str] = None
    sql: str | None = None
    steps: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> FieldMapping:
        if sum(x is not None for x in (self.source, self.constant, self.sql)) != 1:
            raise ValueError(f"{self.field}: give exactly one of from, constant and sql")
        return self


class Severity(StrEnum):
    """What a broken rule does: note it, put the row into quarantine, or fail the run."""

    WARN = "warn"
    QUARANTINE = "quarantine"
    FAIL = "fail"


class Rule(Data):
    """One check on mapped values. `field` is a target field; `value` what the operator compares with."""

    id: Slug
    operator: Literal[
        "required", "type", "range", "length", "regex", "in", "not_in", "unique", "reference",
        "date_order", "compare", "freshness", "volume", "expression",
    ]  # fmt: skip
    field: Slug | None = None
    value: Any = None
    group: Literal["schema", "business", "quality"] = "quality"
    severity: Severity = Severity.QUARANTINE
    message: str = ""


class Mapping(Data):
    """A mapping onto one target model.

    `where` (an expression over source fields) leaves rows out on purpose: they count as filtered.
    `explode` names a source field holding a JSON list; each element becomes a row of its own, with
    the element as that field's value.
    """

    target: Slug
    fields: tuple[FieldMapping, ...]
    rules: tuple[Rule, ...] = ()
    where: str | None = None
    explode: str | None = None


class Dialect(Data):
    """How a text table is written: everything a reader was told or found, so that a person can change it.

    `first_lines` are the first 20 physical lines as they stand, undecodable bytes as \\xNN.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    encoding: str = "utf-8"
    skip_lines: int = 0
    comment: str = ""
    columns: tuple[str, ...] = ()
    first_lines: tuple[str, ...] = ()


class Shape(Data):
    """What a reader found in a payload: its format, how to read it, and the fields it offers.

    `options` holds what the format needs besides (sheet, record path, …). `target` is set by
    self-describing formats, which bring their own `mappings`.
    """

    format: Slug
    compression: Literal["none", "gzip", "zip", "zstd"] = "none"
    fields: tuple[SourceField, ...] = ()
    dialect: Dialect | None = None
    options: dict[str, Any] = {}
    mappings: tuple[Mapping, ...] = ()
    notes: tuple[str, ...] = ()


class Source(Data):
    """A place payloads come from: a connector, its configuration, and the shape last agreed on."""

    id: Slug
    name: Name
    connector: Slug
    config: dict[str, Any] = {}
    shape: Shape | None = None


Word = Literal["evolve", "discard value", "discard row", "freeze"]


class Contract(Data):
    """What a run does where its source no longer looks as the mapping expects.

    `evolve` goes on, `discard value` leaves such values out and counts them, `discard row` puts such rows
    into quarantine, `freeze` stops the run with nothing kept.
    """

    new_fields: Word = "evolve"
    type_changes: Word = "evolve"
    vanished_fields: Word = "evolve"


class Pipeline(Data):
    """A source, the mappings its rows go through, when to give up, and what to do where the source has changed.

    A row takes the first mapping whose `where` it meets. `error_threshold` is the share of rejected
    rows (0 to 1) above which the run fails; None never fails.
    """

    id: Slug
    name: Name
    source: Slug
    mappings: tuple[Mapping, ...] = Field(min_length=1)
    error_threshold: float | None = Field(default=None, ge=0, le=1)
    contract: Contract = Contract()
