"""Refresh tokens that change with every use: the next one is kept before anything else, by one run at a time."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app.client import Client
from app.tenant.desk import Desk
from app.tenant.schemas.runs import RunDetail
from storage import credentials
from storage.audit_search import Search
from tests.servers.loopback import Asked, Loopback, Reply, answering

RECORDS = [{"indicator": f"192.0.2.{n}", "type": "ip"} for n in range(1, 4)]


class Rotating(Loopback):
    """An interface whose every exchange ends the refresh token shown, and notices one that is shown again."""

    def __init__(self) -> None:
        self.current = self.new()
        self.given = [self.current]
        self.spent_shown = 0
        self.sessions: set[str] = set()
        self._turn = threading.Lock()
        super().__init__(answering(self._answer))

    @staticmethod
    def new() -> str:
        return f"refresh-{secrets.token_hex(12)}"

    def _answer(self, asked: Asked) -> Reply:
        if asked.path != "/token":
            known = asked.headers.get("authorization", "").removeprefix("Bearer ") in self.sessions
            return (200, {}, RECORDS) if known else (401, {}, {"error": "invalid_token"})
        form = dict(parse_qsl(asked.body.decode()))
        with self._turn:
            if form.get("refresh_token") != self.current:
                self.spent_shown += 1
                return 400, {}, {"error": "invalid_grant"}
            self.current = self.new()
            self.given.append(self.current)
            session = secrets.token_hex(12)
            self.sessions.add(session)
            return 200, {}, {"access_token": session, "refresh_token": self.current, "expires_in": 3600}


@pytest.fixture
def server(desk: Desk) -> Iterator[Rotating]:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    made = Rotating()
    yield made
    made.close()


def config(server: Rotating, token: Any) -> dict[str, Any]:
    return {
        "url": f"{server.url}/items", "auth": "refresh", "refresh_token": token, "username": "client",
        "token_url": f"{server.url}/token",
    }  # fmt: skip


def pipeline(client: Client, source: str, name: str) -> str:
    mapping = client.suggest(source, target="indicator").suggestions[0].mapping
    return client.create_pipeline(name=name, source=source, mappings=[mapping]).pipeline.id


def kept(desk: Desk, id: str) -> str:
    cursor = desk.store.cursor()
    return credentials.opened(cursor, desk.keys, credentials.get(cursor, id))


def test_each_run_leaves_the_next_token_sealed_and_audited(
    client: Client, desk: Desk, server: Rotating
) -> None:
    from app.tenant import journal

    made = client.create_source(connector="rest", config=config(server, server.current), name="Rotating")
    credential = made.source.config["refresh_token"]["credential"]
    # What was tried before it was saved has spent the token that was typed.
    assert len(server.given) > 1
    assert kept(desk, credential) == server.current
    runs = pipeline(client, made.source.id, "Rotating")
    for _ in range(2):
        before = server.current
        assert client.start_run(runs, wait=60).state == "finished"
        assert kept(desk, credential) == server.current != before
    assert server.spent_shown == 0
    told = journal.found(desk, Search(action="credential.renewed"), limit=100)
    assert {(each.object, each.outcome) for each in told} == {(credential, "done")}
    everything = "".join(str(each) for each in journal.found(desk, Search(), limit=1000))
    assert not any(token in everything for token in server.given)


def test_runs_at_once_take_turns_with_one_token(client: Client, desk: Desk, server: Rotating) -> None:
    client.create_credential(
        id="one", name="One", value=server.current, hosts=[server.url.removeprefix("http://")]
    )
    ids = []
    for name in ("First", "Second", "Third"):
        made = client.create_source(connector="rest", config=config(server, {"credential": "one"}), name=name)
        ids.append(pipeline(client, made.source.id, name))
    found: list[RunDetail] = []
    threads = [
        threading.Thread(target=lambda id=id: found.append(client.start_run(id, wait=60))) for id in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(run.state, run.error) for run in found] == [("finished", None)] * 3
    assert server.spent_shown == 0
    assert kept(desk, "one") == server.current


def test_a_token_rotated_by_hand_is_tried_and_what_follows_it_is_kept(
    client: Client, desk: Desk, server: Rotating
) -> None:
    made = client.create_source(connector="rest", config=config(server, server.current), name="Rotating")
    credential = made.source.config["refresh_token"]["credential"]
    server.current = by_hand = server.new()
    assert client.rotate_credential(credential, value=by_hand).rotated
    assert kept(desk, credential) == server.current != by_hand
    assert server.spent_shown == 0


def test_a_token_that_is_kept_elsewhere_can_not_be_replaced_and_says_so(
    client: Client, desk: Desk, server: Rotating
) -> None:
    desk.environment = {"TOKEN": server.current}
    client.create_credential(
        id="outside", name="Outside", place="environment", reference="TOKEN",
        hosts=[server.url.removeprefix("http://")],
    )  # fmt: skip
    stages = client.check_connection("rest", config(server, {"credential": "outside"})).stages
    failed = [stage for stage in stages if not stage.ok]
    assert "kept elsewhere" in failed[0].detail
    assert not any(token in str(stages) for token in server.given)
