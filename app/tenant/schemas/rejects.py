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


class DismissFix(Request):
    """Closes the rejects: they stay in the books as rejected and will not be replayed."""

    kind: Literal["dismiss"] = "dismiss"


Fix = Annotated[
    StepFix | MapFix | SetFix | MappingFix | PadFix | ReplayFix | DismissFix, Field(discriminator="kind")
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
    """Repairs one reject: its whole text, or some of its fields. Or dismisses it."""

    text: str | None = None
    fields: dict[str, str | None] | None = None
    dismiss: bool = False

    @model_validator(mode="after")
    def _one(self) -> RejectChange:
        if (self.text is not None) + (self.fields is not None) + self.dismiss != 1:
            raise ValueError("give exactly one of text, fields and dismiss")
        return self


class RepairRequest(Request):
    """Applies a fix to all rejects of a cause. `replay` runs just those; `save` keeps it in the mapping."""

    cause: CauseKey
    fix: Fix
    save: bool = Field(default=False, description="Also put the fix into the pipeline, as a new version.")
    replay: bool = True


class RepairResult(Answer):
    """What a repair did. `run` is the replay, where one was started."""

    repaired: int
    left: int = Field(description="Rejects of this cause the fix does not reach.")
    run: int | None = None
    ledger: dict[str, Any] | None = None
    pipeline_version: int | None = None


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
