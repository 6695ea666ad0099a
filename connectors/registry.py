"""How a connector describes itself, and how it is found by name.

A connector is one module: a pydantic `Config` under `@connector`, a `check` that says stage by stage
whether it works, and a `read` that yields payloads. Importing the module registers it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.ports import Cursor, Payload, Stage

ConfigT = TypeVar("ConfigT", bound=type[BaseModel])
_FOUND: dict[str, Connector] = {}


@dataclass(frozen=True)
class Reach:
    """What the administrator lets connectors touch: private hosts by name or network, and folders."""

    hosts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connector:
    """A kind of source. `check` and `read` are those of the module that holds its `Config`."""

    name: str
    title: str
    summary: str
    config: type[BaseModel]

    def check(self, config: BaseModel, reach: Reach) -> Iterator[Stage]:
        """Try the connection, stage by stage; what fails says what to do."""
        found: Callable[[Any, Reach], Iterator[Stage]] = sys.modules[self.config.__module__].check
        return found(config, reach)

    def read(self, config: BaseModel, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
        """What is there and new since the cursor."""
        found: Callable[[Any, Cursor | None, Reach], Iterator[Payload]] = sys.modules[
            self.config.__module__
        ].read
        return found(config, since, reach)


def connector(name: str, *, title: str, summary: str) -> Callable[[ConfigT], ConfigT]:
    """Register the decorated Config's module as the connector of this name."""

    def register(config: ConfigT) -> ConfigT:
        _FOUND[name] = Connector(name, title, summary, config)
        return config

    return register


def registered() -> dict[str, Connector]:
    """Every connector imported so far, by name."""
    return _FOUND
