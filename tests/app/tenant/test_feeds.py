"""A REST interface is described by its answer, its records read where a person said, and kept as a template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.client import Client
from app.tenant.desk import Desk
from app.tenant.schemas.feeds import BranchView
from app.wire import MustAct
from tests.connectors.web import Web

SECRET = "pl4nted-key"


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    with closing(Web()) as found:
        # The longer list is not the one that is meant.
        found.made["/api"] = lambda query: json.dumps(
            {
                "meta": {"pages": [{"n": 1}, {"n": 2}, {"n": 3}]},
                "data": {
                    "items": [{"ioc": "192.0.2.1", "seen": "x" * 500}, {"ioc": "192.0.2.2", "tags": ["a"]}]
                },
                "dotted.name": [1, 2],
            }
        ).encode()
        yield found


def paths(branch: BranchView) -> dict[str, int]:
    """The lists that can be taken, and how long each is."""
    found = {branch.path: branch.count} if branch.path is not None else {}
    for inner in branch.inside:
        found |= paths(inner)
    return found


def test_an_answer_shows_the_lists_that_can_be_read_and_is_cut_short(client: Client, web: Web) -> None:
    config = {"url": f"{web.url}/api", "auth": "query", "name": "key", "secret": SECRET}
    found = client.connection_answer("rest", config)
    assert paths(found.tree) == {"meta.pages": 3, "data.items": 2}
    assert len(found.model_dump_json()) < 2_000
    assert SECRET not in client.audit().model_dump_json()
    assert "source.asked" in [event.action for event in client.audit().events]
    with pytest.raises(MustAct):
        client.connection_answer("folder", {"path": "/tmp"})
    with pytest.raises(MustAct):
        client.connection_answer("rest", {"url": f"{web.url}/nothing"})


def test_the_records_are_read_where_a_person_said(client: Client, web: Web) -> None:
    asked = {"url": f"{web.url}/api"}
    with pytest.raises(MustAct) as raised:
        client.create_source(connector="rest", name="Unsaid", config=asked)
    assert "not a list" in str(raised.value)
    made = client.create_source(connector="rest", name="Said", config={**asked, "records": "data.items"})
    assert made.source.shape is not None
    assert {field.name for field in made.source.shape.fields} == {"ioc", "seen", "tags"}
    assert client.source_preview(made.source.id).read == 2
    other = client.change_source(made.source.id, config={**asked, "records": "meta.pages"})
    assert other.source.shape is not None
    assert [field.name for field in other.source.shape.fields] == ["n"]
    assert "meta.pages" in " ".join(other.source.shape.notes)


def test_a_description_is_kept_without_its_secrets_and_deleted_again(client: Client, web: Web) -> None:
    config = {"url": f"{web.url}/api", "records": "data.items", "auth": "bearer", "secret": SECRET}
    kept = client.keep_feed(title="Our partner", connector="rest", config=config)
    assert (kept.name, kept.own, "secret" in kept.config) == ("our-partner", True, False)
    assert client.feeds()[0] == kept
    assert SECRET not in client.audit().model_dump_json()
    made = client.create_source(connector="rest", name="Again", config={**kept.config, "secret": SECRET})
    assert client.source_preview(made.source.id).read == 2
    client.delete_feed(kept.name)
    assert not any(feed.own for feed in client.feeds())
    assert client.keep_feed(title="OTX", connector="rest", config=config).name != "otx"
