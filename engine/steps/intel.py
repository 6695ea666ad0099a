"""Steps that know threat intelligence: canonical forms, defanging, URLs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from engine import types
from engine.model import FieldType
from engine.steps.catalogue import BadMapping, Context, Options, step
from engine.steps.tree import Expr, call, cast, choose, one_of, raw, sql, text


def kind_of(name: str, where: str) -> types.Kind:
    """The kind of that name; a Stop error with the known ones where there is none."""
    kind = types.KINDS.get(name)
    if kind is None:
        raise BadMapping(f"{where}: there is no kind {name}. There are {', '.join(sorted(types.KINDS))}.")
    return kind


@step(
    "refang",
    title="Refang",
    summary="Turns hxxp://evil[.]com back into http://evil.com.",
    group="intelligence",
)
def refang(value: Expr, options: Options, context: Context) -> Expr:
    return raw(types.refang(sql(context.once(value))))


@step("defang", title="Defang", summary="Turns http://evil.com into hxxp://evil[.]com.", group="intelligence")
def defang(value: Expr, options: Options, context: Context) -> Expr:
    return raw(types.defang(sql(context.once(value))))


class Kinded(Options):
    """Which kind the value is of: one fixed `kind`, the word in another source field, or (neither) its looks."""

    kind: str | None = Field(default=None, title="Kind of value")
    kind_field: str | None = Field(default=None, title="Field that names the kind")
    vocabulary: str = Field(default="indicator-kind", title="How that field names kinds")

    @model_validator(mode="after")
    def _one_way(self) -> Kinded:
        if self.kind is not None and self.kind_field is not None:
            raise ValueError("give kind or kind_field, not both")
        return self

    def told(self, context: Context) -> Expr | None:
        """The kind as an expression; None where only the value's looks can tell."""
        if self.kind is not None:
            return None if self.kind == "indicator" else text(kind_of(self.kind, context.where).name)
        if self.kind_field is None:
            return None
        return vocabulary_of(self.vocabulary, context.column(self.kind_field), context)


def vocabulary_of(name: str, value: Expr, context: Context) -> Expr:
    """The vocabulary's word for the value, computed once; NULL for other words of a closed one."""
    vocabulary = types.VOCABULARIES.get(name)
    if vocabulary is None:
        raise BadMapping(f"{context.where}: there is no vocabulary {name}.")
    value = context.once(value)
    known = choose((one_of(value, vocabulary.values), value), otherwise=raw(vocabulary.canonical(sql(value))))
    return context.once(known)


class Canonical(Kinded):
    on_failure: Literal["reject", "keep", "null"] = Field(default="reject", title="If it is none")


@step(
    "canonical", title="Canonical form", options=Canonical, group="intelligence",
    summary="Checks that the value is of a kind (IPv4, domain, SHA-256, …) and writes it in its one agreed form.",
    loses=lambda options: options.on_failure == "reject", failure="is not of the expected kind",
)  # fmt: skip
def canonical(value: Expr, options: Canonical, context: Context) -> Expr:
    kind = options.told(context)
    value = context.once(value)
    if isinstance(kind, exp.Literal):
        form = raw(types.KINDS[kind.name].canonical(sql(value)))
    elif kind is None:
        form = raw(types.KINDS["indicator"].canonical(sql(value)))
    else:
        form = raw(types.canonical_as(sql(value), sql(kind)))
    return call("coalesce", form, value) if options.on_failure == "keep" else form


@step(
    "stix_id", title="Make a STIX id", options=Kinded, group="intelligence",
    summary="Makes the indicator's id from kind and value, so that two feeds naming the same thing share a record.",
)  # fmt: skip
def stix_id(value: Expr, options: Kinded, context: Context) -> Expr:
    kind, form = _kind_and_form(value, options, context)
    return raw(types.indicator_id(sql(kind), sql(form)))


@step(
    "pattern_from", title="Make a STIX pattern", options=Kinded, group="intelligence",
    summary="Writes the STIX pattern that finds the value. Nothing for kinds that have none.",
)  # fmt: skip
def pattern_from(value: Expr, options: Kinded, context: Context) -> Expr:
    kind, form = _kind_and_form(value, options, context)
    return raw(types.pattern_from(sql(kind), sql(form)))


def _kind_and_form(value: Expr, options: Kinded, context: Context) -> tuple[Expr, Expr]:
    told = options.told(context)
    value = context.once(value)
    looks = raw(types.recognise(sql(value)))
    kind = looks if told is None else told if isinstance(told, exp.Literal) else call("coalesce", told, looks)
    form = canonical(
        value,
        Canonical(kind=options.kind, kind_field=options.kind_field, vocabulary=options.vocabulary),
        context,
    )
    return context.once(kind), context.once(form)


@step(
    "pattern_value", title="Value of a STIX pattern", group="intelligence",
    summary="Takes the value out of a pattern such as [ipv4-addr:value = '198.51.100.1'].",
)  # fmt: skip
def pattern_value(value: Expr, options: Options, context: Context) -> Expr:
    return raw(types.pattern_value(sql(context.once(value))))


@step(
    "pattern_kind", title="Kind of a STIX pattern", group="intelligence",
    summary="Says what a simple pattern looks for: ipv4, domain, url, sha256, …",
)  # fmt: skip
def pattern_kind(value: Expr, options: Options, context: Context) -> Expr:
    return raw(types.pattern_kind(sql(context.once(value))))


@step(
    "pattern_observables", title="Observables of a STIX pattern", gives=FieldType.JSON, group="intelligence",
    summary="Lists every value a pattern names, as JSON. Nothing where the pattern is more than a list of values.",
)  # fmt: skip
def pattern_observables(value: Expr, options: Options, context: Context) -> Expr:
    return cast(raw(types.pattern_observables(sql(context.once(value)))), "JSON")


@step(
    "recognise", title="Kind of value", options=Kinded, group="intelligence",
    summary="Says what the value is: ipv4, domain, url, sha256, … Nothing where it is none of them.",
)  # fmt: skip
def recognise(value: Expr, options: Kinded, context: Context) -> Expr:
    told = options.told(context)
    looks = raw(types.recognise(sql(context.once(value))))
    return looks if told is None else call("coalesce", told, looks)


class UrlPart(Options):
    part: Literal["scheme", "host", "port", "path", "query", "fragment"] = Field(title="Part")


# RFC 3986 appendix B, with user information and port taken apart and IPv6 hosts in brackets.
_URL = {
    "scheme": (r"^([A-Za-z][A-Za-z0-9+.-]*):", 1),
    "host": (r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^:/?#]*)", 1),
    "port": (r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?:\[[^\]/?#]*\]|[^:/?#]*):([0-9]+)", 1),
    "path": (r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)", 1),
    "query": (r"^[^?#]*\?([^#]*)", 1),
    "fragment": (r"^[^#]*#(.*)", 1),
}


@step(
    "url_part", title="Part of a URL", options=UrlPart, group="intelligence",
    summary="Takes scheme, host, port, path, query or fragment of a URL.",
)  # fmt: skip
def url_part(value: Expr, options: UrlPart, context: Context) -> Expr:
    regex, group = _URL[options.part]
    part = call("regexp_extract", value, regex, group)
    if options.part in ("scheme", "host"):
        part = call("lower", part)
    if options.part == "host":
        part = call("trim", part, "[]")
    return call("nullif", part, "")
