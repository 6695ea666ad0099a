"""Answers of a moment ago: the same question by many is worked out once, and what was done shows at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.tenant.lately import BEHIND, MOMENT, OLDEST, Lately

PATH = "/records/indicator/facets"


class Tenant:
    """A tenant whose answers are numbered."""

    def __init__(self, level: str = "standard") -> None:
        self.now, self.status = 0.0, 200
        self.worked: list[str] = []
        self.store = SimpleNamespace(acts=0, batches=0)
        self.state = SimpleNamespace(
            desk=SimpleNamespace(store=self.store, settings=SimpleNamespace(audit_level=level))
        )
        self.front = Lately(self._work, clock=lambda: self.now)
        self.gate: asyncio.Event | None = None

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.worked.append(scope["path"])
        told = str(len(self.worked)).encode()
        if self.gate is not None:
            await self.gate.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": told})

    async def ask(self, path: str = PATH, query: bytes = b"", method: str = "GET") -> str:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        scope: dict[str, Any] = {
            "type": "http", "method": method, "path": path, "query_string": query, "app": self,
        }  # fmt: skip
        await self.front(scope, receive, send)
        return b"".join(m.get("body", b"") for m in sent).decode()

    def asked(self, *more: Any, **named: Any) -> str:
        return asyncio.run(self.ask(*more, **named))


def test_the_same_question_is_worked_out_once_until_something_is_done() -> None:
    tenant = Tenant()
    assert [tenant.asked(), tenant.asked(), tenant.asked(query=b"q=x")] == ["1", "1", "2"]
    tenant.store.acts += 1
    assert [tenant.asked(), tenant.asked()] == ["3", "3"]


def test_it_does_not_outlive_what_it_says_of_times() -> None:
    tenant = Tenant()
    tenant.asked()
    tenant.now = OLDEST - 0.1
    assert tenant.asked() == "1"
    tenant.now = OLDEST + 0.1
    assert tenant.asked() == "2"


def test_behind_a_load_it_is_worked_out_anew_while_it_is_given_and_then_not_given_any_more() -> None:
    async def during(tenant: Tenant) -> list[str]:
        told = [await tenant.ask()]
        tenant.store.batches += 1
        for now in (MOMENT - 0.1, MOMENT + 0.1, MOMENT + 0.2):
            tenant.now = now
            told.append(await tenant.ask())
            await asyncio.sleep(0.01)
        tenant.store.batches += 1
        tenant.now = MOMENT + 0.1 + BEHIND + 0.1
        return [*told, await tenant.ask()]

    assert asyncio.run(during(Tenant())) == ["1", "1", "1", "2", "3"]


def test_who_asks_meanwhile_waits_for_the_first_but_not_past_an_act() -> None:
    async def crowd(tenant: Tenant) -> list[str]:
        tenant.gate = asyncio.Event()
        first = [asyncio.create_task(tenant.ask()) for _ in range(5)]
        await asyncio.sleep(0.01)
        tenant.store.acts += 1
        second = [asyncio.create_task(tenant.ask()) for _ in range(5)]
        await asyncio.sleep(0.01)
        tenant.gate.set()
        return list(await asyncio.gather(*first, *second))

    tenant = Tenant()
    assert asyncio.run(crowd(tenant)) == ["1"] * 5 + ["2"] * 5


def test_refusals_progress_and_what_changes_something_are_always_asked_anew() -> None:
    tenant = Tenant()
    for path in ("/runs", "/runs/7", "/drafts", "/export/indicator", "/sources/a", "/state"):
        assert tenant.asked(path) != tenant.asked(path), path
    assert tenant.asked(method="POST") != tenant.asked(method="POST")
    tenant.status = 404
    assert tenant.asked(query=b"none") != tenant.asked(query=b"none")


def test_where_every_access_is_written_down_every_access_is_made() -> None:
    tenant = Tenant("comprehensive")
    assert [tenant.asked(), tenant.asked()] == ["1", "2"]


def test_what_is_large_is_not_kept_and_the_longest_unused_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tenant.lately.MOST", 6)
    tenant = Tenant()
    tenant.asked(query=b"a")
    tenant.asked(query=b"b")
    assert tenant.asked(query=b"a") == "1"
    tenant.asked(query=b"c")
    assert [tenant.asked(query=b"a"), tenant.asked(query=b"b")] == ["1", "4"]
    monkeypatch.setattr("app.tenant.lately.LARGEST", 0)
    assert tenant.asked(query=b"d") != tenant.asked(query=b"d")
