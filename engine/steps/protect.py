"""Steps that keep a value from being read: hashes and masks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlglot import exp

from engine.steps.catalogue import Context, Options, step
from engine.steps.tree import Expr, call, tree


class Hash(Options):
    algorithm: Literal["sha256", "sha1", "md5"] = Field(default="sha256", title="Algorithm")


@step(
    "hash", title="Hash", options=Hash, group="protect",
    summary="Replaces the text by its hash in hexadecimal. It is not secret: equal texts stay comparable.",
)  # fmt: skip
def hash_(value: Expr, options: Hash, context: Context) -> Expr:
    return call(options.algorithm, value)


class Mask(Options):
    keep_last: int = Field(default=4, ge=0, le=100, title="Characters to keep")


@step(
    "mask", title="Mask", options=Mask, group="protect",
    summary="Replaces all but the last characters by *. A text no longer than that is masked whole.",
)  # fmt: skip
def mask(value: Expr, options: Mask, context: Context) -> Expr:
    value = context.once(value)
    length = call("length", value)
    kept = (
        exp.Case()
        .when(exp.GT(this=length, expression=tree(options.keep_last)), tree(options.keep_last))
        .else_(tree(0))
    )
    hidden = call(
        "regexp_replace",
        call("left", value, exp.Paren(this=exp.Sub(this=length, expression=kept))),
        "(?s).",
        "*",
        "g",
    )
    return exp.DPipe(this=hidden, expression=call("right", value, kept))
