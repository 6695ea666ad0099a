"""Templates on the wire: mappings kept under a name, to begin others with."""

from __future__ import annotations

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.definitions import Version
from engine.model import Data, Mapping, Name, Slug


class Template(Data):
    """Mappings of one source, kept for others like it."""

    id: Slug
    name: Name
    mappings: tuple[Mapping, ...]


class TemplateCreate(Request):
    """Keeps mappings as a template."""

    id: Slug | None = Field(default=None, description="Made from the name where none is given.")
    name: str = Field(min_length=1, max_length=200)
    mappings: list[Mapping] = Field(min_length=1)
    comment: str = ""


class TemplateChange(Request):
    """Replaces a template; the one before stays as a version."""

    name: str = Field(min_length=1, max_length=200)
    mappings: list[Mapping] = Field(min_length=1)
    comment: str = ""
    based_on: int | None = Field(default=None, description="The version you started from.")


class TemplateView(Version):
    """A template as it stands."""

    template: Template


class TemplateApply(Request):
    """Asks what a template makes of another source."""

    source: Slug


class Missing(Answer):
    """What the template maps and this source cannot feed: the target field, and the source fields it lacks."""

    target: str
    field: str
    lacks: list[str]


class Applied(Answer):
    """A template's mappings on a source. What is missing is left unmapped."""

    mappings: list[Mapping]
    matched: int
    missing: list[Missing]
