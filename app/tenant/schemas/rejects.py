"""Rejects on the wire: listed, grouped by cause, repaired, replayed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from app.tenant.schemas import Answer, Request
from engine.model import Step


class RejectView(Answer):
    """A row in quarantine. Bytes are shown as text; undecodable ones as \\xNN (`exact` is then false)."""

    id: int
    run: int
    pipeline: str
    version: int = Field(default=0, description="Of the pipeline, as its run had it.")
    mapping: str
    segment: int
    payload: str = Field(default="", description="Name of the payload it came in.")
    line: int
    form: str
    raw: str
    exact: bool = True
    fixed: str | None
    fields: dict[str, str | None] = Field(
        default={}, description="The row by source field, as far as it can be read."
    )
    rule: str
    field: str | None
    reason: str
    checks: list[dict[str, Any]]
    state: Literal["open", "replayed", "dismissed", "repeated", "undone"]
    at: datetime
    replay: int | None
    mark: tuple[int, int] | None = Field(
        default=None, description="Where in `raw` the value of the failing field's source stands."
    )
    dismissed: str | None = Field(default=None, description="Why it was dismissed, and by whom.")


class RejectPage(Answer):
    """Rejects in order. Ask on with `after` = the last id where there are more."""

    rejects: list[RejectView]
    more: bool = False


class StepFix(Request):
    """Runs every like row's source field through steps of the catalogue."""

    kind: Literal["steps"] = "steps"
    field: str = Field(description="A source field.")
    steps: list[Step] = Field(min_length=1)


class MapFix(Request):
    """Replaces whole values of a source field."""

    kind: Literal["map"] = "map"
    field: str
    values: dict[str, str] = Field(min_length=1)


class SetFix(Request):
    """Gives a source field one value wherever it is empty."""

    kind: Literal["set"] = "set"
    field: str
    value: str


class MappingFix(Request):
    """Gives a target field other steps in the mapping; always saved, and no row's bytes change."""

    kind: Literal["mapping"] = "mapping"
    field: str = Field(description="A target field.")
    steps: list[Step]


class PadFix(Request):
    """Makes a line whole: adds the fields it lacks, joins surplus ones where the row then holds, drops stray quotes."""

    kind: Literal["pad"] = "pad"


class ReplayFix(Request):
    """Changes nothing: the rows are run again, as after a change of the mapping."""

    kind: Literal["replay"] = "replay"


class Change(Request):
    """A source field of an edited row: what stood there and what shall stand there."""

    field: str
    before: str | None = None
    after: str | None


class EditFix(Request):
    """Makes the changes of one edited row in every like row that holds the same values in those fields."""

    kind: Literal["edit"] = "edit"
    changes: list[Change] = Field(min_length=1)


class DismissFix(Request):
    """Closes the rejects: they stay in the books as rejected and will not be replayed."""

    kind: Literal["dismiss"] = "dismiss"
    reason: str = Field(default="", max_length=500, description="Why they are given up.")


Fix = Annotated[
    StepFix | MapFix | SetFix | EditFix | MappingFix | PadFix | ReplayFix | DismissFix,
    Field(discriminator="kind"),
]


class Proposal(Answer):
    """A fix that was computed and tried: `repairs` of the `tried` examples no longer have this cause with it."""

    title: str
    fix: Fix
    repairs: int
    tried: int
    before: str | None = None
    after: str | None = None


class CauseKey(Request):
    """Names open rejects that share a rule, a field and a reason."""

    rule: str
    field: str | None = None
    reason: str
    run: int | None = None
    pipeline: str | None = None


class CauseView(Answer):
    """Open rejects that share a cause, with why in plain words and what can be done."""

    rule: str
    field: str | None
    reason: str
    explanation: str
    rows: int
    first: int = Field(description="Id of the first of them.")
    runs: list[int]
    examples: list[RejectView]
    source_field: str | None = None
    proposals: list[Proposal] = []


