"""How a connector describes itself, and how it is found by name.

A connector is one module: a pydantic `Config` under `@connector`, a `check` that says stage by stage
whether it works, a `read` that yields payloads, and a `write` where it can be a sink as well. Importing the
module registers it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, SecretStr

from connectors import credential_hosts
from engine.ports import Cursor, Delivered, Outgoing, Payload, Place, Stage

# What a connector can do besides reading everything: read only what is new, follow a source without an end, be a sink.
Capability = Literal["incremental", "streams", "write"]
ConfigT = TypeVar("ConfigT", bound=type[BaseModel])
PartT = TypeVar("PartT", bound=BaseModel)
_FOUND: dict[str, Connector] = {}


@dataclass(frozen=True)
class Renewal:
    """A secret that is spent by its use: its value now, and what keeps the one that follows it."""

    value: str = field(repr=False)
    keep: Callable[[str], None]


# By the setting it stands in. As long as the context lasts, nobody else exchanges this secret.
Renewing = Callable[[str], AbstractContextManager[Renewal]]


@dataclass(frozen=True)
class Reach:
    """What the administrator lets connectors touch: private hosts by name or network, and folders.

    `bound` are the hosts that the source's credentials may be sent to; None where it uses none. `renewing` gives the
    secret of a setting to whoever exchanges it for the next one.
    """

    hosts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    bound: tuple[str, ...] | None = None
    renewing: Renewing | None = None

    def carries(self, host: str, port: int) -> None:
        """Say that a secret is about to be sent there. NotBound where its credential is not for that host."""
        if self.bound is not None:
            credential_hosts.demand(self.bound, credential_hosts.place(host, port))


@dataclass(frozen=True)
class Connector:
    """A kind of source. `check`, `read` and `write` are those of the module that holds its `Config`."""

    name: str
    title: str
    summary: str
    config: type[BaseModel]
    capabilities: frozenset[Capability] = frozenset()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The settings that nobody is shown again."""
        fields = self.config.model_fields.items()
        return tuple(n for n, f in fields if SecretStr in (f.annotation, *get_args(f.annotation)))

    def hosts(self, config: BaseModel) -> tuple[str, ...]:
        """The places this configuration sends secrets to: what the module's `hosts` says, else all it names."""
        said: Callable[[Any], Iterable[str]] = getattr(
            sys.modules[self.config.__module__], "hosts", credential_hosts.named
        )
        return tuple(said(config))

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

    def hint(self, config: BaseModel) -> dict[str, object]:
        """Options of its payloads' shape that follow from the configuration; none where the module says nothing."""
        said: Callable[[Any], dict[str, object]] | None = getattr(
            sys.modules[self.config.__module__], "hint", None
        )
        return said(config) if said else {}

    @property
    def answers(self) -> bool:
        """Whether what its interface answers can be looked at before it is said where the records stand."""
        return hasattr(sys.modules[self.config.__module__], "answer")

    def answer(self, config: BaseModel, reach: Reach) -> Any:
        """What its interface answers first."""
        found: Callable[[Any, Reach], Any] = sys.modules[self.config.__module__].answer
        return found(config, reach)

    @property
    def browses(self) -> bool:
        """Whether it can say what there is to read before anything is chosen."""
        return hasattr(sys.modules[self.config.__module__], "browse")

    def browse(self, given: Mapping[str, Any], reach: Reach) -> list[Place]:
        """What there is to read, by a configuration that says how to get there and not yet what to read."""
        found: Callable[[Mapping[str, Any], Reach], list[Place]] = sys.modules[self.config.__module__].browse
        return found(given, reach)

    def write(self, config: BaseModel, outgoing: Outgoing, reach: Reach) -> Iterator[Delivered]:
        """Deliver records, part by part, each said to be there only when the other side has acknowledged it."""
        found: Callable[[Any, Outgoing, Reach], Iterator[Delivered]] = sys.modules[
            self.config.__module__
        ].write
        return found(config, outgoing, reach)


def connector(
    name: str, *, title: str, summary: str, capabilities: Iterable[Capability] = ()
) -> Callable[[ConfigT], ConfigT]:
    """Register the decorated Config's module as the connector of this name."""

    def register(config: ConfigT) -> ConfigT:
        _FOUND[name] = Connector(name, title, summary, config, frozenset(capabilities))
        return config

    return register


def reached(given: Mapping[str, Any], part: type[PartT]) -> PartT:
    """The part of a configuration that says how to get there, where what to read isn't chosen yet."""
    return part.model_validate({name: given[name] for name in part.model_fields if name in given})


def registered() -> dict[str, Connector]:
    """Every connector imported so far, by name."""
    return _FOUND
