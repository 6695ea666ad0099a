"""The API as a whole: what it describes, what it writes down, and how it says no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.client import Client
from app.roles import TABLE
from app.tenant.api import build
from app.tenant.desk import Desk
from app.wire import MustAct, NotThere, Refused


def test_every_route_stands_in_the_table_of_roles_and_the_other_way_round() -> None:
    paths = build(lambda: pytest.fail("nothing is opened to describe"))
    described = {(m.upper(), path) for path, item in paths.openapi()["paths"].items() for m in item}
    assert described == {(e.method, e.path) for e in TABLE if e.where == "tenant"}


def test_every_route_and_field_is_described() -> None:
    spec = build(lambda: pytest.fail("nothing is opened to describe")).openapi()
    for path, item in spec["paths"].items():
        for method, route in item.items():
            assert route.get("description"), f"{method} {path}"


def test_a_change_is_written_down_with_before_and_after(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    plain = client.pipeline(done.pipeline).pipeline
    client.replace_pipeline(
        done.pipeline, name="Renamed", source=plain.source, mappings=list(plain.mappings), comment="why not"
    )

    event = next(e for e in client.audit().events if e.action == "pipeline.changed")

    assert (event.who, event.object, event.outcome) == ("ana", done.pipeline, "done")
    assert json.loads(event.before)["name"] == "feed.csv"
    assert json.loads(event.after)["name"] == "Renamed"


def test_looking_is_written_down_at_the_comprehensive_level_only(client: Client, desk: Desk) -> None:
    client.records("indicator")
    assert [e.action for e in client.audit().events][:2] == ["audit.read", "records.read"]

    desk.settings = desk.settings.model_copy(update={"audit_level": "standard"})
    before = client.verify_audit().count
    client.records("indicator")
    client.query("SELECT 1")
    assert next(e.action for e in client.audit().events) == "records.queried"
    assert client.verify_audit().count > before


def test_the_chain_is_told_with_every_answer_and_a_cut_tail_shows(client: Client, desk: Desk) -> None:
    heads: list[str] = []
    client.listen(lambda answer: heads.append(answer.headers.get("x-spire-audit", "")))
    client.create_source(text="a,b\n1,2\n", name="x")
    client.create_source(text="a,b\n1,2\n", name="y")
    count, _, hash = heads[-1].partition(":")
    assert client.verify_audit({"count": int(count), "hash": hash}).ok

    with desk.store.transaction() as cursor:
        cursor.execute("DELETE FROM store.spire.audit WHERE seq = ?", [int(count)])
        cursor.execute("DELETE FROM store.spire.audit WHERE seq > ?", [int(count)])

    verdict = client.verify_audit({"count": int(count), "hash": hash})
    assert not verdict.ok
    assert "cut off" in verdict.reason


def test_what_is_not_there_is_a_problem_with_its_place(client: Client) -> None:
    for path in ("/runs/77", "/sources/none", "/pipelines/none", "/rejects/9", "/targets/none", "/nowhere"):
        with pytest.raises(NotThere) as refused:
            client.request("GET", path)
        assert refused.value.status == 404
        assert refused.value.title


def test_a_request_that_does_not_fit_names_the_field(client: Client) -> None:
    with pytest.raises(MustAct) as refused:
        client.request("POST", "/pipelines", json={"name": "x", "source": "Not A Slug", "mappings": []})
    assert refused.value.status == 422
    assert refused.value.where == "source"
    assert (
        refused.value.detail
        == "it holds, or begins with, characters that can't stand there; mappings: it has fewer than 1"
    )


def test_a_target_model_of_ones_own_takes_records_and_keeps_its_types(client: Client) -> None:
    model = {
        "name": "badge", "title": "Badge", "key": ["number"],
        "fields": [{"name": "number", "required": True}, {"name": "owner", "pii": True}],
    }  # fmt: skip
    client.create_target(model)
    made = client.create_source(text="number,owner\n7,Ada\n8,Bob\n", name="badges")
    fields = [{"field": "number", "from": "number"}, {"field": "owner", "from": "owner"}]
    pipeline = client.create_pipeline(
        name="badges", source=made.source.id, mappings=[{"target": "badge", "fields": fields}]
    )
    run = client.start_run(pipeline.pipeline.id, wait=60)

    assert run.ledger.inserted == 2
    assert client.target("badge").records == 2
    with pytest.raises(MustAct):
        client.replace_target("badge", {**model, "fields": [{"name": "number", "type": "integer"}]})
    with pytest.raises(MustAct, match="still uses"):
        client.delete_target("badge")
    with pytest.raises(MustAct, match="built in"):
        client.delete_target("indicator")


def test_our_own_mistake_shows_nothing_of_a_record(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    from storage import explorer

    def broken(*_: object, **__: object) -> None:
        raise duckdb.ConversionException("Could not convert 'secret value' to INT64")

    monkeypatch.setattr(explorer, "browse", broken)
    with pytest.raises(Refused) as refused:
        client.records("indicator")
    assert refused.value.status == 500
    assert "secret value" not in str(refused.value) + refused.value.detail
