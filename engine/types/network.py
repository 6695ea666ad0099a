"""Kinds found on a network: addresses, domains, URLs, e-mail, MAC, AS numbers and ports.

All `…_form` functions take SQL of a clean value (trimmed, refanged) and may use it several times.
"""

from __future__ import annotations

from engine.types.kind import Kind
from engine.types.sql import full, let, when
from engine.types.words import is_word

OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"(?:{OCTET}\.){{3}}{OCTET}"
# Lengths are checked apart: counted repetitions make a regular expression slow to build.
LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
TLD = "(?:[a-z][a-z]+|xn--[a-z0-9-]*[a-z0-9])"
NAME = rf"(?:{LABEL}\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.{TLD}"
HOST = rf"(?:{LABEL}\.)*{LABEL}"
# No brackets, quotes or blanks in user information: whatever has them is defanged or garbage.
USER = r"[^\[\](){}<>\s/?#@\\]*@"
SIX = r"[0-9A-Fa-f:.]{2,45}"


def is_ipv4(value: str) -> str:
    """SQL: four decimal octets without leading zeros, which some parsers would read as octal."""
    return full(value, IPV4)


def ipv4_form(value: str) -> str:
    return when(is_ipv4(value), value)


def ipv6_form(value: str) -> str:
    return when(f"contains({value}, ':') AND {full(value, SIX)}", f"spire_ipv6({value})")


def cidr_form(value: str) -> str:
    """The network: 10.1.2.3/8 is 10.0.0.0/8."""
    six = f"contains({value}, ':') AND {full(value, SIX + '/[0-9]{1,3}')}"
    return (
        f"CASE WHEN {is_network4(value)} THEN {_network4(value)} WHEN {six} THEN spire_network6({value}) END"
    )


def is_network4(value: str) -> str:
    """SQL: an IPv4 address and a prefix length."""
    return full(value, rf"{IPV4}/(?:3[0-2]|[12]?[0-9])")


def _network4(value: str) -> str:
    address = f"split_part({value}, '/', 1)"
    number = " + ".join(
        f"TRY_CAST(split_part({address}, '.', {i + 1}) AS UBIGINT) * {256 ** (3 - i)}" for i in range(4)
    )
    size = f"(1::UBIGINT << (32 - TRY_CAST(split_part({value}, '/', 2) AS UBIGINT)))"
    octets = " || '.' || ".join(f"CAST((spire_n // {256 ** (3 - i)}) % 256 AS VARCHAR)" for i in range(4))
    return let("n", f"(({number}) // {size}) * {size}", lambda _: octets) + (
        f" || '/' || split_part({value}, '/', 2)"
    )


def _fits(value: str) -> str:
    """SQL: no more than 253 characters, and 63 in a label."""
    return f"(strlen({value}) < 64 OR strlen({value}) <= 253 AND NOT regexp_matches({value}, '[a-z0-9_-]{{64}}'))"


def is_plain_domain(value: str) -> str:
    """SQL: a lower-case ASCII domain in canonical form whose last label may be a top-level domain."""
    return f"{full(value, NAME)} AND {_fits(value)} AND NOT {_ends_like_a_file(value)}"


def _ends_like_a_file(value: str) -> str:
    # A file extension that is no top-level domain: `invoice.pdf` is a file, `get.zip` a domain.
    return is_word(f"split_part({value}, '.', -1)", "spire_file_only")


def _lowered(value: str) -> str:
    """SQL: an ASCII name in lower case and without the dot of the root."""
    return f"regexp_replace(lower({value}), '\\.$', '')"


def _is_ascii(value: str) -> str:
    return f"strlen({value}) = length({value})"


def domain_form(value: str) -> str:
    """Lower-case ASCII; other scripts through IDNA, NULL where it refuses them."""
    idn = let("d", f"spire_idn({value})", lambda name: when(is_plain_domain(name), name))
    ready = f"{full(value, NAME)} AND strlen({value}) < 64 AND NOT {_ends_like_a_file(value)}"
    return (
        f"CASE WHEN {ready} THEN {value} WHEN strlen({value}) > 1024 THEN NULL "
        f"WHEN {_is_ascii(value)} THEN {when(is_plain_domain(_lowered(value)), _lowered(value))} "
        f"WHEN regexp_matches({value}, '[.。．｡]') THEN {idn} END"
    )


def is_delegated(value: str) -> str:
    """SQL: the last label is a top-level domain that exists, is internationalised, or has a special use."""
    last = f"split_part({value}, '.', -1)"
    return f"({is_word(last, 'spire_tld')} OR starts_with({last}, 'xn--'))"


def is_domain(value: str) -> str:
    """SQL: a domain under a top-level domain that exists; what a bare name must be to be taken for one."""
    odd = let(
        "d",
        f"spire_idn({value})",
        lambda name: f"{full(name, NAME)} AND {_fits(name)} AND contains({name}, '.xn--')",
    )
    plain = _lowered(value)
    return (
        f"CASE WHEN strlen({value}) > 1024 THEN false "
        f"WHEN {_is_ascii(value)} THEN {full(plain, NAME)} AND {_fits(plain)} AND {is_delegated(plain)} ELSE {odd} END"
    )


