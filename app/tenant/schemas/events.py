"""Audit events on the wire."""

from __future__ import annotations

from app.tenant.schemas import Answer, Request


class EventView(Answer):
    """An audit event, a link of the tenant's chain. `before` and `after` are JSON text, secrets masked."""

    seq: int
    at: str
    who: str
    action: str
    kind: str
    object: str
    outcome: str
    before: str
    after: str
    hash: str


class EventPage(Answer):
    """Audit events, newest first. Ask on with `before` where there are more."""

    events: list[EventView]
    more: bool = False


class Witness(Request):
    """Where the chain was seen before, as kept in another place."""

    count: int = 0
    hash: str | None = None


class VerifyResult(Answer):
    """Whether the chain holds. `broken` is the first event that does not."""

    ok: bool
    count: int
    hash: str
    broken: int | None = None
    reason: str = ""
