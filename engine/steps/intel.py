"""Steps that know threat intelligence: canonical forms, defanging, URLs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from sqlglot import exp

from engine import types
from engine.steps.catalogue import BadMapping, Context, Options, step
from engine.steps.tree import (
    Expr,
    absent,
    both,
    call,
    careful,
    choose,
    given,
    one_of,
    raw,
    same,
    sql,
    text,
)
from engine.types.refang import BLANKS


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
    value = context.once(value)
    return careful(value, types.refang(sql(value)))


@step("defang", title="Defang", summary="Turns http://evil.com into hxxp://evil[.]com.", group="intelligence")
def defang(value: Expr, options: Options, context: Context) -> Expr:
    value = context.once(value)
    return careful(value, types.defang(sql(value)))


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

    def reads(self) -> tuple[str, ...]:
        return (self.kind_field,) if self.kind_field else ()

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
    known = choose(
        (one_of(value, vocabulary.values), value), otherwise=careful(value, vocabulary.canonical(sql(value)))
    )
    return context.once(known)


class Canonical(Kinded):
    """What to do with a value that is not of the kind."""

    on_failure: Literal["reject", "keep", "null"] = Field(default="reject", title="If it is none")


@step(
    "canonical", title="Canonical form", options=Canonical, group="intelligence",
    summary="Checks that the value is of a kind (IPv4, domain, SHA-256, …) and writes it in its one agreed form.",
    loses=lambda options: options.on_failure == "reject", failure="is not of the expected kind",
)  # fmt: skip
def canonical(value: Expr, options: Canonical, context: Context) -> Expr:
    value = context.once(value)
    form = _form(value, options, context)
    return call("coalesce", form, value) if options.on_failure == "keep" else form


class StixId(Kinded):
    """With `within`, the id belongs to that field's value: parts of one thing get ids of their own."""

    within: str | None = Field(
        default=None, title="Within field", description="For example the id of an attribute."
    )

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *((self.within,) if self.within else ()))


@step(
    "stix_id", title="Make a STIX id", options=StixId, group="intelligence",
    summary="Makes the indicator's id from kind and value, so that two feeds naming the same thing share a record.",
)  # fmt: skip
def stix_id(value: Expr, options: StixId, context: Context) -> Expr:
    if options.within is not None:
        value = context.once(value)
        return careful(value, types.indicator_id(sql(context.column(options.within)), sql(value)))
    value = context.once(value)
    kind, form = _kind(value, options, context), _form(value, options, context)
    return careful(form, types.indicator_id(sql(kind), sql(form)))


@step(
    "pattern_from", title="Make a STIX pattern", options=Kinded, group="intelligence",
    summary="Writes the STIX pattern that finds the value. Nothing for kinds that have none.",
)  # fmt: skip
def pattern_from(value: Expr, options: Kinded, context: Context) -> Expr:
    value = context.once(value)
    kind, form = _kind(value, options, context), _form(value, options, context)
    return careful(form, types.pattern_from(sql(kind), sql(form)))


def _kind(value: Expr, options: Kinded, context: Context) -> Expr:
    """The value's kind, named once for all fields that need it; what the other field cannot tell, the looks do."""
    told = options.told(context)
    if isinstance(told, exp.Literal):
        return told
    clean = _refanged(value, context)
    looks = careful(clean, types.looks(sql(clean)))
    if told is None:
        return context.once(looks)
    return context.once(
        call("coalesce", choose((_is_ipv6(told, clean), text("ipv6")), otherwise=told), looks)
    )


def _is_ipv6(told: Expr, clean: Expr) -> Expr:
    """An IPv6 address that came as an IPv4 one: most words for an address say nothing of its version."""
    form = raw(types.KINDS["ipv6"].form(sql(clean)))
    return both(same(told, "ipv4"), call("contains", clean, ":"), given(form))


def _refanged(value: Expr, context: Context) -> Expr:
    """The value without defanging marks, named once: what looks at it then needs no lambda of its own."""
    return context.once(careful(value, types.refang(sql(value))))


def _form(value: Expr, options: Kinded, context: Context) -> Expr:
    """The value's canonical form, named once; NULL where it is not of its kind."""
    told = options.told(context)
    if isinstance(told, exp.Literal):
        return context.once(careful(value, types.KINDS[told.name].canonical(sql(value))))
    if told is None:
        return context.once(_looks_form(_refanged(value, context)))
    return context.once(_told_form(value, told, context))


def _looks_form(clean: Expr) -> Expr:
    return careful(clean, types.KINDS["indicator"].form(sql(clean)))


def _told_form(value: Expr, told: Expr, context: Context) -> Expr:
    """As `types.canonical_as`, with the clean value in a layer of its own instead of a lambda."""
    refanged = _refanged(value, context)
    trimmed = context.once(call("trim", value, BLANKS))
    arms: list[tuple[Expr, Expr]] = []
    for name, kind in types.KINDS.items():
        clean = sql(refanged if kind.refangs else trimmed)
        if name == "indicator":
            arms.insert(0, (absent(told), _looks_form(refanged)))
        elif name in ("ipv4", "ipv6"):
            network = types.KINDS["cidr"].form(clean)
            other = [raw(types.KINDS["ipv6"].form(clean))] if name == "ipv4" else []
            arms.append((same(told, name), call("coalesce", raw(kind.form(clean)), raw(network), *other)))
        else:
            arms.append((same(told, name), raw(kind.form(clean))))
    return choose(*arms, otherwise=call("nullif", trimmed, ""))


@step(
    "recognise", title="Kind of value", options=Kinded, group="intelligence",
    summary="Says what the value is: ipv4, domain, url, sha256, … Nothing where it is none of them.",
)  # fmt: skip
def recognise(value: Expr, options: Kinded, context: Context) -> Expr:
    return _kind(context.once(value), options, context)


class Version(Options):
    """Where the address itself stands."""

    value_field: str = Field(min_length=1, title="Field with the address")

    def reads(self) -> tuple[str, ...]:
        return (self.value_field,)


@step(
    "ip_version", title="Tell IPv6 from IPv4", options=Version, group="intelligence",
    summary="Says ipv6 where a word such as ip came with an IPv6 address; other words stay.",
)  # fmt: skip
def ip_version(value: Expr, options: Version, context: Context) -> Expr:
    value = context.once(value)
    told = vocabulary_of("indicator-kind", value, context)
    clean = _refanged(context.column(options.value_field), context)
    return choose((_is_ipv6(told, clean), text("ipv6")), otherwise=value)


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
