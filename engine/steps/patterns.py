"""Steps on STIX patterns. The one spelling nearly every feed uses is read without a regular expression."""

from __future__ import annotations

from sqlglot import exp

from engine import types
from engine.model import FieldType
from engine.steps.catalogue import Context, Options, step
from engine.steps.tree import Expr, both, call, careful, cast, choose, differ, listed, one_of, same, sql, text
from engine.types.pattern import PATHS, WRITTEN

_KIND = {path: kind for kind, paths in PATHS.items() for path in paths}
# `[ipv4-addr:value = '` and the like: what stands before the value in the common spelling, and its kind.
HEADS = {f"[{path} = '": _KIND[path.replace("'", "").lower()] for path in dict.fromkeys(WRITTEN.values())}


def _common(pattern: Expr, context: Context) -> tuple[Expr, Expr]:
    """What stands before the last quoted text, and that text. Before it stands one of HEADS only where the
    pattern is a single plain comparison: the value then holds no quote, and a backslash makes it empty."""
    value = context.once(call("split_part", pattern, "'", -2))
    before = exp.Sub(
        this=exp.Sub(this=call("length", pattern), expression=call("length", value)),
        expression=exp.Literal.number(2),
    )
    plain = both(
        call("ends_with", pattern, "']"),
        differ(value, ""),
        exp.Not(this=call("contains", value, "\\")),
    )  # fmt: skip
    return context.once(choose((plain, call("substring", pattern, 1, before)))), value


@step(
    "pattern_value", title="Value of a STIX pattern", group="intelligence",
    summary="Takes the value out of a pattern such as [ipv4-addr:value = '198.51.100.1'].",
)  # fmt: skip
def pattern_value(pattern: Expr, options: Options, context: Context) -> Expr:
    pattern = context.once(pattern)
    head, value = _common(pattern, context)
    return choose((one_of(head, HEADS), value), otherwise=careful(pattern, types.pattern_value(sql(pattern))))


@step(
    "pattern_kind", title="Kind of a STIX pattern", group="intelligence",
    summary="Says what a simple pattern looks for: ipv4, domain, url, sha256, …",
)  # fmt: skip
def pattern_kind(pattern: Expr, options: Options, context: Context) -> Expr:
    pattern = context.once(pattern)
    head, value = _common(pattern, context)
    network = choose((call("contains", value, "/"), text("cidr")))
    arms = [
        (
            same(head, known),
            call("coalesce", network.copy(), kind) if kind in ("ipv4", "ipv6") else text(kind),
        )
        for known, kind in HEADS.items()
    ]
    return choose(*arms, otherwise=careful(pattern, types.pattern_kind(sql(pattern))))


@step(
    "pattern_observables", title="Observables of a STIX pattern", gives=FieldType.JSON, group="intelligence",
    summary="Lists every value a pattern names, as JSON. Nothing where the pattern is more than a list of values.",
)  # fmt: skip
def pattern_observables(pattern: Expr, options: Options, context: Context) -> Expr:
    kind, value = pattern_kind(pattern, options, context), pattern_value(pattern, options, context)
    pattern = context.once(pattern)
    head, _ = _common(pattern, context)
    only = exp.Struct(expressions=[_entry("type", context.once(kind)), _entry("value", context.once(value))])
    single = cast(call("to_json", listed([only])), "VARCHAR")
    several = careful(pattern, types.pattern_observables(sql(pattern)))
    return cast(choose((one_of(head, HEADS), single), otherwise=several), "JSON")


def _entry(name: str, value: Expr) -> Expr:
    return exp.PropertyEQ(this=exp.to_identifier(name), expression=value)
