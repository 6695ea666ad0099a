"""Rules on the wire: suggested from what the values are, tried on real rows, and told in words."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.tenant.schemas import Answer, Request
from engine.model import Mapping, Rule, Slug


class RulesRequest(Request):
    """Asks for rules that the values of a sample speak for."""

    source: Slug
    mappings: list[Mapping] = Field(min_length=1)
    at: int = Field(default=0, ge=0)
    rows: int = Field(default=200, ge=1, le=5000)


class TryRules(RulesRequest):
    """Asks what rules would catch, in place of those the mapping has."""

    rules: list[Rule] = Field(max_length=60)


class CaughtRow(Answer):
    """A row a rule does not hold in, with the values the rule looks at."""

    line: int
    values: dict[str, Any]


class Judged(Answer):
    """A rule in words, and how it fares: `caught` of `rows`, the first of them shown.

    A rule over a whole run is judged on the sample as if it were the run: `holds` says how. Of `unique`
    only what repeats inside the sample can be seen.
    """

    rule: Rule
    says: str
    scope: Literal["row", "set", "run"]
    caught: int
    rows: int
    examples: list[CaughtRow] = []
    holds: bool | None = None
    note: str = ""


class RuleOffer(Answer):
    """A rule the mapping does not have, why the values speak for it, and what it would catch now."""

    judged: Judged
    why: str


class RuleOffers(Answer):
    """Rules to choose from, those that catch something first."""

    offers: list[RuleOffer]
    extent: str


class Judgement(Answer):
    """How rules fare on a sample. `extent` says of how many rows."""

    rules: list[Judged]
    extent: str


class OperatorView(Answer):
    """A kind of rule. `sentence` is what it says with `{option}` in the place of its options."""

    name: str
    title: str
    summary: str
    sentence: str
    scope: Literal["row", "set", "run"]
    needs_field: bool
    options: dict[str, Any]
