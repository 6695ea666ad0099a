"""Which hosts a configuration names, and whether a secret may go to one of them.

A place is `host:port`. A credential is bound to places, or to hosts at any port.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from engine.errors import Stop

_PORTS = {"http": 80, "https": 443, "sftp": 22, "ssh": 22, "ftps": 990, "amqps": 5671, "rediss": 6379}


class NotBound(Stop):
    """This credential may not be sent to that host, so it was not."""


def named(config: BaseModel) -> tuple[str, ...]:
    """Every place a configuration names: its host and port, and whatever of its settings is an address."""
    found: dict[str, None] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, SecretStr):
            continue
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str):
                port = getattr(config, "port", None)
                found |= dict.fromkeys(_of_host(text, port) if name == "host" else _of_address(text))
    return tuple(found)


def _of_host(text: str, port: object) -> Iterator[str]:
    if text:
        yield place(text, port if isinstance(port, int) else 0)


def _of_address(text: str) -> Iterator[str]:
    scheme, sign, _ = text.partition("://")
    if not sign or not scheme.isalnum():
        return
    # A text that only looks like an address names no host.
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.hostname:
            yield place(parts.hostname, parts.port or _PORTS.get(scheme.lower(), 0))


def place(host: str, port: int) -> str:
    """A host with its port, as it is compared: `db.example:5432`, `[::1]:443`; without one where it is 0."""
    plain = host.strip("[]").rstrip(".").lower()
    literal = f"[{plain}]" if ":" in plain else plain
    return f"{literal}:{port}" if port else literal


def written(text: str) -> str:
    """A host as a person writes it, in the form it is compared in; ValueError says what is wrong."""
    given = text.strip()
    if "://" in given:
        found = next(_of_address(given), "")
        if not found:
            raise ValueError("give a host, such as db.example or db.example:5432")
        return found
    try:
        parts = urlsplit(f"//{given}")
        port = parts.port or 0
    except ValueError:
        raise ValueError("give a host, such as db.example or db.example:5432") from None
    if not parts.hostname or parts.username or parts.path or parts.query or any(c.isspace() for c in given):
        raise ValueError("give a host, such as db.example or db.example:5432")
    return place(parts.hostname, port)


def covers(bound: Sequence[str], wanted: str) -> bool:
    """Whether a credential that is bound to these may be sent to a place."""
    host = wanted if wanted.endswith("]") else wanted.rpartition(":")[0] or wanted
    return wanted in bound or host in bound


def demand(bound: Sequence[str], wanted: str) -> None:
    """NotBound, unless a credential that is bound to these may be sent to a place."""
    if not covers(bound, wanted):
        raise NotBound(
            f"It is bound to {', '.join(bound) or 'no host'}, not to {wanted}.",
            action="Use the source's own credential, or rotate this one with the hosts it is meant for.",
        )
