"""STIX patterns (STIX 2.1 §9) in SQL: the value of a single equality, the observables of several, and back.

A pattern of equality comparisons joined by AND and OR lists its observables; anything that says
more (LIKE, MATCHES, IN, NOT, FOLLOWEDBY, qualifiers, inequalities) is kept as a pattern only.
"""

from __future__ import annotations

from engine.types.sql import full, let, literal, when

STRING = r"'(?:[^'\\]|\\.)*'"
STEP = rf"(?:[.](?:[A-Za-z0-9_-]+|{STRING})|\[(?:[0-9]+|\*)\])"
PATH = rf"[a-z0-9-]+:(?:[A-Za-z0-9_-]+|{STRING}){STEP}*"
CONSTANT = rf"(?:t?{STRING}|-?[0-9]+(?:[.][0-9]+)?|true|false)"
EQUALS = rf"{PATH}\s*=\s*{CONSTANT}"
OPEN, CLOSE = r"[\s\[(]*", r"[\s\])]*"
QUOTES = "^t?'|'$"
PLAIN_LEFT = r"\[ *[a-z0-9-]+:[A-Za-z0-9_.\[\]*-]+ *= *"
LEFT = rf"(?s)^\s*\[\s*({PATH})\s*="
RIGHT = rf"(?s)=\s*({CONSTANT})\s*\]\s*$"
LEFT_OF_ONE = rf"(?s)^({PATH})\s*="
RIGHT_OF_ONE = rf"(?s)^{PATH}\s*=\s*({CONSTANT})$"
SINGLE = rf"(?s)\s*\[\s*{EQUALS}\s*\]\s*"
DECOMPOSABLE = rf"(?s){OPEN}{EQUALS}{CLOSE}(?:\s(?:AND|OR)[\s\[(]{OPEN}{EQUALS}{CLOSE})*"

# Object path to kind. STIX 2.1 §6 and the hash names of §10.7, in the spellings 2.0 and real feeds use.
PATHS: dict[str, tuple[str, ...]] = {
    "ipv4": ("ipv4-addr:value",),
    "ipv6": ("ipv6-addr:value",),
    "domain": ("domain-name:value",),
    "url": ("url:value",),
    "email": (
        "email-addr:value", "email-message:from_ref.value", "email-message:sender_ref.value",
        "email-message:to_refs[*].value", "email-message:cc_refs[*].value",
    ),
    "md5": ("file:hashes.md5",),
    "sha1": ("file:hashes.sha-1", "file:hashes.sha1"),
    "sha224": ("file:hashes.sha-224", "file:hashes.sha224"),
    "sha256": ("file:hashes.sha-256", "file:hashes.sha256"),
    "sha384": ("file:hashes.sha-384", "file:hashes.sha384"),
    "sha512": ("file:hashes.sha-512", "file:hashes.sha512"),
    "ssdeep": ("file:hashes.ssdeep",),
    "tlsh": ("file:hashes.tlsh",),
    "imphash": ("file:extensions.windows-pebinary-ext.imphash",),
    "filename": ("file:name",),
    "file-path": ("directory:path", "file:parent_directory_ref.path"),
    "registry-key": ("windows-registry-key:key",),
    "mutex": ("mutex:name",),
    "asn": ("autonomous-system:number",),
    "mac": ("mac-addr:value",),
    "cve": ("vulnerability:name",),
    "user-agent": ("network-traffic:extensions.http-request-ext.request_header.user-agent",),
    "port": ("network-traffic:dst_port", "network-traffic:src_port"),
    "bitcoin": ("x-cryptocurrency-wallet:value",),
    "ja3": ("network-traffic:x_ja3", "x-ja3:value"),
    "ja3s": ("x-ja3s:value",),
    "jarm": ("x-jarm:value",),
}  # fmt: skip

# The path a pattern of ours uses for a kind; kinds without one have no standard object.
WRITTEN: dict[str, str] = {
    "ipv4": "ipv4-addr:value", "ipv6": "ipv6-addr:value", "domain": "domain-name:value", "url": "url:value",
    "email": "email-addr:value", "md5": "file:hashes.MD5", "sha1": "file:hashes.'SHA-1'",
    "sha224": "file:hashes.'SHA-224'", "sha256": "file:hashes.'SHA-256'", "sha384": "file:hashes.'SHA-384'",
    "sha512": "file:hashes.'SHA-512'", "ssdeep": "file:hashes.SSDEEP", "tlsh": "file:hashes.TLSH",
    "imphash": "file:extensions.'windows-pebinary-ext'.imphash", "filename": "file:name",
    "registry-key": "windows-registry-key:key", "mutex": "mutex:name", "mac": "mac-addr:value",
    "file-path": "directory:path",
    "user-agent": "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
    "bitcoin": "x-cryptocurrency-wallet:value", "ethereum": "x-cryptocurrency-wallet:value",
}  # fmt: skip


def _plain(path: str) -> str:
    """SQL: an object path without quotes and in lower case, as PATHS is written."""
    return f"lower(replace({path}, '''', ''))"


