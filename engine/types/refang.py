"""Refang and defang: `hxxp://evil[.]com` is `http://evil.com`, written so that nobody clicks on it.

A value is one indicator, not a text. Marks are taken back wherever they stand, with one exception:
a URL whose scheme and host are written plainly is not defanged, so its path stays as it is
(`http://a.example/x(.)y` means what it says). That also makes refanging a canonical value a no-op.
"""

from __future__ import annotations

from engine.types.sql import full, let, literal

# Space, tab, line ends, no-break space, zero-width space and byte-order mark: what clings to pasted values.
BLANKS = " \t\r\n\v\f\u00a0\u200b\ufeff"

OPEN, CLOSE = r"[\[({<]\s*", r"\s*[\])}>]"
DOT, AT = r"(?:\.|dot|punkt|punto)", "(?:@|at)"
HTTP = r"h(?:[x*_][tx*_]{1,2}|t[x*_][tx*_]?|tt[x*_])p"
FTP = r"f[x*_]p"
AFTER = r"\s*[:\[({<]"
ESCAPED = r"(?:[A-Za-z0-9@_/:-]|\\?\.)+"

# Anything that may be a mark or a blank; what doesn't match is plain as it stands.
SUSPECT = rf"(?i)[^!-~]|[\[\](){{}}<>\\]|^{HTTP}|^{FTP}"
MARKS = (
    (rf"(?i)^{HTTP}(s?)({AFTER})", r"http\1\2"),
    (rf"(?i)^{FTP}(s?)({AFTER})", r"ftp\1\2"),
    (rf"\s*{OPEN}:\s*//{CLOSE}\s*|:{OPEN}//{CLOSE}", "://"),
    (rf"\s*{OPEN}:{CLOSE}\s*", ":"),
    (rf"(?i)\s*{OPEN}{DOT}{CLOSE}\s*", "."),
    (rf"(?i)\s*{OPEN}{AT}{CLOSE}\s*", "@"),
    (r"[\[({]\.|\.[\])}]", "."),
    (r"(?i)\s+dot\s+", "."),
    (r"(?i)^([^/\s]+)\s+at\s+([^/\s]+\.[^/\s]+)$", r"\1@\2"),
)
# A mark in what stands before the path: the scheme and the host.
MARKED = (
    rf"(?i)^\s*(?:{HTTP}s?{AFTER}|{FTP}s?{AFTER}|[^/\s]+\s+at\s+[^/\s]+\.[^/\s]+\s*$|[^/?#]*(?://[^/?#]*)?"
    rf"(?:{OPEN}:\s*(?://)?{CLOSE}|:{OPEN}//{CLOSE}|{OPEN}{DOT}{CLOSE}|{OPEN}{AT}{CLOSE}|[\[({{]\.|\.[\])}}]|\s+dot\s+))"
)


def trimmed(value: str) -> str:
    """SQL: the value without the blanks around it."""
    return f"trim({value}, {literal(BLANKS)})"


def is_plain(value: str) -> str:
    """SQL: nothing to trim or refang, told by one look at the characters."""
    return f"NOT regexp_matches({value}, {literal(SUSPECT)})"


def refang(value: str) -> str:
    """SQL: the value trimmed and without defanging marks. Give it a column: it stands here several times."""
    unmarked = trimmed(value)
    for pattern, plain in MARKS:
        unmarked = f"regexp_replace({unmarked}, {literal(pattern)}, {literal(plain)}, 'g')"
    return (
        f"CASE WHEN {is_plain(value)} THEN {value} "
        f"WHEN regexp_matches({value}, {literal(MARKED)}) THEN {unmarked} "
        rf"WHEN contains({value}, '\.') AND NOT contains({value}, ':\') AND {full(value, ESCAPED)} "
        rf"THEN replace({value}, '\.', '.') ELSE {trimmed(value)} END"
    )


def defang(value: str) -> str:
    """SQL: the value with scheme, dots of the host, @ and the colons of an IPv6 address made harmless.

    A URL's path stays as it is. A value already defanged is refanged first, so twice is harmless.
    """

    def body(plain: str) -> str:
        host = rf"regexp_extract({plain}, '^[^/?#]*//[^/?#]*')"
        scheme = (
            rf"regexp_replace(regexp_replace(replace({host}, '.', '[.]'), '^http', 'hxxp'), '^ftp', 'fxp')"
        )
        six = full(plain, "[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:/[0-9]+)?")
        return (
            f"CASE WHEN contains({plain}, '://') THEN {scheme} || substr({plain}, length({host}) + 1) "
            f"WHEN {six} THEN replace({plain}, ':', '[:]') "
            f"ELSE replace(replace({plain}, '.', '[.]'), '@', '[@]') END"
        )

    return let("p", refang(value), body)
