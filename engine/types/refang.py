"""Refang and defang: `hxxp://evil[.]com` is `http://evil.com`, written so that nobody clicks on it.

A value is one indicator, not a text. Marks are taken back wherever they stand, with one exception:
a URL whose scheme and host are written plainly is not defanged, so its path stays as it is
(`http://a.example/x(.)y` means what it says). That also makes refanging a canonical value a no-op.
"""

from __future__ import annotations

from engine.types.sql import let, literal

# Space, tab, line ends, no-break space, zero-width space and byte-order mark: what clings to pasted values.
BLANKS = " \t\r\n\v\f\u00a0\u200b\ufeff"

# Anything that may be a mark or a blank; what doesn't match is already plain.
SUSPECT = r"[^!-~]|[\[\](){}<>\\]|^[hH][tTxX*_]{2,3}[pP]|^[fF][xX*_][pP]"
MARKS = (
    (r"(?i)^h[tx*_]{2,3}p(s?)(\s*[:\[({])", r"http\1\2"),
    (r"(?i)^f[x*_]p(s?)(\s*[:\[({])", r"ftp\1\2"),
    (r"\s*[\[({]\s*:\s*//\s*[\])}]\s*", "://"),
    (r"\s*[\[({]\s*:\s*[\])}]\s*", ":"),
    (r":[\[({]//[\])}]", "://"),
    (r"(?i)\s*(?:\[\s*(?:\.|dot|punkt|punto)\s*\]|\(\s*(?:\.|dot)\s*\)|\{\s*(?:\.|dot)\s*\}|<\s*(?:\.|dot)\s*>)\s*", "."),
    (r"(?i)\s*(?:\[\s*(?:@|at)\s*\]|\(\s*(?:@|at)\s*\)|\{\s*(?:@|at)\s*\}|<\s*(?:@|at)\s*>)\s*", "@"),
    (r"[\[({]\.|\.[\])}]|\\\.", "."),
    (r"(?i)\s+dot\s+", "."),
    (r"(?i)^(\S+)\s+at\s+(\S+\.\S+)$", r"\1@\2"),
)  # fmt: skip


def trimmed(value: str) -> str:
    """SQL: the value without the blanks around it."""
    return f"trim({value}, {literal(BLANKS)})"


def _unmarked(value: str) -> str:
    for pattern, plain in MARKS:
        value = f"regexp_replace({value}, {literal(pattern)}, {literal(plain)}, 'g')"
    return value


def refang(value: str) -> str:
    """SQL: the value trimmed and without defanging marks."""

    def body(raw: str) -> str:
        plain = f"regexp_matches({raw}, {literal(SUSPECT)})"
        return f"CASE WHEN {plain} THEN {let('t', trimmed(raw), _refanged)} ELSE {raw} END"

    return let("r", value, body)


def _refanged(text: str) -> str:
    head = rf"regexp_extract({text}, '^[^/?#]*(?://[^/?#]*)?')"
    return f"CASE WHEN {let('h', head, lambda h: f'{_unmarked(h)} = {h}')} THEN {text} ELSE {_unmarked(text)} END"


def defang(value: str) -> str:
    """SQL: the value with scheme, dots of the host, @ and the colons of an IPv6 address made harmless.

    A URL's path stays as it is. A value already defanged is refanged first, so twice is harmless.
    """

    def body(plain: str) -> str:
        host = rf"regexp_extract({plain}, '^[^/?#]*//[^/?#]*')"
        scheme = r"regexp_replace(regexp_replace(replace({0}, '.', '[.]'), '^http', 'hxxp'), '^ftp', 'fxp')"
        url = f"{let('d', host, scheme.format)} || substr({plain}, length({host}) + 1)"
        six = f"regexp_full_match({plain}, '[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:/[0-9]+)?')"
        return (
            f"CASE WHEN contains({plain}, '://') THEN {url} WHEN {six} THEN replace({plain}, ':', '[:]') "
            f"ELSE replace(replace({plain}, '.', '[.]'), '@', '[@]') END"
        )

    return let("p", refang(value), body)
