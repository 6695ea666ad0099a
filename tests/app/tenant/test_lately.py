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
    """A tenant whose answers are numbered, and take as long as is said."""

    def __init__(self, level: str = "standard") -> None:
        self.now, self.takes, self.status = 0.0, 0.0, 200
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
        self.now += self.takes
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


@pytest.mark.parametrize(("takes", "behind"), [(0.01, MOMENT), (0.5, 2.0), (60.0, BEHIND)])
def test_it_is_behind_a_load_by_a_moment_or_a_few_times_what_it_took(takes: float, behind: float) -> None:
    tenant = Tenant()
    tenant.takes = takes
    tenant.asked()
    tenant.store.batches += 1
    tenant.now = behind - 0.001
    assert tenant.asked() == "1"
    tenant.now = behind + 0.001
    assert tenant.asked() == "2"


def test_who_asks_meanwhile_waits_for_the_first_but_not_past_an_act() -> None:
    async def crowd(tenant: Tenant) -> list[str]:
        tenant.gate = asyncio.Event()
        first = [asyncio.create_task(tenant.ask()) for _ in range(5)]
        await asyncio.sleep(0)
        tenant.store.acts += 1
        second = [asyncio.create_task(tenant.ask()) for _ in range(5)]
        await asyncio.sleep(0)
        tenant.gate.set()
        return list(await asyncio.gather(*first, *second))

    tenant = Tenant()
    told = asyncio.run(crowd(tenant))
    assert told[5:] == ["2"] * 5
    assert set(told[:5]) <= {"1", "2"}
    assert len(tenant.worked) == 2


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
    monkeypatch.setattr("app.tenant.lately.MOST", 4)
    tenant = Tenant()
    tenant.asked(query=b"a")
    tenant.asked(query=b"b")
    assert tenant.asked(query=b"a") == "1"
    tenant.asked(query=b"c")
    assert [tenant.asked(query=b"a"), tenant.asked(query=b"b")] == ["1", "4"]
    monkeypatch.setattr("app.tenant.lately.LARGEST", 0)
    assert tenant.asked(query=b"d") != tenant.asked(query=b"d")
