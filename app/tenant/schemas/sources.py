"""Sources on the wire: how one is made, what was found in it, what it holds."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.definitions import Version
from app.tenant.schemas.payloads import PayloadInfo
from engine.model import Dialect, Slug, Source
from engine.profile import Profile


class SourceCreate(Request):
    """Makes a source and reads its first payload to find its shape.

    Give `payload` (an upload), `text` (pasted), or a `connector` with its `config`.
    """

    id: Slug | None = Field(default=None, description="Made from the name where none is given.")
    name: str | None = Field(default=None, max_length=200, description="The payload's name by default.")
    connector: Slug = Field(default="upload", description="One of GET /connectors.")
    config: dict[str, Any] = Field(default={}, description="What the connector asks for.")
    payload: str | None = Field(default=None, description="A finished upload.")
    text: str | None = Field(
        default=None, max_length=16 << 20, description="Pasted text; sealed like any payload."
    )
    format: Slug | None = Field(default=None, description="Read it as this format instead of finding out.")


class SourceChange(Request):
    """Changes how a source is read; its latest payload is read again so."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    payload: str | None = Field(default=None, description="Another finished upload for this source.")
    config: dict[str, Any] | None = None
    format: Slug | None = None
    dialect: Dialect | None = Field(
        default=None, description="The whole dialect; columns are read anew from it."
    )
    options: dict[str, Any] | None = Field(default=None, description="Of the format: sheet, record path, …")
    based_on: int | None = Field(default=None, description="The version you started from.")


class SourceView(Version):
    """A source as it stands, with the payload its shape was read from."""

    source: Source
    payload: PayloadInfo | None = None


class PreviewedRow(Answer):
    """A row of a source as text, by field, and the physical line it stands on."""

    line: int
    values: dict[str, str | None]


class FaultView(Answer):
    """A piece of the source that is no row. Undecodable bytes are shown as \\xNN."""

    line: int
    raw: str
    reason: str


class SourcePreview(Answer):
    """The beginning of a source as it is read. `extent` says of how much: "sample of …" or "all … rows".

    `lines` is what is physically there up to here; it equals `parsed` + `rejected` (+ `left_out`: header,
    comments and blank lines a dialect leaves out on purpose).
    """

    fields: list[str]
    rows: list[PreviewedRow]
    faults: list[FaultView]
    read: int = Field(description="Rows and faults together, in what was read for this preview.")
    parsed: int
    rejected: int
    whole: bool = Field(description="Whether this is all of the source.")
    extent: str
    first_lines: list[str]
    notes: list[str] = []


class SourceProfile(Answer):
    """What the columns of a source hold. `extent` says of how many rows."""

    profile: Profile
    whole: bool
    extent: str


class CheckStage(Answer):
    """One stage of a connection check."""

    name: str
    ok: bool
    detail: str = ""
    action: str = ""


class CheckResult(Answer):
    """How a connection check went, stage by stage."""

    ok: bool
    stages: list[CheckStage]
