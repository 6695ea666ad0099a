"""What a bare value is, told from its looks alone: one CASE, the cheapest and commonest tests first.

Some looks have several readings; we take the commoner and the field's name or the mapping decides
otherwise: 32 digits are an MD5 (imphash and JA3 look the same), 64 a SHA-256, a name under a
delegated top-level domain is a domain even where the ending is also a file's (`update.zip`), a
12-digit hexadecimal number, a bare number or a two-letter word is nothing in particular.
"""

from __future__ import annotations

from engine.types.digest import LENGTHS, ssdeep_form
from engine.types.host import is_known_path, is_named_file, is_registry_key, is_user_agent, is_yara
from engine.types.identifier import UUID, bitcoin_form, ethereum_form
from engine.types.network import (
    ascii_name,
    cidr_form,
    email_form,
    ipv6_form,
    is_delegated,
    is_ipv4,
    is_plain_domain,
    mac_form,
    url_form,
)
from engine.types.refang import refang
from engine.types.sql import full, let

# The longest thing but a YARA rule that is an indicator; a longer text isn't worth the tests.
LONGEST = 8192


def recognise(value: str) -> str:
    """SQL: name of the kind a VARCHAR expression's value looks like, or NULL. Evaluates `value` once."""
    return let("v", refang(value), looks)


def looks(v: str) -> str:
    """SQL: as `recognise`, of a value that is already trimmed and refanged."""
    digests = " ".join(f"WHEN {length} THEN '{name}'" for name, length in LENGTHS.items())
    hexadecimal = f"strlen({v}) IN (32, 40, 56, 62, 64, 70, 96, 128) AND {full(v, '[0-9a-fA-F]+')}"
    return (
        f"CASE WHEN {v} IS NULL OR strlen({v}) < 3 THEN NULL "
        f"WHEN {hexadecimal} THEN CASE strlen({v}) {digests} WHEN 62 THEN 'jarm' ELSE 'tlsh' END "
        f"WHEN {is_ipv4(v)} THEN 'ipv4' "
        f"WHEN strlen({v}) > {LONGEST} THEN CASE WHEN {is_yara(v)} THEN 'yara' END "
        f"WHEN contains({v}, '://') THEN {_url(v)} "
        f"WHEN regexp_matches({v}, '[ \\\\%~\\t\\n]|^/') THEN {_text(v)} "
        f"WHEN contains({v}, '@') THEN CASE WHEN {email_form(v)} IS NOT NULL THEN 'email' END "
        f"WHEN contains({v}, '/') AND {cidr_form(v)} IS NOT NULL THEN 'cidr' "
        f"WHEN contains({v}, ':') THEN {_colon(v)} "
        f"WHEN contains({v}, '.') THEN {_dotted(v)} "
        f"WHEN contains({v}, '-') THEN {_dashed(v)} "
        f"ELSE {_solid(v)} END"
    )


def _url(v: str) -> str:
    return f"CASE WHEN {url_form(v)} IS NOT NULL THEN 'url' WHEN {is_yara(v)} THEN 'yara' END"


def _text(v: str) -> str:
    return (
        f"CASE WHEN {is_known_path(v)} THEN 'file-path' WHEN {is_registry_key(v)} THEN 'registry-key' "
        f"WHEN {is_user_agent(v)} THEN 'user-agent' WHEN {is_yara(v)} THEN 'yara' "
        f"WHEN {is_named_file(v)} THEN 'filename' END"
    )


def _colon(v: str) -> str:
    return (
        f"CASE WHEN {mac_form(v)} IS NOT NULL THEN 'mac' WHEN {ipv6_form(v)} IS NOT NULL THEN 'ipv6' "
        f"WHEN {ssdeep_form(v)} IS NOT NULL THEN 'ssdeep' "
        f"WHEN {full(v, f'(?i:urn:uuid:){UUID}')} THEN 'uuid' END"
    )


def _dotted(v: str) -> str:
    domain = let("d", ascii_name(v), lambda d: f"{is_plain_domain(d)} AND {is_delegated(d)}")
    return (
        f"CASE WHEN {domain} THEN 'domain' WHEN {is_named_file(v)} THEN 'filename' "
        f"WHEN {full(v, '(?:[0-9a-fA-F]{4}[.]){2}[0-9a-fA-F]{4}')} THEN 'mac' WHEN {is_user_agent(v)} THEN 'user-agent' END"
    )


def _dashed(v: str) -> str:
    return (
        f"CASE WHEN {full(v, '(?i)cve-(?:19|20)[0-9]{2}-[0-9]{4,19}')} THEN 'cve' "
        f"WHEN {full(v, UUID)} THEN 'uuid' WHEN {full(v, rf'(?i:[a-z0-9-]{{1,250}})--{UUID}')} THEN 'stix-id' "
        f"WHEN {full(v, '(?i)cwe-[0-9]{1,5}')} THEN 'cwe' WHEN {mac_form(v)} IS NOT NULL THEN 'mac' END"
    )


def _solid(v: str) -> str:
    return (
        f"CASE WHEN {full(v, '[aA][sS][nN]?[0-9]{1,10}')} THEN 'asn' WHEN {full(v, '[tT]1[0-9a-fA-F]{70}')} THEN 'tlsh' "
        f"WHEN {ethereum_form(v)} IS NOT NULL THEN 'ethereum' WHEN {bitcoin_form(v)} IS NOT NULL THEN 'bitcoin' END"
    )
