"""What a suggestion says, as plain data: each pair with its score, its reasons and the runner-up."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from engine.model import Data, Mapping, Step


class Accepted(Data):
    """A pair a person of this tenant has accepted before, and how often."""

    header: str
    target: str
    field: str
    times: int = Field(default=1, ge=1)


History = Iterable[Accepted]


class Candidate(Data):
    """A source field for a target field: how sure (0 to 100) and why, in plain words."""

    source: str
    score: int
    reasons: tuple[str, ...] = ()


class FieldSuggestion(Data):
    """What is proposed for one target field.

    `accepted` ones stand in the mapping. A `derived` one is worked out from a source that feeds another
    field. `sql` or `constant` stand in place of the steps where no chain can do it. `choices` are chains
    to choose from where only a person can know (day or month first).
    """

    field: str
    required: bool = False
    best: Candidate | None = None
    runner_up: Candidate | None = None
    accepted: bool = False
    derived: bool = False
    steps: tuple[Step, ...] = ()
    sql: str | None = None
    constant: str | None = None
    choices: tuple[tuple[Step, ...], ...] = ()


class Suggestion(Data):
    """A ready mapping onto a target model and how it came about.

    `missing` are required fields without a source, `unused` source fields that feed nothing, `fit`
    (0 to 100) how well the target suits the source.
    """

    target: str
    fields: tuple[FieldSuggestion, ...]
    mapping: Mapping
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fit: int = 0

    def field(self, name: str) -> FieldSuggestion:
        """What is proposed for that target field; KeyError where there is no such field."""
        for field in self.fields:
            if field.field == name:
                return field
        raise KeyError(name)
