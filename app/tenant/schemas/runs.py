"""Runs on the wire: their ledger, progress, findings and examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.drift import DriftView
from engine.ledger import Ledger


class RunStart(Request):
    """Starts a run. A dry run goes through every row and keeps nothing."""

    dry_run: bool = False
    wait: float | None = Field(
        default=None,
        ge=0,
        le=600,
        description="Seconds to wait for the run's end before answering. Where none are given, a run answers at "
        "once and a dry run when it is over.",
    )


class LedgerView(Answer):
    """The books of a run; they balance when read is the sum of the others."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    filtered: int = 0
    balanced: bool = True

    @classmethod
    def of(cls, ledger: Ledger) -> LedgerView:
        """The ledger as it is shown."""
        return cls(**ledger.as_dict(), balanced=ledger.balanced)


class StageView(Answer):
    """A stage of a run: seconds of work in it, and from when to when it lasted, counted from the start.

    Stages overlap, and threads work side by side, so a stage's work may be more than its span.
    """

    stage: str
    seconds: float
    start: float | None = None
    end: float | None = None


class ProgressView(Answer):
    """How far a run is. `left` and `share` are there where the size of what is read is known."""

    rows: int
    rate: float = Field(description="Rows a second since the start.")
    share: float | None = None
    left: float | None = Field(default=None, description="Seconds left at this rate.")
    passed: float = Field(default=0.0, description="Seconds since it began, or since it was taken up again.")
    stages: list[StageView] = []
    cancelling: bool = False


class RunView(Answer):
    """A run. `state` is running, finished, failed, cancelled or undone; only `finished` is good.

    A dry run has a number only to be watched and cancelled by; it is in no book and forgotten in time.
    """

    run: int
    pipeline: str
    version: int
    kind: Literal["run", "dry", "replay"] | str
    state: str
    started: datetime
    finished: datetime | None
    started_by: str
    ledger: LedgerView
    error: dict[str, Any] | None = None
    notes: list[str] = []
    stages: list[StageView] = []
    progress: ProgressView | None = None


class Finding(Answer):
    """How many rows a rule caught in a run."""

    mapping: str
    rule: str
    field: str | None
    severity: str
    message: str
    rows: int


class SealedView(Answer):
    """A payload a run read, sealed as it was received. `number` is its place in the run."""

    number: int
    name: str
    size: int
    sha256: str


class AppliedView(Answer):
    """A mapping a run applied: its target model, content address and how many checks it has."""

    target: str
    address: str
    checks: int


class WrittenView(Answer):
    """What a run wrote of a target model, and what undoing it would do there."""

    target: str
    versions: int
    restored: int = Field(description="Records of which an older version would be the latest again.")
    gone: int = Field(description="Records that would be there no more.")


class LogLine(Answer):
    """Something that happened in a run."""

    at: datetime
    text: str


class RunDetail(RunView):
    """A run with what it read, applied, found and wrote; a dry run also has examples of each outcome.

    `replayed` counts the rejects a replay took, of the runs in `replayed_of`.
    """

    source: str = ""
    source_name: str = ""
    payloads: list[SealedView] = []
    mappings: list[AppliedView] = []
    findings: list[Finding] = []
    written: list[WrittenView] = []
    batches: int = 0
    replayed: int = 0
    replayed_of: list[int] = []
    log: list[LogLine] = []
    examples: dict[str, list[dict[str, Any]]] = {}
    drift: DriftView | None = Field(
        default=None, description="How its source differed from what the mapping was written for."
    )


class RunPage(Answer):
    """Runs, newest first. Ask on with `before` where there are more."""

    runs: list[RunView]
    more: bool = False


class UndoPlan(Answer):
    """What undoing a run would do. Nothing was changed."""

    run: int
    written: list[WrittenView]
    closes: int = Field(description="Open rejects of this run that would be closed with it.")
    reopens: int = Field(description="Rejects it had dealt with that would wait in quarantine again.")
    moves_cursor: bool = Field(description="Whether the source would be read again from an earlier place.")
    cursor: dict[str, Any] | None = Field(default=None, description="That place; null is the beginning.")


class Undone(Answer):
    """What undoing a run removed; what it had replaced is the latest again."""

    run: int
    removed: int
    state: str


class IngestResult(Answer):
    """The ledger of a whole job, from bytes to records."""

    run: int
    read: int
    inserted: int
    updated: int
    unchanged: int
    duplicate: int
    rejected: int
    filtered: int
    balanced: bool
    state: str = "finished"
    source: str = ""
    pipeline: str = ""
    error: dict[str, Any] | None = None
    notes: list[str] = []
