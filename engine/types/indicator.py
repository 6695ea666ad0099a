"""The kind `indicator`: any of the observable kinds, told by the value's looks or by a type that came with it."""

from __future__ import annotations

from collections.abc import Iterable

from engine.types.kind import Kind
from engine.types.recognise import looks_form
from engine.types.refang import refang, trimmed
from engine.types.sql import let, literal

INDICATOR = Kind("indicator", "Indicator", "Any observable value, recognised by its looks.", looks_form, True)

# An address with a prefix length is a network, whatever its type says: STIX 2.1 §6.9 and MISP write them so.
_NETWORKS = ("ipv4", "ipv6")


def form_as(value: str, clean: str, kind: str, kinds: Iterable[Kind]) -> str:
    """SQL: canonical form as the kind that the SQL expression `kind` names; `clean` is the refanged value.

    A NULL kind leaves it to the value's looks; a kind we don't know keeps the trimmed value. Give
    columns: all three stand here many times.
    """
    forms = {one.name: one.form(clean if one.refangs else trimmed(value)) for one in kinds}
    six = forms["ipv6"]
    for name in _NETWORKS:
        forms[name] = f"coalesce({forms[name]}, {forms['cidr']})"
    # Most words for an address are of either version.
    forms["ipv4"] = f"coalesce({forms['ipv4']}, {six})"
    arms = " ".join(f"WHEN {literal(name)} THEN {form}" for name, form in forms.items())
    return (
        f"CASE WHEN {kind} IS NULL OR {kind} = 'indicator' THEN {looks_form(clean)} ELSE "
        f"CASE {kind} {arms} ELSE nullif({trimmed(value)}, '') END END"
    )


def canonical_as(value: str, kind: str, kinds: Iterable[Kind]) -> str:
    """SQL: `form_as` in one expression."""
    every = tuple(kinds)
    return let("c", refang(value), lambda clean: form_as(value, clean, kind, every))
