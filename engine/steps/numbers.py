"""Steps on numbers and truth values. A number that does not fit is a reject, never rounded in silence."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from sqlglot import exp

from engine.model import FieldType
from engine.steps.catalogue import Context, Options, step
from engine.steps.tree import Expr, call, cast, choose, one_of, text

WHOLE = r"\s*[+-]?[0-9]+([.]0*)?\s*"
EXACT = r"-?[0-9]{1,29}([.][0-9]{1,9}0*)?"
SHORT = r"-?[0-9]{1,9}([.][0-9]{1,9})?"

Factor = Annotated[float, Field(allow_inf_nan=False)]


def whole(value: Expr, context: Context) -> Expr:
    """A BIGINT from text that writes a whole number; DuckDB alone would round 1.5 and read 0x1F."""
    value = context.once(value)
    return choose(
        (call("regexp_full_match", value, "-?[0-9]+"), cast(value, "BIGINT")),
        (call("regexp_full_match", value, WHOLE), cast(value, "BIGINT")),
    )


def exact(value: Expr, context: Context) -> Expr:
    """A DECIMAL(38,9) from text, only where no digit is lost; exponents are read, hex is not."""
    value = context.once(value)
    number = cast(value, "DECIMAL(38, 9)")
    written = call(
        "regexp_full_match", call("trim", value), r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
    )
    loses_nothing = exp.EQ(this=cast(number, "DOUBLE"), expression=cast(value, "DOUBLE"))
    nine = exp.Not(this=call("regexp_matches", value, r"[.][0-9]{9}[0-9]*[1-9]"))
    # A machine word holds most numbers, and takes a hundredth of the time that the wide type takes to read them.
    narrow = cast(cast(value, "DECIMAL(18, 9)"), "DECIMAL(38, 9)")
    return choose(
        (call("regexp_full_match", value, SHORT), narrow),
        (call("regexp_full_match", value, EXACT), number),
        (exp.and_(written, nine, loses_nothing), number),
    )


class Number(Options):
    """How the number is written."""

    decimal: str = Field(default=".", min_length=1, max_length=1, title="Decimal sign")
    thousands: str = Field(default="", max_length=1, title="Thousands separator")

    @model_validator(mode="after")
    def _signs_differ(self) -> Number:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must differ")
        return self


@step(
    "number", title="Read a number", options=Number, gives=FieldType.DECIMAL, group="numbers",
    summary="Reads text as a number, with the decimal sign and thousands separator you give.",
    loses=True, failure="is not a number",
)  # fmt: skip
def number(value: Expr, options: Number, context: Context) -> Expr:
    if options.thousands:
        value = call("replace", value, options.thousands, "")
    if options.decimal != ".":
        # A point that is neither sign makes the text no number: it must not slip through as one.
        stray = "" if options.thousands == "." else "."
        value = call("replace", call("replace", value, ".", "?") if stray else value, options.decimal, ".")
    return exact(call("trim", value), context)


class Scale(Options):
    factor: Factor = Field(default=1.0, title="Multiply by")
    offset: Factor = Field(default=0.0, title="Then add")


@step(
    "scale", title="Multiply and add", options=Scale, takes=FieldType.DECIMAL, gives=FieldType.DECIMAL,
    group="numbers", summary="Multiplies the number and adds to it, for example to bring 0–10 to 0–100.",
)  # fmt: skip
def scale(value: Expr, options: Scale, context: Context) -> Expr:
    product = exp.Mul(this=cast(value, "DOUBLE"), expression=_float(options.factor))
    total = exp.Paren(this=exp.Add(this=product, expression=_float(options.offset)))
    return cast(call("round", total, 9), "DECIMAL(38, 9)")


def _float(value: float) -> Expr:
    return cast(text(repr(value)), "DOUBLE")


class Round(Options):
    digits: int = Field(default=0, ge=0, le=9, title="Digits after the point")


@step(
    "round", title="Round", options=Round, takes=FieldType.DECIMAL, gives=FieldType.DECIMAL, group="numbers",
    summary="Rounds the number; a half goes away from zero.",
)  # fmt: skip
def round_(value: Expr, options: Round, context: Context) -> Expr:
    return cast(call("round", value, options.digits), "DECIMAL(38, 9)")


class Boolean(Options):
    """Words are compared without regard to case and surrounding spaces."""

    yes: tuple[str, ...] = Field(
        default=("true", "t", "yes", "y", "1", "on"), min_length=1, title="Words for yes"
    )
    no: tuple[str, ...] = Field(
        default=("false", "f", "no", "n", "0", "off"), min_length=1, title="Words for no"
    )


@step(
    "boolean", title="Read yes or no", options=Boolean, gives=FieldType.BOOLEAN, group="numbers",
    summary="Reads words such as yes, no, true and 0 as a truth value.",
    loses=True, failure="is neither yes nor no",
)  # fmt: skip
def boolean(value: Expr, options: Boolean, context: Context) -> Expr:
    value = context.once(call("lower", call("trim", value)))
    return choose(
        (one_of(value, [w.lower() for w in options.yes]), exp.true()),
        (one_of(value, [w.lower() for w in options.no]), exp.false()),
    )
