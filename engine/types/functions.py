"""The few Python functions SQL calls, each behind a CASE so that only odd values reach it."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable

import duckdb
import idna

from engine.types.words import definitions

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def ipv6(value: str) -> str:
    """RFC 5952 form; ValueError for anything else, zone ids included (they mean nothing elsewhere)."""
    if "%" in value:
        raise ValueError("zone id")
    address = ipaddress.IPv6Address(value)
    mapped = address.ipv4_mapped
    # Python 3.13 prints mapped addresses the RFC's way, 3.11 doesn't: say it ourselves.
    return f"::ffff:{mapped}" if mapped else str(address)


def network6(value: str) -> str:
    """Canonical IPv6 network: host bits zero, RFC 5952 form."""
    address, _, prefix = value.partition("/")
    if not re.fullmatch(r"[0-9]{1,3}", prefix):
        raise ValueError("prefix length")
    network = ipaddress.IPv6Network((ipv6(address), int(prefix)), strict=False)
    return f"{ipv6(str(network.network_address))}/{network.prefixlen}"


def idn(value: str) -> str:
    """Punycode of an internationalised name: UTS #46 mapping (non-transitional), then IDNA 2008."""
    return idna.encode(value.rstrip(".。"), uts46=True).decode("ascii").lower()


def bitcoin(value: str) -> str:
    """The address itself where its checksum holds: Base58Check (P2PKH, P2SH) or Bech32/Bech32m (BIP 173, 350)."""
    if value.lower().startswith(("bc1", "tb1")):
        return _segwit(value)
    number = 0
    for character in value:
        number = number * 58 + BASE58.index(character)
    raw = number.to_bytes(25, "big")
    if hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] != raw[21:]:
        raise ValueError("checksum")
    return value


def _segwit(value: str) -> str:
    if value not in (value.lower(), value.upper()):
        raise ValueError("mixed case")
    value = value.lower()
    data = [BECH32.index(character) for character in value[3:]]
    check = 1
    for part in (3, 3, 0, ord(value[0]) & 31, ord(value[1]) & 31, *data):
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ part
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if top >> bit & 1 else 0
    if check != (1 if data[0] == 0 else 0x2BC830A3):
        raise ValueError("checksum")
    return value


FUNCTIONS: dict[str, Callable[[str], str]] = {
    "spire_ipv6": ipv6,
    "spire_network6": network6,
    "spire_idn": idn,
    "spire_bitcoin": bitcoin,
}


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make our functions and lists of words known to a database in memory; its cursors see them too. Twice is harmless.

    NULL in gives NULL out without a call, an exception gives NULL, and results depend on the value
    alone. Call it before the configuration is locked.
    """
    for statement in definitions():
        connection.execute(statement)
    known = {
        name
        for (name,) in connection.execute(
            "SELECT function_name FROM duckdb_functions() WHERE starts_with(function_name, 'spire_')"
        ).fetchall()
    }
    for name, function in FUNCTIONS.items():
        if name not in known:
            connection.create_function(
                name,
                function,
                ["VARCHAR"],
                "VARCHAR",
                exception_handling=duckdb.PythonExceptionHandling.RETURN_NULL,
                side_effects=False,
            )