def url_form(value: str) -> str:
    """Scheme and host in lower case, default port gone; user, path, query and fragment untouched."""
    host = rf"(?:{IPV4}|{NAME})"
    rest = r"(?:[/?#][^\x00-\x1f\x7f]*)?"
    ready = full(value, rf"https?://{host}{rest}")
    ported = (
        f"{full(value, rf'https?://{host}:[1-9][0-9]{{0,3}}{rest}')} "
        f"AND NOT regexp_matches({value}, '^(?:http://[^/?#]*:80|https://[^/?#]*:443)(?:[/?#]|$)')"
    )
    parts = (
        rf"regexp_extract({value}, '(?s)^([A-Za-z][A-Za-z0-9+.-]{{1,30}})://((?:{USER})?)"
        r"(\[[0-9A-Fa-f:.]*\]|[^/?#:@\[\]]+)((?::[0-9]{0,5})?)((?:[/?#].*)?)$', "
        "['scheme', 'user', 'host', 'port', 'rest'])"
    )
    rebuilt = when(f"NOT regexp_matches({value}, '[\\x00-\\x1f\\x7f]')", let("u", parts, _rebuilt))
    return (
        f"CASE WHEN NOT contains({value}, '://') THEN NULL WHEN {ready} AND strlen({value}) < 64 THEN {value} "
        f"WHEN {_short_host(value)} AND ({ready} OR {ported}) THEN {value} ELSE {rebuilt} END"
    )


def _short_host(value: str) -> str:
    """SQL: no label of the host of an http URL is too long, nor is the host."""
    return f"NOT regexp_matches({value}, '^https?://(?:[a-z0-9._-]{{254}}|[a-z0-9._-]*[a-z0-9_-]{{64}})')"


def _rebuilt(url: str) -> str:
    scheme = f"lower({url}['scheme'])"
    default = " ".join(
        f"WHEN '{name}' THEN ':{port}'" for name, port in (("http", 80), ("https", 443), ("ftp", 21))
    )
    number = f"TRY_CAST(nullif(substr({url}['port'], 2), '') AS INTEGER)"
    port = f"CASE WHEN ':' || {number} = CASE {scheme} {default} END THEN '' ELSE coalesce(':' || {number}, '') END"
    return let(
        "a",
        _host(f"{url}['host']"),
        lambda host: when(
            f"coalesce({number}, 0) <= 65535",
            f"{scheme} || '://' || {url}['user'] || {host} || {port} || {url}['rest']",
        ),
    )


def _host(value: str) -> str:
    """SQL: canonical host of a URL, or NULL: IPv6 in brackets, IPv4, or a name whose last label isn't a number."""
    six = f"'[' || spire_ipv6(substr({value}, 2, length({value}) - 2)) || ']'"
    name = let(
        "o",
        f"CASE WHEN {_is_ascii(value)} THEN {_lowered(value)} ELSE spire_idn({value}) END",
        lambda n: when(f"{full(n, HOST)} AND {_fits(n)} AND NOT {full(n, '(?:.*[.])?[0-9]+')}", n),
    )
    return (
        f"CASE WHEN starts_with({value}, '[') THEN {six} WHEN {is_ipv4(value)} THEN {value} ELSE {name} END"
    )


def email_form(value: str) -> str:
    """All lower case: case in the local part tells no two mailboxes apart in practice (and MISP does the same)."""
    local = f"lower(split_part({value}, '@', 1))"
    # No braces, although RFC 5322 allows them: they are how people write (at) and {dot}.
    shape = r"[^@\s]+@[^@\s]+"
    atom = r"[a-z0-9!#$%&'*+/=?^_`|~-]+"
    good = f"strlen({local}) <= 64 AND {full(local, rf'{atom}(?:[.]{atom})*')}"
    domain = domain_form(f"split_part({value}, '@', 2)")
    return when(full(value, shape), when(good, f"{local} || '@' || {domain}"))


def mac_form(value: str) -> str:
    """Six lower-case pairs with colons, from any of the four spellings."""
    shape = full(
        value,
        r"(?i)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}|(?:[0-9a-f]{4}[.]){2}[0-9a-f]{4}|[0-9a-f]{12}",
    )
    digits = f"regexp_replace(lower({value}), '[^0-9a-f]', '', 'g')"
    return when(shape, f"rtrim(regexp_replace({digits}, '(..)', '\\1:', 'g'), ':')")


def asn_form(value: str) -> str:
    """`AS` and the number, 1 to 4294967294; a bare number counts, so ask only of a field known to hold them."""
    number = f"TRY_CAST(regexp_extract({value}, '[0-9]+') AS UBIGINT)"
    return when(
        f"{full(value, r'(?i)(?:asn?[ :#-]{0,2})?[0-9]{1,10}')} AND {number} BETWEEN 1 AND 4294967294",
        f"'AS' || {number}",
    )


def port_form(value: str) -> str:
    """0 to 65535 without leading zeros."""
    return when(f"{full(value, '[0-9]{1,5}')} AND TRY_CAST({value} AS INTEGER) <= 65535", f"CAST(TRY_CAST({value} AS INTEGER) AS VARCHAR)")  # fmt: skip


NETWORK = (
    Kind("ipv4", "IPv4 address", "Four decimal octets; no port, no prefix, no leading zeros.", ipv4_form, True),
    Kind("ipv6", "IPv6 address", "RFC 5952 form; zone ids are refused.", ipv6_form, True),
    Kind("cidr", "Network (CIDR)", "IPv4 or IPv6 network with its host bits zero.", cidr_form, True),
    Kind("domain", "Domain name", "Lower case, punycode, no trailing dot; `invoice.pdf` is not one.", domain_form, True),
    Kind("url", "URL", "Scheme and host in lower case, default port removed, the rest untouched.", url_form, True),
    Kind("email", "E-mail address", "Lower case, domain as for domain names.", email_form, True),
    Kind("mac", "MAC address", "Lower-case pairs with colons.", mac_form),
    Kind("asn", "AS number", "AS64500; a bare number is taken as one.", asn_form),
    Kind("port", "Port", "0 to 65535.", port_form),
)  # fmt: skip
