"""Drift on the wire: what a run found, the mapping that follows it, and what accepting it did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.mappings import ChangeView, MappingPreview
from engine.drift import Kind
from engine.model import Contract, Mapping, Word


class FindingView(Answer):
    """One way a source differs. `rows` of the `of` rows looked at show it; `likelihood` is how sure a rename is.

    `read` says whether the mapping reads the field, `word` what the pipeline's contract says of it.
    """

    kind: Kind
    field: str
    to: str = ""
    says: str
    rows: int
    of: int
    likelihood: float
    was: str = ""
    now: str = ""
    examples: list[str] = []
    read: bool = False
    word: Word = "evolve"


class DriftView(Answer):
    """How a run's source differed from what the mapping was written for.

    `state` is open, accepted, dismissed or superseded (by what a later run found).
    """

    run: int = Field(description="0 where it was found in a file that no run has read yet.")
    pipeline: str
    version: int
    state: str
    who: str = ""
    at: datetime
    looked: int = Field(description="Rows that were looked at.")
    findings: list[FindingView]
    quarantined: int = Field(description="Open rejects of that run.")
    froze: bool = Field(default=False, description="Whether the contract stopped the run.")
    contract: Contract


class PatchOutcome(Answer):
    """What becomes of a sample."""

    good: int
    warned: int
    rejected: int
    filtered: int


class DriftPatch(Answer):
    """The mapping that follows a drift, and what it makes of the run's own payload. Nothing was changed.

    `would_pass` of the `quarantined` rejects would be taken when they are replayed.
    """

    run: int
    based_on: int
    mappings: list[Mapping]
    changes: list[ChangeView]
    notes: list[str] = []
    before: PatchOutcome
    after: MappingPreview
    quarantined: int
    would_pass: int


class DriftAccept(Request):
    """Takes the mapping that follows what a run found."""

    run: int
    based_on: int | None = Field(default=None, description="The pipeline's version you saw the patch of.")
    replay: bool = Field(default=True, description="Also replay the open rejects of that run.")
    wait: float = Field(default=30, ge=0, le=600, description="Seconds to wait for the replay.")


class DriftAccepted(Answer):
    """What accepting a drift did: the new version, and the replay where there was something to replay."""

    version: int
    source_version: int
    run: int | None = None
    replayed: int = 0
    ledger: dict[str, Any] | None = None


class DriftDismiss(Request):
    """Says that what a run found is as it should be; it will not be told again."""

    run: int


class ContractChange(Request):
    """What a run is to do where its source has changed."""

    contract: Contract
    based_on: int | None = Field(default=None, description="The version you started from.")