class RejectChange(Request):
    """Repairs one reject: its whole text, or some of its fields. Or dismisses it, or takes either back."""

    text: str | None = None
    fields: dict[str, str | None] | None = None
    dismiss: bool = False
    reason: str = Field(default="", max_length=500, description="Why it is dismissed.")
    undo: bool = Field(default=False, description="Drop its repair, or open it again where it was dismissed.")

    @model_validator(mode="after")
    def _one(self) -> RejectChange:
        if (self.text is not None) + (self.fields is not None) + self.dismiss + self.undo != 1:
            raise ValueError("give exactly one of text, fields, dismiss and undo")
        return self


class RejectTry(Request):
    """A repair of one reject to be tried: its whole text, or some of its fields."""

    text: str | None = None
    fields: dict[str, str | None] | None = None

    @model_validator(mode="after")
    def _one(self) -> RejectTry:
        if (self.text is not None) == (self.fields is not None):
            raise ValueError("give exactly one of text and fields")
        return self


class TriedRow(Answer):
    """A reject as it would be after a repair, put through the mapping as it is now. Nothing was kept."""

    id: int
    line: int
    outcome: Literal["good", "rejected", "filtered", "unreadable"]
    before: dict[str, str | None] = Field(description="Its source fields as they stand now.")
    after: dict[str, str | None] = Field(description="Its source fields after the repair.")
    values: dict[str, Any] = Field(default={}, description="The record it would become.")
    failed: list[dict[str, Any]] = []
    passes: int = Field(default=0, description="Rules it would pass, of `of`.")
    of: int = 0


class FixTry(Request):
    """A fix to be tried on the rejects of a cause, on the first `limit` of them."""

    cause: CauseKey
    fix: Fix
    limit: int = Field(default=100, ge=1, le=1000)


class FixTrial(Answer):
    """What a fix would do: of the `tried` rejects, `repairs` would no longer have this cause."""

    repairs: int
    passes: int = Field(description="Of the tried, how many would be taken whole.")
    tried: int
    total: int = Field(description="How many rejects the cause has.")
    extent: str
    rows: list[TriedRow]


class LineView(Answer):
    """A line of a payload, as text."""

    line: int
    text: str
    mark: bool = False


class Surroundings(Answer):
    """The lines around a reject in its sealed payload; `why` says so where there are none to show."""

    payload: str
    lines: list[LineView] = []
    why: str = ""


class RepairRequest(Request):
    """Applies a fix to all rejects of a cause. `replay` runs just those; `save` keeps it in the mapping."""

    cause: CauseKey
    fix: Fix
    save: bool = Field(default=False, description="Also put the fix into the pipeline, as a new version.")
    replay: bool = True


class CauseCount(Answer):
    """How many rejects have a cause."""

    reason: str
    field: str | None
    rows: int


class RepairResult(Answer):
    """What a repair did. `run` is the replay, where one was started."""

    repaired: int
    left: int = Field(description="Rejects of this cause the fix does not reach.")
    run: int | None = None
    ledger: dict[str, Any] | None = None
    pipeline_version: int | None = None
    again: list[CauseCount] = Field(default=[], description="Why rows of the replay were rejected again.")


class TakeBack(Request):
    """Names a replay whose rows shall be in quarantine again, as they came."""

    run: int


class TakenBack(Answer):
    """What taking a replay back did."""

    run: int
    rejects: int = Field(description="Rejects that wait in quarantine again, without the fix.")
    removed: int = Field(description="Versions of records that were removed.")


class ReplayRequest(Request):
    """Replays repaired rejects: all open ones with a fix, of one run, or by id."""

    ids: list[int] | None = None
    run: int | None = None
    pipeline: str | None = None
    all_open: bool = Field(
        default=False, description="Also those without a fix, e.g. after the mapping changed."
    )
    wait: float = Field(default=30, ge=0, le=600)


class ReplayResult(Answer):
    """The runs that replayed the rejects, one a pipeline."""

    replayed: int
    runs: list[int]
    ledgers: list[dict[str, Any]] = []
    again: list[CauseCount] = []
