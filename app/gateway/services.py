"""What the gateway's routes work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request

from app.accounts import Accounts
from app.auth import Live, Principal
from app.control import Control
from app.forward import Forwarder
from app.scheduler import Scheduler
from app.settings import Settings
from app.supervisor import Supervisor
from storage.audit import ActionKind, Event, written
from storage.control import control_audit


@dataclass(frozen=True)
class Services:
    """The gateway's parts, made once at start and closed in its lifespan."""

    settings: Settings
    control: Control
    accounts: Accounts
    live: Live
    supervisor: Supervisor
    forwarder: Forwarder
    scheduler: Scheduler

    @contextmanager
    def change(
        self,
        who: Principal,
        action: str,
        *,
        kind: ActionKind = ActionKind.CHANGE,
        tenant: str = "",
        object: str = "",
    ) -> Iterator[tuple[Session, dict[str, Any]]]:
        """A transaction and the note of it: set `before`, `after` and `object`; both commit together."""
        note: dict[str, Any] = {"object": object}
        with self.control.database.write() as session:
            yield session, note
            if written(self.settings.audit_level, kind):
                event = Event(
                    kind, who.user, action, note["object"], "done", note.get("before"), note.get("after")
                )
                control_audit.record(session, self.control.keys, event, self.control.now(), tenant)
        self.accounts.ended(note.get("ended", ()))


def principal(request: Request) -> Principal:
    """Who asks. The authorisation before the routes has made sure that somebody does."""
    return request.state.principal
