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

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.tenant.desk import Desk
from storage import audit
from storage.audit import ActionKind

# Nobody's progress, presence or payload is in these, and they are the same for all who may ask.
ALIKE = re.compile(
    r"/(records(/.+)?|lineage/.+|standing(/counts)?|pipelines(/[^/]+)?|targets(/[^/]+)?|rejects(/causes)?|waiting"
    r"|runs/\d+/(changes|undo)|steps|operators|kinds|vocabularies|connectors)"
)
# Seconds an answer may be behind a load: a moment, or what it took times so much; and how old it gets at most,
# for what it says of times.
MOMENT, TIMES, BEHIND = 1.0, 4.0, 5.0
OLDEST = 10.0
MOST = 16 << 20
LARGEST = 1 << 20


@dataclass
class _Answer:
    """What was sent, and as of when: `acts` and `batches` are the store's counts before it was worked out."""

    acts: int
    batches: int
    began: float
    took: float = 0
    messages: list[Message] = field(default_factory=list)
    size: int = 0


class Lately:
    """ASGI: gives the answer of a moment ago where it still stands; who asks meanwhile waits for the first."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._kept: OrderedDict[tuple[str, bytes], _Answer] = OrderedDict()
        self._coming: dict[tuple[str, bytes, int], asyncio.Event] = {}
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
        while True:
            kept = self._kept.get(asked)
            if kept is not None and self._stands(kept, desk):
                self._kept.move_to_end(asked)
                for message in kept.messages:
                    await send(message)
                return
            coming = self._coming.get((*asked, desk.store.acts))
            if coming is None:
                await self._work(asked, desk, scope, receive, send)
                return
            await coming.wait()

    def _stands(self, kept: _Answer, desk: Desk) -> bool:
        if kept.acts != desk.store.acts:
            return False
        age = self._clock() - kept.began
        behind = min(max(MOMENT, TIMES * kept.took), BEHIND)
        return age < (OLDEST if kept.batches == desk.store.batches else behind)

    async def _work(
        self, asked: tuple[str, bytes], desk: Desk, scope: Scope, receive: Receive, send: Send
    ) -> None:
        made = _Answer(desk.store.acts, desk.store.batches, self._clock())
        self._coming[*asked, made.acts] = done = asyncio.Event()

        async def noting(message: Message) -> None:
            made.size += len(message.get("body", b"")) or 1
            if made.size <= LARGEST:
                made.messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, noting)
            made.took = self._clock() - made.began
            if made.messages and made.messages[0].get("status") == 200 and made.size <= LARGEST:
                self._keep(asked, made)
        finally:
            del self._coming[*asked, made.acts]
            done.set()

    def _keep(self, asked: tuple[str, bytes], made: _Answer) -> None:
        before = self._kept.pop(asked, None)
        self._size += made.size - (before.size if before else 0)
        self._kept[asked] = made
        while self._size > MOST:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size
