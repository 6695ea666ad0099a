"""Answers of a moment ago: what many pages ask alike is worked out once, and stands while nothing was done.

A load changes the store with every batch. Worked out anew for everybody after each of them, a page of facets or
of causes would take longer than the next batch: such an answer may be a few seconds behind a load under way. What
a person does, and the end of a run, shows at once.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.tenant.desk import Desk
from storage import audit
from storage.audit import ActionKind

# Nobody's progress, presence or payload is in these, and they are the same for all who may ask.
ALIKE = re.compile(
    r"/(records(/.+)?|lineage/.+|standing(/counts)?|pipelines(/[^/]+)?|targets(/[^/]+)?|rejects(/causes)?|waiting"
    r"|runs/\d+/(changes|undo))"
)
# Seconds an answer may be behind a load under way: from the first it is worked out anew while it is still given,
# after the second it is not given any more. And how old it gets at most, for what it says of times.
MOMENT, BEHIND = 1.0, 5.0
OLDEST = 10.0
MOST = 16 << 20
LARGEST = 1 << 20
Asked = tuple[str, bytes]


@dataclass
class _Answer:
    """What was sent, and as of when: `acts` and `batches` are the store's counts before it was worked out."""

    acts: int
    batches: int
    began: float
    messages: list[Message] = field(default_factory=list)
    size: int = 0


class Lately:
    """ASGI: gives the answer of a moment ago where it still stands; who asks meanwhile waits for the first.

    An answer is held whole until it is known; those of these paths are small.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._kept: OrderedDict[Asked, _Answer] = OrderedDict()
        self._coming: dict[tuple[Asked, int], asyncio.Task[_Answer]] = {}
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not ALIKE.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        desk: Desk = scope["app"].state.desk
        # Where every access is written down, every access has to be made.
        if audit.written(desk.settings.audit_level, ActionKind.READ):
            await self._app(scope, receive, send)
            return
        asked = (scope["path"], scope["query_string"])
        kept = self._kept.get(asked)
        age = self._age(kept, desk) if kept is not None else inf
        if kept is None or age > BEHIND:
            kept = await asyncio.shield(self._asked(asked, desk, scope))
        else:
            self._kept.move_to_end(asked)
            if age > MOMENT:
                self._asked(asked, desk, scope)
        for message in kept.messages:
            await send(message)

    def _age(self, kept: _Answer, desk: Desk) -> float:
        """Seconds an answer is behind: none while nothing has changed, endless where something was done."""
        age = self._clock() - kept.began
        if kept.acts != desk.store.acts or age > OLDEST:
            return inf
        return 0 if kept.batches == desk.store.batches else age

    def _asked(self, asked: Asked, desk: Desk, scope: Scope) -> asyncio.Task[_Answer]:
        """The answer that is being worked out as of the last act; begun where it is not."""
        key = (asked, desk.store.acts)
        if key not in self._coming:
            made = _Answer(desk.store.acts, desk.store.batches, self._clock())
            task = self._coming[key] = asyncio.create_task(self._work(asked, made, dict(scope)))
            task.add_done_callback(lambda ended: self._came(key, ended))
        return self._coming[key]

    def _came(self, key: tuple[Asked, int], ended: asyncio.Task[_Answer]) -> None:
        del self._coming[key]
        # Whoever waits is told of an error; where nobody does, the next who asks will be.
        if not ended.cancelled():
            ended.exception()

    async def _work(self, asked: Asked, made: _Answer, scope: Scope) -> _Answer:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def note(message: Message) -> None:
            made.messages.append(message)
            made.size += len(message.get("body", b"")) + 1

        await self._app(scope, receive, note)
        if made.messages[0].get("status") == 200 and made.size <= LARGEST:
            self._keep(asked, made)
        return made

    def _keep(self, asked: Asked, made: _Answer) -> None:
        before = self._kept.pop(asked, None)
        self._size += made.size - (before.size if before else 0)
        self._kept[asked] = made
        while self._size > MOST:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size
