"""Drafts of mappings, kept in the server so that refresh, back and a lost connection lose none.

An edit log per person, tenant and subject, with undo and redo. A draft ends when it is saved, or with
the server; what must last is saved as a version of the pipeline.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.widgets import access

MOST = 500
DEEPEST = 100


@dataclass
class Draft:
    """What is being written, what it was before each edit, and when it last changed."""

    now: dict[str, Any]
    past: list[dict[str, Any]] = field(default_factory=list)
    future: list[dict[str, Any]] = field(default_factory=list)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def edit(self, **changes: Any) -> None:
        """One undoable change."""
        self.past = [*self.past[-DEEPEST + 1 :], copy.deepcopy(self.now)]
        self.future = []
        self.now = {**self.now, **copy.deepcopy(changes)}
        self.at = datetime.now(UTC)

    def undo(self) -> None:
        """Back to before the last change."""
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()
            self.at = datetime.now(UTC)

    def redo(self) -> None:
        """What was undone last, again."""
        if self.future:
            self.past.append(self.now)
            self.now = self.future.pop()
            self.at = datetime.now(UTC)


_kept: OrderedDict[tuple[str, str, str], Draft] = OrderedDict()
_lock = threading.Lock()


def draft(subject: str) -> Draft | None:
    """This person's draft of a subject in this tenant, if there is one."""
    with _lock:
        found = _kept.get(_place(subject))
        if found is not None:
            _kept.move_to_end(_place(subject))
        return found


def begin(subject: str, content: dict[str, Any]) -> Draft:
    """Start a draft anew."""
    with _lock:
        _kept[_place(subject)] = made = Draft(content)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
        return made


def end(subject: str) -> None:
    """Forget a draft."""
    with _lock:
        _kept.pop(_place(subject), None)


def _place(subject: str) -> tuple[str, str, str]:
    return access.principal().id, access.tenant(), subject
