"""Where data comes from: one file per source kind, each describing itself.

A new connector is one module in this package; it is found by being there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from connectors.registry import Connector, Reach, Renewing, registered
from connectors.sample import Sample, samples
from engine.errors import Stop
from engine.model import Source
from engine.ports import Cursor, Delivered, Outgoing, Payload, Place, Stage


class _Found(Mapping[str, Connector]):
    """Connectors by name, which is their module's: each is imported when it is asked for, and drivers are large."""

    def __getitem__(self, name: str) -> Connector:
        if name not in _modules():
            raise KeyError(name)
        importlib.import_module(f"{__name__}.{name}")
        return registered()[name]

    def __iter__(self) -> Iterator[str]:
        for name in _modules():
            importlib.import_module(f"{__name__}.{name}")
        return iter(sorted(registered()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]


CONNECTORS: Mapping[str, Connector] = _Found()

__all__ = [
    "CONNECTORS",
    "Connector",
    "NotConfigured",
    "Reach",
    "Sample",
    "answer",
    "browse",
    "check",
    "hint_of",
    "hosts_of",
    "payloads_of",
    "samples",
    "write",
]


class NotConfigured(Stop):
    """This source's configuration is incomplete or wrong."""


def payloads_of(
    source: Source,
    since: Cursor | None,
    hosts: Sequence[str] = (),
    folders: Sequence[str] = (),
    bound: tuple[str, ...] | None = None,
    renewing: Renewing | None = None,
) -> Iterator[Payload]:
    """What the source has that is new since the cursor.

    `hosts` are private hosts the administrator allows, `folders` the folders that may be read, `bound` the
    hosts its credentials may be sent to, `renewing` gives secrets that are spent by their use. A payload's stream is good until the next payload is asked for.
    """
    connector, config = _configured(source)
    yield from connector.read(config, since, Reach(tuple(hosts), tuple(folders), bound, renewing))


def hosts_of(source: Source) -> tuple[str, ...]:
    """The places a source sends its secrets to, as `host:port`. Errors: NotConfigured."""
    connector, config = _configured(source)
    return connector.hosts(config)


def hint_of(source: Source) -> dict[str, object]:
    """Options of its payloads' shape that follow from a source's configuration; none where it does not hold."""
    connector = CONNECTORS.get(source.connector)
    if connector is None:
        return {}
    # A reference to a credential is no secret yet, and no hint follows from one.
    config = {name: value for name, value in source.config.items() if name not in connector.secrets}
    try:
        return connector.hint(connector.config.model_validate(config))
    except ValidationError:
        return {}


def answer(
    source: Source,
    hosts: Sequence[str] = (),
    bound: tuple[str, ...] | None = None,
    renewing: Renewing | None = None,
) -> Any:
    """What the source's interface answers first, whatever it is: to find out where its records stand."""
    connector, config = _configured(source)
    return connector.answer(config, Reach(tuple(hosts), (), bound, renewing))


def check(
    source: Source,
    hosts: Sequence[str] = (),
    folders: Sequence[str] = (),
    bound: tuple[str, ...] | None = None,
    renewing: Renewing | None = None,
) -> Iterator[Stage]:
    """Try the source, stage by stage; a configuration that does not hold is the first stage that fails."""
    try:
        connector, config = _configured(source)
    except NotConfigured as error:
        yield Stage("configuration", False, error.where, error.action)
        return
    yield from connector.check(config, Reach(tuple(hosts), tuple(folders), bound, renewing))


def write(
    source: Source,
    outgoing: Outgoing,
    hosts: Sequence[str] = (),
    bound: tuple[str, ...] | None = None,
    renewing: Renewing | None = None,
) -> Iterator[Delivered]:
    """Deliver records to where the source's configuration leads, part by part as they are acknowledged."""
    connector, config = _configured(source)
    yield from connector.write(config, outgoing, Reach(tuple(hosts), (), bound, renewing))


def browse(
    source: Source,
    hosts: Sequence[str] = (),
    bound: tuple[str, ...] | None = None,
    renewing: Renewing | None = None,
) -> list[Place]:
    """What a server holds that may be read, before it is chosen: the configuration says how to get there."""
    found = CONNECTORS.get(source.connector)
    if found is None or not found.browses:
        raise NotConfigured(f"{source.connector} can't be browsed.", action="Name what to read.")
    try:
        return found.browse(source.config, Reach(tuple(hosts), (), bound, renewing))
    except ValidationError as error:
        raise _refused(source.name, error) from None


def _configured(source: Source) -> tuple[Connector, BaseModel]:
    connector = CONNECTORS.get(source.connector)
    if connector is None:
        raise NotConfigured(
            f"There is no connector {source.connector}.", action=f"There are: {', '.join(CONNECTORS)}."
        )
    try:
        return connector, connector.config.model_validate(source.config)
    except ValidationError as error:
        raise _refused(source.name, error) from None


def _refused(name: str, error: ValidationError) -> NotConfigured:
    # The input is left out: it may hold a secret.
    said = "; ".join(
        ": ".join(
            [*filter(None, [".".join(map(str, each["loc"]))]), each["msg"].removeprefix("Value error, ")]
        )
        for each in error.errors(include_input=False)
    )
    return NotConfigured(f"{name}: {said}.", action="Correct what was filled in.")