def _kind(path: str, value: str) -> str:
    """SQL: the kind of an object path; NULL where it names nothing we know."""
    known = ", ".join(f"{literal(p)}: {literal(kind)}" for kind, paths in PATHS.items() for p in paths)
    network = f"contains({value}, '/') AND regexp_full_match({path}, 'ipv[46]-addr:value')"
    return f"CASE WHEN {network} THEN 'cidr' ELSE MAP {{{known}}}[{_plain(path)}] END"


def _unescaped(text: str) -> str:
    """SQL: content of a string literal, escapes undone."""
    return f"CASE WHEN contains({text}, '\\') THEN regexp_replace({text}, '(?s)\\\\(.)', '\\1', 'g') ELSE {text} END"


def _plainly_single(pattern: str) -> tuple[str, str, str]:
    """SQL: is it `[path = 'value']` in the plain spelling, and its path and value.

    split_part at quotes costs an eighth of a regular expression, and nearly every feed is spelt so.
    """
    part = [f"split_part({pattern}, '''', {i})" for i in range(5)]
    simple = (
        f"starts_with({pattern}, '[') AND trim({part[3]}) = ']' AND {part[4]} = '' AND NOT contains({part[2]}, '\\') "
        f"AND {full(part[1], PLAIN_LEFT)}"
    )
    path = f"rtrim(replace(ltrim({part[1]}, '[ '), ' ', ''), '=')"
    return simple, path, part[2]


def _single(pattern: str, simple: str, complicated: str) -> str:
    is_simple, _, _ = _plainly_single(pattern)
    return f"CASE WHEN {is_simple} THEN {simple} WHEN {full(pattern, SINGLE)} THEN {complicated} END"


def _left(pattern: str) -> str:
    return f"regexp_extract({pattern}, {literal(LEFT)}, 1)"


def _right(pattern: str) -> str:
    return let("s", f"regexp_extract({pattern}, {literal(RIGHT)}, 1)", _constant)


def _constant(text: str) -> str:
    """SQL: value of a constant as text: a quoted string's or timestamp's content, or the number or word."""
    inner = f"regexp_replace({text}, {literal(QUOTES)}, '', 'g')"
    return f"CASE WHEN ends_with({text}, '''') THEN {_unescaped(inner)} ELSE {text} END"


def pattern_value(pattern: str) -> str:
    """SQL: the value of a pattern that is one equality comparison, unescaped; NULL for any other.

    Give it a column: it stands here several times.
    """
    return _single(pattern, _plainly_single(pattern)[2], _right(pattern))


def pattern_kind(pattern: str) -> str:
    """SQL: the kind of that value by its object path; NULL where the pattern or the path is another."""
    _, path, value = _plainly_single(pattern)
    return _single(pattern, _kind(path, value), _kind(_left(pattern), _right(pattern)))


def pattern_observables(pattern: str) -> str:
    """SQL: JSON list of {type, value} of a pattern of equalities joined by AND and OR, else NULL.

    `type` is the kind, or the object path where we have no kind for it. Values are unescaped, not
    canonical: they are what the pattern says.
    """
    simple, path, value = _plainly_single(pattern)
    one = f"CAST(json_array(json_object('type', coalesce({_kind(path, value)}, {path}), 'value', {value})) AS VARCHAR)"
    bare = f"regexp_replace({pattern}, {literal(STRING)}, '', 'g')"
    balanced = let("b", bare, lambda b: f"{_balanced(b, '[', ']')} AND {_balanced(b, '(', ')')}")
    left = f"regexp_extract(spire_e, {literal(LEFT_OF_ONE)}, 1)"
    right = f"regexp_extract(spire_e, {literal(RIGHT_OF_ONE)}, 1)"
    entry = let(
        "x",
        let("y", right, _constant),
        lambda v: f"json_object('type', coalesce({_kind(left, v)}, {left}), 'value', {v})",
    )
    pairs = f"regexp_extract_all({pattern}, {literal('(?s)' + EQUALS)})"
    several = f"CAST(to_json(list_transform({pairs}, lambda spire_e: {entry})) AS VARCHAR)"
    return (
        f"CASE WHEN {simple} THEN {one} WHEN {full(pattern, DECOMPOSABLE)} THEN {when(balanced, several)} END"
    )


def _balanced(text: str, opening: str, closing: str) -> str:
    return f"length(replace({text}, '{opening}', '')) = length(replace({text}, '{closing}', ''))"


def pattern_from(kind: str, value: str) -> str:
    """SQL: the pattern `[path = 'value']` for a kind and a canonical value; NULL for a kind without a path.

    `kind` is an SQL expression: a literal or a column.
    """
    quoted = f"replace(replace({value}, '\\', '\\\\'), '''', '\\''')"
    arms = " ".join(
        f"WHEN {literal(name)} THEN {literal('[' + path + ' = ' + chr(39))} || {quoted} || {literal(chr(39) + ']')}"
        for name, path in WRITTEN.items()
    )
    network = (
        f"CASE WHEN contains({value}, ':') THEN '[ipv6-addr:value = ''' ELSE '[ipv4-addr:value = ''' END "
        f"|| {value} || ''']'"
    )
    number = f"'[autonomous-system:number = ' || regexp_extract({value}, '[0-9]+') || ']'"
    return f"CASE {kind} {arms} WHEN 'cidr' THEN {network} WHEN 'asn' THEN {number} END"
