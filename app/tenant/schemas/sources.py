"""Sources on the wire: how one is made, what was found in it, what it holds."""

from __future__ import annotations

from typing import Any, Literal

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


class ConnectionCheck(Request):
    """A connector's configuration to try, of a source that need not be there yet."""

    config: dict[str, Any] = Field(description="What the connector asks for.")


class SourceJoin(Request):
    """Makes one source of several that were uploaded and have the same fields."""

    sources: list[Slug] = Field(min_length=2, max_length=1000, description="In the order they are read.")
    name: str | None = Field(
        default=None, min_length=1, max_length=200, description="The first one's by default."
    )


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


class LineView(Answer):
    """A physical line as it stands, and what it was read as.

    `read_as` is header, row, continued (of the row before), comment, blank, skipped, rejected or unaccounted.
    """

    line: int
    text: str
    read_as: str


class LineAccount(Answer):
    """How the physical lines of a text add up, counted apart from the reader.

    `lines` = `rows` + `continued` + `rejected` + `header` + `skipped` + `comments` + `blank`, and
    `unaccounted` says how many are missing from that; `whole` is false where only the beginning was counted.
    """

    lines: int
    rows: int
    continued: int = Field(description="Further lines of rows that hold line ends.")
    rejected: int
    header: int
    skipped: int
    comments: int
    blank: int
    unaccounted: int
    whole: bool
    first: list[LineView] = Field(description="The first 20.")
    odd: list[LineView] = Field(description="Rejected and unaccounted ones, up to 100.")


class SourcePreview(Answer):
    """The beginning of a source as it is read. `extent` says of how much: "sample of …" or "all … rows"."""

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
    account: LineAccount | None = Field(default=None, description="Of a text table: how its lines add up.")


class SourceProfile(Answer):
    """What the columns of a source hold. `extent` says of how many rows."""

    profile: Profile
    whole: bool
    extent: str
    read: int = Field(default=0, description="Rows and faults together, in what was looked at.")
    rejected: int = 0


class RowFilter(Request):
    """Keeps the rows behind one figure of the profile.

    Those with a `value` or of a `mask`; the `empty` ones; the `outliers` of the column's type; values a
    spreadsheet `mangled`; those with leading `zeros`.
    """

    field: str
    by: Literal["value", "mask", "empty", "outliers", "mangled", "zeros"]
    value: str = ""


class RowQuery(Request):
    """Asks for the rows that pass every filter, in the order of the source."""

    filters: list[RowFilter] = Field(default=[], max_length=20)
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=100, ge=1, le=5000)
    whole: bool = Field(default=False, description="Among all rows, however many; else among a sample.")


class SourceRows(Answer):
    """Rows that pass the filters. `extent` says among how many they were looked for."""

    fields: list[str]
    rows: list[PreviewedRow]
    matched: int
    looked: int
    whole: bool
    extent: str


class PartView(Answer):
    """A sheet (its size in cells) or a file of an archive (in bytes)."""

    name: str
    size: int
    chosen: bool


class PlaceView(Answer):
    """Where records may stand in a document. A `path` of null is the document itself, [] one that is a list."""

    path: list[str] | None
    count: int
    fields: list[str] = []
    chosen: bool = False


class KindCount(Answer):
    """How many objects of a type a STIX payload holds, and whether they are read."""

    type: str
    count: int
    chosen: bool


class SourceOutline(Answer):
    """What a payload holds to choose from; each list is empty where there is no choice.

    `places` were counted in the beginning of the document where `cut` is true; `types` in `extent`.
    """

    sheets: list[PartView] = []
    first_rows: list[list[str]] = Field(
        default=[], description="Of the chosen sheet, to point at its header."
    )
    header_row: int = Field(default=0, description="Which of them names the fields, from 1; 0 for none.")
    places: list[PlaceView] = []
    members: list[PartView] = []
    types: list[KindCount] = []
    cut: bool = False
    extent: str = ""


class CheckStage(Answer):
    """One stage of a connection check.

    `accept` are a setting and what, added to it, would let the stage hold: compare it before you do.
    """

    name: str
    ok: bool
    detail: str = ""
    action: str = ""
    accept: tuple[str, str] | None = None


class CheckResult(Answer):
    """How a connection check went, stage by stage."""

    ok: bool
    stages: list[CheckStage]
