"""What every check says alike: that the server's name leads somewhere allowed, and how a stage failed."""

from __future__ import annotations

from urllib.parse import urlsplit

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach
from connectors.web import port_of
from engine.errors import SpireError
from engine.ports import Stage


def named(url: str, reach: Reach, resolver: Resolve = resolve) -> Stage:
    """The stage of the address's host. Errors: NoSuchHost, NotAllowed."""
    host = urlsplit(url).hostname or ""
    return Stage("name", True, f"{host} is {checked(host, port_of(url), reach.hosts, resolver)[0]}")


def failed(stage: str, error: SpireError, advice: str) -> Stage:
    """A stage that failed, with what to do: the error knows best, else the advice."""
    return Stage(stage, False, f"{error.title} {error.where}".strip(), error.action or advice)
