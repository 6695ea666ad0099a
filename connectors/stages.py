"""What every check says alike: where the server's name leads, whether a secret goes in clear, how a stage failed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach
from connectors.web import port_of
from engine.errors import SpireError
from engine.ports import Stage


def named(url: str, reach: Reach, resolver: Resolve = resolve) -> Stage:
    """The stage of the address's host. Errors: NoSuchHost, NotAllowed."""
    host = urlsplit(url).hostname or ""
    return Stage("name", True, leads(host, checked(host, port_of(url), reach.hosts, resolver)))


def leads(host: str, addresses: Sequence[str]) -> str:
    """Where a host's name leads; an address leads to itself, which need not be said."""
    try:
        given = ipaddress.ip_address(host)
    except ValueError:
        return f"{host} is {addresses[0]}"
    return f"{given} is an address, so there is no name to look up"


def secured(url: str, sent: str) -> Stage:
    """The stage of the connection to an address that has answered; `sent` is the secret that goes over it."""
    if urlsplit(url).scheme == "https":
        return Stage("TLS", True, "its certificate is trusted")
    return Stage(
        "TLS", True, f"not used: {sent} goes in clear to this address", "Use https if the server offers it."
    )


def failed(stage: str, error: SpireError, advice: str) -> Stage:
    """A stage that failed, with what to do: the error knows best, else the advice."""
    return Stage(stage, False, f"{error.title} {error.where}".strip(), error.action or advice)
