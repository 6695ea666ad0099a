"""What runs did to objects, and what objects wait for, on the wire."""

from __future__ import annotations

from typing import Literal

from app.tenant.schemas import Answer


class TouchedView(Answer):
    """A record, and the other id it is about, if any."""

    target: str
    key: str
    id: str
    name: str
    about: str = ""


class RunChange(Answer):
    """How many records something happened to in a run, and the first of them."""

    kind: Literal["altered", "revoked", "gone", "back", "waiting", "settled"]
    count: int
    records: list[TouchedView]


class RunChanges(Answer):
    """What a run did to objects beyond its ledger; kinds without any are left out."""

    run: int
    changes: list[RunChange]


class AwaitedView(Answer):
    """An id that is not here yet: how many records name it, and the first of them."""

    ref: str
    records: int
    first: list[TouchedView]


class WaitingPage(Answer):
    """Ids that are waited for, those most records name first; how many there are, and how many records wait."""

    ids: list[AwaitedView]
    total: int
    records: int
