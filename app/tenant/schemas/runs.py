"""Runs on the wire: their ledger, progress, findings and examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.tenant.schemas import Answer, Request
from engine.ledger import Ledger


class RunStart(Request):
    """Starts a run. A dry run goes through every row and keeps nothing."""

    dry_run: bool = False
    wait: float = Field(
        default=0, ge=0, le=600, description="Seconds to wait for the run's end before answering."
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


class ProgressView(Answer):
    """How far a run is. `left` and `share` are there where the size of what is read is known."""

    rows: int
    rate: float = Field(description="Rows a second since the start.")
    share: float | None = None
    left: float | None = Field(default=None, description="Seconds left at this rate.")
    seconds: dict[str, float] = Field(default={}, description="Time spent per stage; stages overlap.")
    cancelling: bool = False


class RunView(Answer):
    """A run. `state` is running, finished, failed, cancelled or undone; only `finished` is good."""

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
    seconds: dict[str, Any] = {}
    progress: ProgressView | None = None


class Finding(Answer):
    """How many rows a rule caught in a run."""

    mapping: str
    rule: str
    field: str | None
    severity: str
    message: str
    rows: int


class RunDetail(RunView):
    """A run with what it read and what it found; a dry run also has examples of each outcome."""

    payloads: list[dict[str, Any]] = []
    findings: list[Finding] = []
    examples: dict[str, list[dict[str, Any]]] = {}


class RunPage(Answer):
    """Runs, newest first. Ask on with `before` where there are more."""

    runs: list[RunView]
    more: bool = False


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
