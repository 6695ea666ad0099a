"""The desk: everything one open tenant's work is done with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.settings import Settings
from app.tenant.followers import Followers
from app.tenant.remembered import Remembered
from engine.model import Pipeline, Source, TargetModel
from engine.ports import Segment
from engine.run import Progress
from engine.targets import TARGETS
from storage import definitions
from storage.keyring import KeyRing
from storage.landing import Landing
from storage.store import Store


def utc_now() -> datetime:
    """The time, in UTC and without a zone, as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass
class Live:
    """A run under way in this process."""

    progress: Progress
    thread: threading.Thread | None = None
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Desk:
    """One open tenant: its store, landing zone and keys. `working` marks the time a run takes, `pausing`
    that it will be taken up again. `present` knows who has which draft open, and since when nothing was heard.
    `rehearsals` are its last dry runs, by number; `answers` what was worked out and still holds. `environment`
    are the values of variables that are its credentials, `followers` the secrets that followed those being tried.

    `delivering` are the deliveries under way, begun one at a time under `starting`.

    Once `closing` is set, runs stop after their batch and stay to be resumed.
    """

    tenant: str
    store: Store
    landing: Landing
    keys: KeyRing
    settings: Settings
    now: Callable[[], datetime] = utc_now
    working: Callable[[], AbstractContextManager[object]] = nullcontext
    pausing: Callable[[], None] = lambda: None
    live: dict[int, Live] = field(default_factory=dict)
    rehearsals: dict[int, Any] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)
    present: dict[str, dict[str, datetime]] = field(default_factory=dict)
    answers: Remembered = field(default_factory=Remembered)
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    followers: Followers = field(default_factory=Followers, repr=False)
    delivering: dict[int, Live] = field(default_factory=dict)
    starting: threading.Lock = field(default_factory=threading.Lock)


def targets(desk: Desk) -> dict[str, TargetModel]:
    """The built-in target models and this tenant's own, by name."""
    own = definitions.all_latest(desk.store.cursor(), "target")
    return {**TARGETS, **{d.id: TargetModel.model_validate(d.body) for d in own}}


def source(desk: Desk, id: str, version: int | None = None) -> Source:
    """A source by id and, where given, version; NotFound where there is none."""
    return Source.model_validate(definitions.get(desk.store.cursor(), "source", id, version).body)


def received(desk: Desk, read: Source) -> list[Segment]:
    """The sealed payloads an upload source reads, in order."""
    config = read.config
    first = desk.landing.segment(config["upload"], config.get("number", 1))
    return [first, *(desk.landing.segment(upload) for upload in config.get("also", ()))]


def pipeline(desk: Desk, id: str, version: int | None = None) -> Pipeline:
    """A pipeline by id and, where given, version."""
    return Pipeline.model_validate(definitions.get(desk.store.cursor(), "pipeline", id, version).body)
