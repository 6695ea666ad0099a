"""What the conformance suite needs of each connector: one module here, named as the connector is.

A module has `serve(kind, ground)`, a context in which the connector's data is being served. `KINDS` says which
kinds of data it can serve, `SPEAKS` whether its server can be asked through a proxy ("tcp"), whether it answers in
HTTP ("http"), or neither (""), and `PATIENCE` which settings say how long it waits for a silent server.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import pytest

# some: a dozen records in several payloads, with a field nobody asked for. broken: one of them is no record.
# lying: it announces fewer than it has. large: so much that it shows where it is held whole.
Kind = Literal["some", "empty", "broken", "lying", "large"]
LARGE = 40 << 20
# What a shared server keeps this process's data under: the suite's files may run at once.
OWN = f"conformance_{os.getpid()}"
COUNT = 12
UNHEARD = "unheard_of_ünknown"
SECRET = "pl4nted-s3cret"
# The patience of all that goes through the connectors' own way to the web.
WEB: dict[str, float] = {
    "connectors.web._READ": 0.5,
    "connectors.web._CONNECT": 0.3,
    "connectors.web.TRIES": 2,
}
_RECORD = re.compile(rb"rec-\d{4}")


def record(number: int) -> str:
    """The name of a record, by which it is found again in whatever form it comes."""
    return f"rec-{number:04d}"


RECORDS = frozenset(record(number) for number in range(1, COUNT + 1))


def records_in(data: bytes) -> set[str]:
    """Which records are in a payload."""
    return {found.decode() for found in _RECORD.findall(data)}


def nothing() -> None:
    """There is nothing to mend."""


@dataclass(frozen=True)
class Served:
    """A source that is being served: its configuration, given the port to ask, and what is known of it.

    `port` is the real server's, 0 where there is none. `plain` leaves out of a payload what its server makes
    anew each time. `mend` repairs what is broken. `named` is a name its server takes for itself.
    """

    config: Callable[[int], dict[str, Any]]
    port: int = 0
    records: frozenset[str] = RECORDS
    in_payload: Callable[[bytes], set[str]] = records_in
    plain: Callable[[bytes], object] = bytes
    mend: Callable[[], None] = nothing
    secret: str = SECRET
    unheard: str = UNHEARD
    folders: tuple[str, ...] = ()
    named: str = "changing.example"


@dataclass(frozen=True)
class Ground:
    """What a harness stands on: fixtures by name, a folder, and settings it may change for the test."""

    request: pytest.FixtureRequest
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def fixture(self, name: str) -> Any:
        return self.request.getfixturevalue(name)


class Harness(Protocol):
    """A module of this package."""

    SPEAKS: Literal["", "tcp", "http"]
    KINDS: frozenset[Kind]
    PATIENCE: dict[str, float]

    def serve(self, kind: Kind, ground: Ground) -> AbstractContextManager[Served]: ...


HARNESSES: dict[str, Harness] = {
    module.name: cast(Harness, importlib.import_module(f"{__name__}.{module.name}"))
    for module in pkgutil.iter_modules(__path__)
}
