"""Steps that read dates: always into UTC, and never guessing which number is the day."""

from __future__ import annotations

import duckdb
from pydantic import Field, model_validator
from sqlglot import exp

from engine import types
from engine.model import FieldType
from engine.scratch import complaint, scratch
from engine.steps.catalogue import BadMapping, Context, Options, step
from engine.steps.tree import Expr, both, call, cast, choose, either, listed, raw, same, sql, tree


def moment(value: Expr, context: Context) -> Expr:
    """A timestamp in UTC from any unambiguous spelling (`engine.types.timestamp`).

    DuckDB's own cast ignores an offset and takes words such as infinity, so only `YYYY-…Z` goes there, and what has
    no room for an offset: `YYYY-MM-DD hh:mm:ss`.
    """
    value = context.once(value)
    zoned = both(call("ends_with", value, "Z"), exp.Between(this=_size(value), low=tree(20), high=tree(30)))
    clock = both(same(_size(value), 19), same(call("substring", value, 17, 1), ":"))
    plain = both(same(call("substring", value, 5, 1), "-"), exp.Paren(this=either(zoned, clock)))
    return choose((plain, cast(value, "TIMESTAMP")), (_has_digit(value), raw(types.timestamp(sql(value)))))


def _size(value: Expr) -> Expr:
    return call("strlen", value)


def _has_digit(value: Expr) -> Expr:
    """DuckDB reads the words infinity and epoch as moments in every format; a date has a digit."""
    return call("regexp_matches", value, "[0-9]")


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


EPOCHS = {"epoch": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}


class ParseDate(Options):
    """`formats`: one or several, tried in order: strptime formats such as `%d.%m.%Y %H:%M`, or `iso` (any
    spelling that leaves nothing to guess), `epoch`, `epoch_ms`, `epoch_us`, or `date` (03/04/2024, 3.4.2024 …),
    which must be told by `day_first` what comes first.
    """

    formats: tuple[str, ...] | str = Field(default="iso", title="Format")
    day_first: bool | None = Field(
        default=None, title="Day first", description="For formats written `date`: 03/04/2024 is 3 April."
    )

    @property
    def tried(self) -> tuple[str, ...]:
        """The formats in the order they are tried."""
        return (self.formats,) if isinstance(self.formats, str) else self.formats

    @model_validator(mode="after")
    def _ambiguity_is_settled(self) -> ParseDate:
        if not self.formats:
            raise ValueError("give at least one format")
        if "date" in self.tried and self.day_first is None:
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
    value = context.once(value)
    plain: list[str] = []
    attempts: list[Expr] = []
    for name in options.tried:
        if name == "iso":
            attempts.append(moment(value, context))
        elif name in EPOCHS:
            attempts.append(epoch_moment(value, EPOCHS[name]))
        elif name == "date":
            first, second = ("%d", "%m") if options.day_first else ("%m", "%d")
            plain.extend(shape.format(first, second) for shape in _SHAPES)
        elif "%z" in name or "%Z" in name:
            attempts.append(
                utc(cast(call("try_strptime", call("trim", value), _format(name, context)), "TIMESTAMPTZ"))
            )
        else:
            plain.append(_format(name, context))
    if plain:
        attempts.insert(0, cast(call("try_strptime", call("trim", value), listed(plain)), "TIMESTAMP"))
    read = attempts[0] if len(attempts) == 1 else call("coalesce", *attempts)
    return choose((_has_digit(value), read)) if options.formats != "iso" else read


def _format(written: str, context: Context) -> str:
    """The strptime format, once DuckDB has accepted it."""
    try:
        if "%" not in written:
            raise BadMapping(f"{context.where}: {written} is not a date format; write for example %d.%m.%Y.")
        scratch().execute(f"SELECT {sql(call('try_strptime', '', written))}").fetchone()
    except duckdb.Error as error:
        raise BadMapping(f"{context.where}: {written} is not a date format: {complaint(error)}.") from error
    return written
