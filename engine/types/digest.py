"""Kinds that are digests: what a file, a connection or a piece of code boils down to."""

from __future__ import annotations

from collections.abc import Callable

from engine.types.kind import Kind
from engine.types.sql import full, when

LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}


def hex_form(length: int) -> Callable[[str], str]:
    """Lower-case hexadecimal of exactly that many digits."""
    return lambda value: when(
        f"strlen({value}) = {length} AND {full(value, '[0-9a-fA-F]+')}", f"lower({value})"
    )


def ssdeep_form(value: str) -> str:
    """Block size, and two pieces of Base64; a file name behind a comma is dropped."""
    return when(
        full(value, r"[0-9]+:[A-Za-z0-9+/]{3}[A-Za-z0-9+/]*:[A-Za-z0-9+/]+(?:,.*)?"),
        f"split_part({value}, ',', 1)",
    )


def tlsh_form(value: str) -> str:
    """`T1` and 70 upper-case hexadecimal digits; the version prefix is added where it is missing."""
    return when(full(value, "(?:[tT]1)?[0-9a-fA-F]{70}"), f"'T1' || upper(right({value}, 70))")


DIGESTS = (
    Kind("md5", "MD5", "32 hexadecimal digits, lower case.", hex_form(32)),
    Kind("sha1", "SHA-1", "40 hexadecimal digits, lower case.", hex_form(40)),
    Kind("sha224", "SHA-224", "56 hexadecimal digits, lower case.", hex_form(56)),
    Kind("sha256", "SHA-256", "64 hexadecimal digits, lower case.", hex_form(64)),
    Kind("sha384", "SHA-384", "96 hexadecimal digits, lower case.", hex_form(96)),
    Kind("sha512", "SHA-512", "128 hexadecimal digits, lower case.", hex_form(128)),
    Kind("imphash", "Import hash", "Looks like an MD5: told apart by the field's name only.", hex_form(32)),
    Kind("ja3", "JA3", "Looks like an MD5: told apart by the field's name only.", hex_form(32)),
    Kind("ja3s", "JA3S", "Looks like an MD5: told apart by the field's name only.", hex_form(32)),
    Kind("jarm", "JARM", "62 hexadecimal digits, lower case.", hex_form(62)),
    Kind("ssdeep", "ssdeep", "Fuzzy hash: block size and two pieces.", ssdeep_form),
    Kind("tlsh", "TLSH", "Fuzzy hash: T1 and 70 digits.", tlsh_form),
)
