"""Steps that read dates: always into UTC, and never guessing which number is the day."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from engine import types
from engine.model import FieldType
from engine.steps.catalogue import Context, Options, step
from engine.steps.tree import Expr, both, call, cast, choose, listed, raw, same, sql, tree


def moment(value: Expr, context: Context) -> Expr:
    """A timestamp in UTC from any unambiguous spelling (`engine.types.timestamp`).

    DuckDB's own cast ignores an offset and takes words such as infinity, so only `YYYY-…Z` goes there.
    """
    value = context.once(value)
    plain = both(call("ends_with", value, "Z"), same(call("substring", value, 5, 1), "-"))
    # COALESCE looks at its second argument only for rows the first gives nothing for.
    return call("coalesce", choose((plain, cast(value, "TIMESTAMP"))), raw(types.timestamp(sql(value))))


def utc(moment: Expr) -> Expr:
    """TIMESTAMPTZ as TIMESTAMP in UTC, whatever the connection's time zone is."""
    return call("make_timestamp", call("epoch_us", moment))


def epoch_moment(value: Expr, unit: int) -> Expr:
    """A timestamp from a count of 1/unit seconds since 1970, between the years 1900 and 9999."""
    number = cast(value, "DECIMAL(38,9)")
    micros = exp.Cast(
        this=call("round", exp.Mul(this=number, expression=tree(1_000_000 // unit)), 0),
        to=exp.DataType.build("BIGINT"),
    )
    inside = exp.Between(
        this=number, low=tree(-2_208_988_800 * unit), high=tree(253_402_300_799 * unit)
    )  # fmt: skip
    return choose((inside, call("make_timestamp", micros)))


class ParseDate(Options):
    """`formats` are strptime formats tried in order, or `iso`, `epoch`, `epoch_ms`.

    A format written with day or month as two digits on either side of the other (`%d/%m/%Y`) says which
    comes first; `auto` formats without saying so are not offered, because 03/04 would be a guess.
    """

    formats: tuple[str, ...] | Literal["iso", "epoch", "epoch_ms"] = Field(default="iso", title="Format")
    day_first: bool | None = Field(
        default=None, title="Day first", description="For formats written `date`: 03/04/2024 is 3 April."
    )

    @model_validator(mode="after")
    def _ambiguity_is_settled(self) -> ParseDate:
        if isinstance(self.formats, str):
            return self
        if not self.formats:
            raise ValueError("give at least one format")
        if "date" in self.formats and self.day_first is None:
            raise ValueError("say with day_first whether 03/04/2024 is 3 April or 4 March")
        return self


# What `date` stands for in a list of formats, by which of day and month comes first.
_SHAPES = ("{}/{}/%Y %H:%M:%S", "{}/{}/%Y %H:%M", "{}/{}/%Y", "{}.{}.%Y %H:%M:%S", "{}.{}.%Y %H:%M", "{}.{}.%Y",
           "{}-{}-%Y %H:%M:%S", "{}-{}-%Y %H:%M", "{}-{}-%Y")  # fmt: skip


@step(
    "parse_date", title="Read a date", options=ParseDate, gives=FieldType.TIMESTAMP, group="dates",
    summary="Reads text as a moment in UTC, in the format you give. What does not fit becomes a reject.",
    loses=True, failure="is not a date in the expected format",
)  # fmt: skip
def parse_date(value: Expr, options: ParseDate, context: Context) -> Expr:
    if options.formats == "iso":
        return moment(value, context)
    if options.formats in ("epoch", "epoch_ms"):
        return epoch_moment(context.once(value), 1 if options.formats == "epoch" else 1000)
    value = context.once(call("trim", value))
    plain: list[str] = []
    attempts: list[Expr] = []
    for name in options.formats:
        if name in ("iso", "epoch", "epoch_ms"):
            attempts.append(parse_date(value, ParseDate(formats=name), context))
        elif name == "date":
            first, second = ("%d", "%m") if options.day_first else ("%m", "%d")
            plain.extend(shape.format(first, second) for shape in _SHAPES)
        elif "%z" in name or "%Z" in name:
            attempts.append(utc(cast(call("try_strptime", value, name), "TIMESTAMPTZ")))
        else:
            plain.append(name)
    if plain:
        attempts.insert(0, cast(call("try_strptime", value, listed(plain)), "TIMESTAMP"))
    return attempts[0] if len(attempts) == 1 else call("coalesce", *attempts)
