"""The step catalogue: what a step is, and how one joins it.

A step is described once, here read by the compiler (its SQL), the API (its options as JSON Schema) and
the page (its words). `sql` gets the value as an expression, its options and a context, and returns
the expression after the step. It must hold for every value: NULL stays NULL, nothing may raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlglot import exp

from engine.errors import Stop
from engine.model import FieldType
from engine.scratch import complaint, scratch
from engine.steps.tree import Expr, call, sql

LONGEST_PATTERN = 1000


class BadMapping(Stop):
    """This mapping cannot run as it stands."""


class Options(BaseModel):
    """Base of every step's options: unknown ones are errors, not guesses."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def reads(self) -> tuple[str, ...]:
        """Other source fields the step takes values from."""
        return ()


class Nothing(Options):
    """For steps without options."""


class Context(Protocol):
    """What a step may ask of the plan it becomes part of."""

    @property
    def where(self) -> str:
        """The place for messages: which field and which step."""

    def column(self, name: str) -> Expr:
        """Another source field of the same row."""

    def once(self, value: Expr) -> Expr:
        """The value, computed once however often it is used."""

    def stored(self, target: str, *fields: str) -> exp.Table:
        """The view of stored records of a target model, its fields known to exist."""


@dataclass(frozen=True)
class StepKind:
    """One entry of the catalogue.

    `loses(options)` is true where the step can turn a value that is there into nothing because it does
    not understand it: the plan then adds a check, so that the row is a reject and not a silent gap.
    """

    name: str
    title: str
    summary: str
    options: type[Options]
    takes: FieldType
    gives: Callable[[Any], FieldType]
    sql: Callable[[Expr, Any, Context], Expr]
    loses: Callable[[Any], bool]
    failure: str
    group: str

    def schema(self) -> dict[str, Any]:
        """The options as JSON Schema, for forms."""
        return self.options.model_json_schema()

    def read(self, options: dict[str, Any], where: str) -> Options:
        """The options checked; a Stop error naming place and option where they are not valid."""
        try:
            return self.options.model_validate(options)
        except ValidationError as error:
            raise BadMapping(f"{where}: {told(error)}.") from error


STEPS: dict[str, StepKind] = {}


def step(
    name: str,
    *,
    title: str,
    summary: str,
    group: str,
    options: type[Options] = Nothing,
    takes: FieldType = FieldType.TEXT,
    gives: FieldType | Callable[[Any], FieldType] = FieldType.TEXT,
    loses: Callable[[Any], bool] | bool = False,
    failure: str = "",
) -> Callable[[Callable[[Expr, Any, Context], Expr]], Callable[[Expr, Any, Context], Expr]]:
    """Put the decorated function into the catalogue as the step's SQL."""

    def keep(function: Callable[[Expr, Any, Context], Expr]) -> Callable[[Expr, Any, Context], Expr]:
        STEPS[name] = StepKind(
            name=name, title=title, summary=summary, options=options, takes=takes, sql=function,
            gives=gives if not isinstance(gives, FieldType) else lambda _: gives,
            loses=loses if not isinstance(loses, bool) else lambda _: loses,
            failure=failure, group=group,
        )  # fmt: skip
        return function

    return keep


def told(error: ValidationError, *, near: bool = False) -> str:
    """The first thing pydantic found, in one plain clause; `near` where a line already says the place."""
    first = error.errors()[0]
    loc = first["loc"][-1:] if near and first["loc"] and isinstance(first["loc"][-1], str) else first["loc"]
    place = "" if near and loc == first["loc"] and len(loc) > 1 else ".".join(str(part) for part in loc)
    words = {"missing": "is missing", "extra_forbidden": "is not known here"}.get(first["type"])
    message = words or first["msg"].removeprefix("Value error, ")
    return f"{place} {message}" if words else f"{place}: {message}" if place else message


def pattern(regex: str, where: str) -> str:
    """The regular expression, once DuckDB's own engine (RE2, linear time) has accepted it."""
    if len(regex) > LONGEST_PATTERN:
        raise BadMapping(f"{where}: the pattern is longer than {LONGEST_PATTERN} characters.")
    try:
        scratch().execute(f"SELECT {sql(call('regexp_matches', '', regex))}").fetchone()
    except duckdb.Error as error:
        raise BadMapping(f"{where}: the pattern {regex!r} is not valid: {complaint(error)}.") from error
    return regex


def groups_of(regex: str) -> int:
    """How many groups capture: `(…)` and `(?P<name>…)`, not `(?:…)`, `\\(` or `[(]`."""
    bare = re.sub(r"\\Q.*?(\\E|$)|\\.|\[\^?\]?(\\.|\[:\w+:\]|[^\]\\])*\]", "", regex, flags=re.S)
    return len(re.findall(r"\((?!\?)|\(\?P?<", bare))
