"""Which addresses a URL may lead to: public ones, and private ones only where the administrator says so.

A name is resolved once, all its addresses are checked, and the connection goes to a checked address:
a name that changes its mind between check and connection gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from engine.errors import Retry, Stop

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]


class NotAllowed(Stop):
    """This address is inside a private network, so it is not fetched."""


class NoSuchHost(Retry):
    """The host's name could not be resolved. We will try again at the next run."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, in the system's order of preference."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NoSuchHost(host) from error
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, seen through every way of wrapping IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return is_public(inner)
        if address in ipaddress.ip_network("64:ff9b::/96") or address in ipaddress.ip_network("::/96"):
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast and not address.is_reserved


def checked(host: str, port: int, allow: Sequence[str], resolver: Resolve = resolve) -> list[str]:
    """The host's addresses, all of which may be connected to; NotAllowed if one may not."""
    name = host.strip("[]").rstrip(".").lower()
    addresses = resolver(name, port)
    if not addresses:
        raise NoSuchHost(host)
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not is_public(address) and not _allowed(name, port, address, allow):
            raise NotAllowed(
                host,
                action="If it is meant to be reached, the administrator can add it to the allowed hosts (SPIRE_URL_ALLOW).",
            )
    return addresses


def _allowed(name: str, port: int, address: Address, allow: Sequence[str]) -> bool:
    for entry in allow:
        wanted = entry.strip().lower()
        if wanted in (name, f"{name}:{port}"):
            return True
        try:
            if address in ipaddress.ip_network(wanted, strict=False):
                return True
        except ValueError:
            continue
    return False
