"""Deterministic identifiers: UUIDv5 in SQL, so that the same indicator from two feeds is one record.

STIX 2.1 §2.9 derives the ids of cyber observables from their contributing properties. Indicators
have no such rule in the standard; ours is UUIDv5 over `kind:value` in a namespace of our own.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from engine.types.sql import let, literal

OBSERVABLES = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""STIX 2.1 §2.9, the namespace of cyber observables."""

INDICATORS = uuid5(UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), "urn:phantom-spire:indicator")
"""Ours: UUIDv5 of `urn:phantom-spire:indicator` in the URL namespace of RFC 4122."""


def uuid5_of(namespace: UUID, name: str) -> str:
    """SQL: UUIDv5 (RFC 4122 §4.3) of a VARCHAR expression; NULL for NULL."""
    digest = f"sha1(unhex({literal(namespace.hex)}) || encode({name}))"

    def body(h: str) -> str:
        variant = f"translate(substr({h}, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')"
        return (
            f"substr({h}, 1, 8) || '-' || substr({h}, 9, 4) || '-5' || substr({h}, 14, 3) || '-' "
            f"|| {variant} || substr({h}, 18, 3) || '-' || substr({h}, 21, 12)"
        )

    return let("h", digest, body)


def indicator_id(kind: str, value: str) -> str:
    """SQL: our deterministic STIX id of an indicator, from SQL of its kind and its canonical value."""
    named = f"({kind}) || ':' || ({value})"
    return f"'indicator--' || {uuid5_of(INDICATORS, named)}"


def observable_id(kind: str, value: str) -> str:
    """SQL: the STIX 2.1 id of the observable with that single `value`; NULL for kinds made of several properties."""
    names = " ".join(
        f"WHEN {literal(k)} THEN {literal(t)}"
        for k, t in {
            "ipv4": "ipv4-addr", "ipv6": "ipv6-addr", "domain": "domain-name", "url": "url",
            "email": "email-addr", "mac": "mac-addr",
        }.items()
    )  # fmt: skip
    identity = uuid5_of(OBSERVABLES, f"'{{\"value\":' || CAST(to_json({value}) AS VARCHAR) || '}}'")
    return f"CASE {kind} {names} END || '--' || {identity}"
