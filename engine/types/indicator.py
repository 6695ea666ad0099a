"""The kind `indicator`: any of the observable kinds, told by the value's looks or by a type that came with it."""

from __future__ import annotations

from collections.abc import Iterable

from engine.types.kind import Kind
from engine.types.recognise import looks
from engine.types.refang import refang, trimmed
from engine.types.sql import let, literal

# What a value that says nothing by its looks may be, where a type came with it.
RECOGNISED = (
    "ipv4", "ipv6", "cidr", "domain", "url", "email", "mac", "asn", "md5", "sha1", "sha224", "sha256", "sha384",
    "sha512", "jarm", "ssdeep", "tlsh", "filename", "file-path", "registry-key", "user-agent", "yara", "cve", "cwe",
    "uuid", "stix-id", "bitcoin", "ethereum",
)  # fmt: skip


def indicator_kind(kinds: Iterable[Kind]) -> Kind:
    """The kind that takes any recognised value in its own canonical form."""
    forms = {kind.name: kind for kind in kinds}

    def form(value: str) -> str:
        arms = " ".join(f"WHEN {literal(name)} THEN {forms[name].form(value)}" for name in RECOGNISED)
        return let("i", looks(value), lambda kind: f"CASE {kind} {arms} END")

    return Kind("indicator", "Indicator", "Any observable value, recognised by its looks.", form, True)


def canonical_as(value: str, kind: str, kinds: Iterable[Kind]) -> str:
    """SQL: canonical form of `value` as the kind that the SQL expression `kind` names.

    A NULL kind leaves it to the value's looks; a kind we don't know keeps the trimmed value. An
    address with a prefix length counts as a network, as STIX 2.1 §6.9 and MISP have it.
    """
    every = tuple(kinds)
    nets = {"ipv4": "cidr", "ipv6": "cidr"}

    def body(clean: str) -> str:
        forms = {one.name: one.form(clean) for one in every if one.refangs}
        arms = " ".join(
            f"WHEN {literal(name)} THEN coalesce({sql}, {forms[nets[name]]})" if name in nets
            else f"WHEN {literal(name)} THEN {sql}"
            for name, sql in forms.items()
        )  # fmt: skip
        plain = " ".join(
            f"WHEN {literal(one.name)} THEN {let('w', trimmed(value), one.form)}" for one in every if not one.refangs
        )
        anything = indicator_kind(every).form(clean)
        return (
            f"CASE WHEN {kind} IS NULL THEN {anything} ELSE "
            f"CASE {kind} {arms} {plain} ELSE nullif({trimmed(value)}, '') END END"
        )

    return let("c", refang(value), body)
