"""What a bare value is, told from its looks alone: one CASE, the cheapest and commonest tests first.

Some looks have several readings; we take the commoner and the field's name or the mapping decides
otherwise: 32 digits are an MD5 (imphash and JA3 look the same), 64 a SHA-256, a name under a
delegated top-level domain is a domain even where the ending is also a file's (`update.zip`), a
12-digit hexadecimal number, a bare number or a two-letter word is nothing in particular.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.types.digest import LENGTHS, hex_form, ssdeep_form, tlsh_form
from engine.types.host import (
    is_known_path,
    is_named_file,
    is_registry_key,
    is_user_agent,
    is_yara,
    registry_form,
)
from engine.types.identifier import (
    UUID,
    bitcoin_form,
    cve_form,
    cwe_form,
    ethereum_form,
    stix_id_form,
    uuid_form,
)
from engine.types.network import (
    SIX,
    asn_form,
    cidr_form,
    domain_form,
    email_form,
    ipv6_form,
    is_domain,
    is_ipv4,
    is_network4,
    mac_form,
    url_form,
)
from engine.types.refang import is_plain, refang
from engine.types.sql import full, let, literal

# The longest thing but a YARA rule that is an indicator; a longer text isn't worth the tests.
LONGEST = 8192
ONE_OF_SIX = r"(?i)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}"

Leaf = Callable[[str, str], str]
"""What stands at the end of a branch: from a kind's name and SQL of its form to SQL."""


def recognise(value: str) -> str:
    """SQL: name of the kind a VARCHAR expression's value looks like, or NULL.

    Give it a column: it stands here several times. Where a plan can name `refang(value)`, `looks` of
    that is a good deal cheaper.
    """
    return f"CASE WHEN {is_plain(value)} THEN {looks(value)} ELSE {let('v', refang(value), looks)} END"


def looks(clean: str) -> str:
    """SQL: as `recognise`, of a value already trimmed and refanged."""
    return _tree(clean, lambda name, form: literal(name))


def looks_form(clean: str) -> str:
    """SQL: the canonical form of a clean value as the kind it looks like."""
    return _tree(clean, lambda name, form: form)


def _tree(v: str, leaf: Leaf) -> str:
    digests = " ".join(f"WHEN {length} THEN {leaf(name, f'lower({v})')}" for name, length in LENGTHS.items())
    hexadecimal = f"list_contains({[*LENGTHS.values(), 62, 70]}, strlen({v})) AND {full(v, '[0-9a-fA-F]+')}"
    digest = f"CASE strlen({v}) {digests} WHEN 62 THEN {leaf('jarm', hex_form(62)(v))} ELSE {leaf('tlsh', tlsh_form(v))} END"
    yara = f"WHEN {is_yara(v)} THEN {leaf('yara', v)}"
    return (
        f"CASE WHEN {v} IS NULL OR strlen({v}) < 3 THEN NULL "
        f"WHEN {hexadecimal} THEN {digest} "
        f"WHEN {is_ipv4(v)} THEN {leaf('ipv4', v)} "
        f"WHEN strlen({v}) > {LONGEST} THEN CASE {yara} END "
        f"WHEN contains({v}, '://') THEN CASE WHEN {url_form(v)} IS NOT NULL THEN {leaf('url', url_form(v))} {yara} END "
        f"WHEN regexp_matches({v}, '[ \\\\%~\\t\\n]|^/') THEN {_text(v, leaf, yara)} "
        f"WHEN contains({v}, '@') THEN CASE WHEN {email_form(v)} IS NOT NULL THEN {leaf('email', email_form(v))} END "
        f"WHEN contains({v}, '/') THEN {_slashed(v, leaf)} "
        f"WHEN contains({v}, ':') THEN {_colon(v, leaf)} "
        f"WHEN contains({v}, '.') THEN {_dotted(v, leaf)} "
        f"WHEN contains({v}, '-') THEN {_dashed(v, leaf)} "
        f"ELSE {_solid(v, leaf)} END"
    )


def _text(v: str, leaf: Leaf, yara: str) -> str:
    return (
        f"CASE WHEN {is_known_path(v)} THEN {leaf('file-path', v)} "
        f"WHEN {is_registry_key(v)} THEN {leaf('registry-key', registry_form(v))} "
        f"WHEN {is_user_agent(v)} THEN {leaf('user-agent', v)} {yara} "
        f"WHEN {is_named_file(v)} THEN {leaf('filename', v)} END"
    )


def _slashed(v: str, leaf: Leaf) -> str:
    return (
        f"CASE WHEN {is_network4(v)} THEN {leaf('cidr', cidr_form(v))} "
        f"WHEN {ssdeep_form(v)} IS NOT NULL THEN {leaf('ssdeep', ssdeep_form(v))} "
        f"WHEN contains({v}, ':') AND {cidr_form(v)} IS NOT NULL THEN {leaf('cidr', cidr_form(v))} "
        f"WHEN {is_user_agent(v)} THEN {leaf('user-agent', v)} END"
    )


def _colon(v: str, leaf: Leaf) -> str:
    return (
        f"CASE WHEN {full(v, ONE_OF_SIX)} THEN {leaf('mac', mac_form(v))} "
        f"WHEN {ssdeep_form(v)} IS NOT NULL THEN {leaf('ssdeep', ssdeep_form(v))} "
        f"WHEN {full(v, SIX)} THEN CASE WHEN {ipv6_form(v)} IS NOT NULL THEN {leaf('ipv6', ipv6_form(v))} END "
        f"WHEN {full(v, f'(?i:urn:uuid:){UUID}')} THEN {leaf('uuid', uuid_form(v))} END"
    )


def _dotted(v: str, leaf: Leaf) -> str:
    return (
        f"CASE WHEN {is_domain(v)} THEN {leaf('domain', domain_form(v))} "
        f"WHEN {is_named_file(v)} THEN {leaf('filename', v)} "
        f"WHEN {full(v, '(?:[0-9a-fA-F]{4}[.]){2}[0-9a-fA-F]{4}')} THEN {leaf('mac', mac_form(v))} END"
    )


def _dashed(v: str, leaf: Leaf) -> str:
    return (
        f"CASE WHEN {cve_form(v)} IS NOT NULL THEN {leaf('cve', cve_form(v))} "
        f"WHEN {full(v, UUID)} THEN {leaf('uuid', uuid_form(v))} "
        f"WHEN {stix_id_form(v)} IS NOT NULL THEN {leaf('stix-id', stix_id_form(v))} "
        f"WHEN {cwe_form(v)} IS NOT NULL THEN {leaf('cwe', cwe_form(v))} "
        f"WHEN {full(v, ONE_OF_SIX)} THEN {leaf('mac', mac_form(v))} END"
    )


def _solid(v: str, leaf: Leaf) -> str:
    return (
        f"CASE WHEN {full(v, '[aA][sS][nN]?[0-9]{1,10}')} THEN CASE WHEN {asn_form(v)} IS NOT NULL THEN {leaf('asn', asn_form(v))} END "
        f"WHEN {full(v, '[tT]1[0-9a-fA-F]{70}')} THEN {leaf('tlsh', tlsh_form(v))} "
        f"WHEN {ethereum_form(v)} IS NOT NULL THEN {leaf('ethereum', ethereum_form(v))} "
        f"WHEN {bitcoin_form(v)} IS NOT NULL THEN {leaf('bitcoin', bitcoin_form(v))} END"
    )
