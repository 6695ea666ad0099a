"""Steps that put one value in the place of another: defaults, value maps, look-ups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from engine import types
from engine.steps.catalogue import BadMapping, Context, Options, step
from engine.steps.tree import Expr, call, cast, choose, column, given, one_of, raw, sql, text
from engine.types.sql import worded

Name = Annotated[str, Field(min_length=1, max_length=200)]
MOST_ENTRIES = 5000


class Default(Options):
    value: str = Field(max_length=10_000, title="Value")


@step(
    "default",
    title="Use when missing",
    options=Default,
    group="values",
    summary="Puts a value where there is none.",
)
def default(value: Expr, options: Default, context: Context) -> Expr:
    return call("coalesce", call("nullif", value, ""), options.value)


class NullIf(Options):
    values: tuple[str, ...] = Field(min_length=1, max_length=MOST_ENTRIES, title="Words that mean nothing")


@step(
    "null_if", title="Treat as missing", options=NullIf, group="values",
    summary="Makes words such as N/A, - or unknown count as no value, whatever their case.",
)  # fmt: skip
def null_if(value: Expr, options: NullIf, context: Context) -> Expr:
    value = context.once(value)
    return choose(
        (one_of(call("lower", call("trim", value)), [v.strip().lower() for v in options.values]), exp.null()),
        otherwise=value,
    )


class Map(Options):
    """Either `values` (word → word) or the name of a built-in vocabulary. Case and outer spaces don't matter."""

    values: dict[str, str | None] | None = Field(default=None, max_length=MOST_ENTRIES, title="Values")
    vocabulary: str | None = Field(default=None, title="Vocabulary")
    otherwise: Literal["keep", "null", "value", "reject"] = Field(default="keep", title="Other values")
    value: str | None = Field(default=None, title="Value for others")

    @model_validator(mode="after")
    def _one_list(self) -> Map:
        if (self.values is None) == (self.vocabulary is None):
            raise ValueError("give either values or vocabulary")
        if (self.otherwise == "value") != (self.value is not None):
            raise ValueError("`value` goes with otherwise: value")
        if len(set(_folded(self.values or {}).items())) != len(
            {(_fold(w), r) for w, r in (self.values or {}).items()}
        ):
            raise ValueError("a word stands twice with different results; case and outer spaces don't count")
        return self


@step(
    "map", title="Replace by a list", options=Map, group="values",
    summary="Replaces words by others, from a list of your own or a built-in vocabulary.",
    loses=lambda options: options.otherwise == "reject", failure="is not in the list of known words",
)  # fmt: skip
def map_(value: Expr, options: Map, context: Context) -> Expr:
    table = (
        known_words(options.vocabulary, context.where)
        if options.vocabulary
        else _folded(options.values or {})
    )
    value = context.once(value)
    others = {
        "keep": value,
        "null": exp.null(),
        "reject": exp.null(),
        "value": choose((given(value), text(options.value or ""))),
    }[options.otherwise]
    known = {word: result for word, result in table.items() if result is not None}
    if known:
        others = call("coalesce", raw(worded(sql(value), known)), others)
    # What stands for nothing is no unknown word.
    nothing = sorted(word for word, result in table.items() if result is None)
    return (
        choose((one_of(call("lower", call("trim", value)), nothing), exp.null()), otherwise=others)
        if nothing
        else others
    )


def known_words(name: str, where: str) -> dict[str, str | None]:
    """A built-in vocabulary as lower-case word → its value."""
    vocabulary = types.VOCABULARIES.get(name)
    if vocabulary is None:
        known = ", ".join(sorted(types.VOCABULARIES))
        raise BadMapping(f"{where}: there is no vocabulary {name}. There are {known}.")
    return dict(vocabulary.words())


def _fold(word: str) -> str:
    return word.strip().lower()


def _folded(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {_fold(word): result for word, result in values.items()}


class Coalesce(Options):
    fields: tuple[Name, ...] = Field(min_length=1, title="Other fields")

    def reads(self) -> tuple[str, ...]:
        return self.fields


@step(
    "coalesce", title="First that is there", options=Coalesce, group="values",
    summary="Keeps this value, or takes the first of other source fields that has one.",
)  # fmt: skip
def coalesce(value: Expr, options: Coalesce, context: Context) -> Expr:
    parts = [value, *(context.column(name) for name in options.fields)]
    return call("coalesce", *(call("nullif", part, "") for part in parts))


class Lookup(Options):
    """Records of this tenant as they stood before the run; the smallest where several match."""

    target: str = Field(min_length=1, title="Target model")
    match: str = Field(min_length=1, title="Field to match")
    field: str = Field(min_length=1, title="Field to take")


@step(
    "lookup", title="Look up in records", options=Lookup, group="values",
    summary="Finds the stored record whose field equals this value and takes another of its fields.",
)  # fmt: skip
def lookup(value: Expr, options: Lookup, context: Context) -> Expr:
    table = context.stored(options.target, options.match, options.field)
    value = context.once(value)
    found = exp.select(call("min", cast(column(options.field), "VARCHAR"))).from_(table)
    found = found.where(exp.EQ(this=cast(column(options.match), "VARCHAR"), expression=value))
    return exp.Subquery(this=found)
