"""Kinds that name things in catalogues: CVE, CWE, UUID, STIX ids, wallets, countries."""

from __future__ import annotations

from engine.types.kind import Kind
from engine.types.sql import among, full, literal, when
from engine.types.vocabularies.country import ALPHA3, COUNTRIES

UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
BASE58_SHAPE = "[13][1-9A-HJ-NP-Za-km-z]+"
BECH32_SHAPE = "(?:bc1|tb1)[02-9ac-hj-np-z]+|(?:BC1|TB1)[02-9AC-HJ-NP-Z]+"


def cve_form(value: str) -> str:
    """CVE-YYYY-NNNN with four digits or more, upper case."""
    return when(full(value, "(?i)cve-(?:19|20)[0-9]{2}-[0-9]{4,19}"), f"upper({value})")


def cwe_form(value: str) -> str:
    return when(full(value, "(?i)cwe-[0-9]{1,5}"), f"upper({value})")


def uuid_form(value: str) -> str:
    """Lower case, without braces or `urn:uuid:`."""
    shape = rf"(?i:urn:uuid:)?{UUID}|\{{{UUID}\}}"
    return when(full(value, shape), f"lower(regexp_extract({value}, {literal(UUID)}))")


def stix_id_form(value: str) -> str:
    """STIX 2.1 §2.9: type, two hyphens and a UUID, lower case."""
    return when(full(value, rf"(?i:[a-z0-9-]+)--{UUID}"), f"lower({value})")


def bitcoin_form(value: str) -> str:
    """The address, its checksum verified; Bech32 in lower case."""
    return when(
        f"strlen({value}) BETWEEN 25 AND 90 AND {full(value, f'{BASE58_SHAPE}|{BECH32_SHAPE}')}",
        f"spire_bitcoin({value})",
    )


def ethereum_form(value: str) -> str:
    """Lower case: the mixed case of EIP-55 is only a checksum."""
    return when(full(value, "0[xX][0-9a-fA-F]{40}"), f"lower({value})")


def country_form(value: str) -> str:
    """ISO 3166-1 alpha-2, upper case; alpha-3 is turned into it."""
    pairs = ", ".join(f"{literal(three)}: {literal(two)}" for three, two in ALPHA3.items())
    return (
        f"CASE WHEN length({value}) = 2 AND {among(f'upper({value})', sorted(COUNTRIES))} THEN upper({value}) "
        f"WHEN length({value}) = 3 THEN MAP {{{pairs}}}[upper({value})] END"
    )


IDENTIFIERS = (
    Kind("cve", "CVE", "CVE-2021-44228, upper case.", cve_form),
    Kind("cwe", "CWE", "CWE-79, upper case.", cwe_form),
    Kind("uuid", "UUID", "Lower case, no braces.", uuid_form),
    Kind("stix-id", "STIX id", "A type and a UUID, lower case.", stix_id_form),
    Kind("bitcoin", "Bitcoin address", "Base58Check or Bech32, checksum verified.", bitcoin_form),
    Kind("ethereum", "Ethereum address", "0x and 40 digits, lower case.", ethereum_form),
    Kind("country", "Country", "ISO 3166-1 alpha-2 code.", country_form),
)
