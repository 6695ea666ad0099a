"""What every check says alike: where the server's name leads, whether the way is secure, how a stage failed."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach
from connectors.web import port_of
from engine.errors import SpireError, Stop
from engine.ports import Stage

PATIENCE = 15.0
# What signs in, where nothing more can be said of it.
CREDENTIAL = "the credential"


class Unsecured(Stop):
    """The connection could not be made secure."""


def led_to(
    url: str,
    reach: Reach,
    *,
    sent: str = "",
    context: ssl.SSLContext | None = None,
    resolver: Resolve = resolve,
) -> Iterator[Stage]:
    """The stages before an address is asked: its name, and TLS, with nothing sent yet.

    `sent` is what secret will be sent there, "" where nothing is. Errors: NoSuchHost, NotAllowed, Unsecured.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    addresses = checked(host, port_of(url), reach.hosts, resolver)
    yield Stage("name", True, leads(host, addresses))
    if parts.scheme != "https":
        if sent:
            told = f"not used: {sent} goes in clear to this address"
            yield Stage("TLS", True, told, "Use https if the server offers it.")
        return
    told = _shaken(host, port_of(url), addresses, context or ssl.create_default_context())
    if told:
        yield Stage("TLS", True, told)


def leads(host: str, addresses: Sequence[str]) -> str:
    """Where a host's name leads; an address leads to itself, which need not be said."""
    try:
        given = ipaddress.ip_address(host)
    except ValueError:
        return f"{host} is {addresses[0]}"
    return f"{given} is an address, so there is no name to look up"


def failed(stage: str, error: SpireError, advice: str) -> Stage:
    """A stage that failed, with what to do: the error knows best, else the advice."""
    stage = "TLS" if isinstance(error, Unsecured) else stage
    return Stage(stage, False, f"{error.happened} {error.where}".strip(), error.action or advice)


def _shaken(host: str, port: int, addresses: Sequence[str], context: ssl.SSLContext) -> str:
    """What was agreed on, and until when the server's certificate holds; "" where nobody answers, which the next stage tells."""
    for address in addresses:
        try:
            with (
                socket.create_connection((address, port), PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=host) as secure,
            ):
                until = str((secure.getpeercert() or {}).get("notAfter", ""))
                end = (
                    f"{datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC):%-d %B %Y}"
                    if until
                    else ""
                )
                holds = f" and holds until {end}" if end else ""
                version = str(secure.version() or "").replace("TLSv", "TLS ")
                return f"{version}; its certificate is trusted{holds}"
        except ssl.SSLCertVerificationError as error:
            raise Unsecured(
                f"{host}:{port}: its certificate is not trusted, {error.verify_message}.",
                action="Give its authority's certificate (PEM), if that is one to trust.",
            ) from None
        except ssl.SSLError:
            raise Unsecured(
                f"{host}:{port}: TLS could not be agreed on.",
                action="Check the port, and whether it speaks TLS.",
            ) from None
        except OSError:
            continue
    return ""
