"""How a tenant stands: what waits for a person, and how fresh its data is."""

from __future__ import annotations

from pathlib import Path

from app.client import Client
from app.tenant.api import app_on
from app.tenant.desk import Desk


def kinds(client: Client) -> list[str]:
    return [need.kind for need in client.standing().needs]


def test_an_empty_tenant_needs_nobody(client: Client) -> None:
    found = client.standing()
    assert (found.needs, found.freshness, found.finished, found.unbalanced) == ([], [], 0, [])


def test_a_source_without_a_mapping_waits_for_one(client: Client) -> None:
    made = client.create_source(text="ip,note\n192.0.2.1,a\n", name="plain")
    (need,) = client.standing().needs
    assert (need.kind, need.source, need.wrong) == ("unmapped", made.source.id, False)
    assert need.title == "plain is not mapped yet"


def test_rejects_are_told_with_their_causes_and_how_many_have_a_fix(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    found = client.standing()

    (need,) = found.needs
    assert (need.kind, need.pipeline, need.rows, need.wrong) == ("rejects", done.pipeline, 2, True)
    assert need.title == "2 rejects in feed.csv"
    assert need.detail.startswith("2 causes; 2 have a proposed fix")
    (fresh,) = found.freshness
    assert fresh.newest is not None
    assert fresh.kept == 3
    assert (found.finished, found.unbalanced) == (1, [])


def test_a_freshness_rule_gives_the_target_and_an_undone_load_is_kept_no_more(desk: Desk, feed: Path) -> None:
    with Client.on_app(app_on(desk), user="eva", role="engineer") as client:
        done = client.ingest(feed, wait=60)
        view = client.pipeline(done.pipeline)
        mapping = view.pipeline.mappings[0].model_dump(mode="json", by_alias=True)
        rule = {
            "id": "fresh",
            "operator": "freshness",
            "field": "valid_from",
            "value": "36 hours",
            "severity": "warn",
        }
        client.replace_pipeline(
            done.pipeline, name="feed", source=done.source, mappings=[{**mapping, "rules": [rule]}]
        )
        assert client.standing().freshness[0].within == 36 * 3600
        client.undo_run(done.run)
        assert client.standing().freshness[0].kept == 0


def test_a_draft_names_the_required_fields_it_lacks(client: Client) -> None:
    made = client.create_source(text="ip,note\n192.0.2.1,a\n", name="plain")
    content = {"mappings": [{"target": "indicator", "fields": [{"field": "name", "from": "note"}]}]}
    client.put_draft(f"source:{made.source.id}", content, 0)
    (need,) = client.standing().needs
    assert need.kind == "draft"
    assert "required field" in need.title
    assert "id" in need.detail


def test_the_two_counts_are_those_of_what_waits(desk: Desk, feed: Path) -> None:
    with Client.on_app(app_on(desk), user="eva", role="engineer") as client:
        assert client.counts().model_dump() == {"open_rejects": 0, "failed": 0}
        done = client.ingest(feed, wait=60)
        assert client.counts().model_dump() == {"open_rejects": 2, "failed": 0}
        client.change_reject(client.rejects().rejects[0].id, dismiss=True)
        assert client.counts().open_rejects == 1

        made = client.pipeline(done.pipeline).pipeline
        worse = feed.read_text() + "".join(f"198.51.100.{n},ip,2024-03-03,many,green,x\n" for n in range(100))
        client.replace_pipeline(
            made.id, name=made.name, source=made.source, mappings=made.mappings, error_threshold=0.0
        )
        client.change_source(made.source, payload=client.paste(worse, "worse.csv").payload)
        assert client.start_run(made.id, wait=60).state == "failed"
        assert client.counts().failed == 1
        assert [need.kind for need in client.standing().needs].count("failed") == 1


def test_what_needs_somebody_is_told_where_a_payload_came_with_fewer_columns(desk: Desk, feed: Path) -> None:
    with Client.on_app(app_on(desk), user="eva", role="engineer") as client:
        done = client.ingest(feed, wait=60)
        made = client.pipeline(done.pipeline).pipeline
        short = feed.read_text() + "".join(f"198.51.100.{n},ip\n" for n in range(100))
        client.change_source(made.source, payload=client.paste(short, "short.csv").payload)
        client.start_run(made.id, wait=60)
        assert client.standing().needs
        assert client.causes()


def test_a_source_that_holds_nothing_is_told_as_such_and_why(client: Client, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    client.create_source(payload=client.upload(tmp_path / "empty.csv").payload)
    [need] = client.standing().needs
    assert (need.kind, need.title, need.detail) == (
        "unmapped",
        "empty.csv holds nothing to map",
        "The file is empty.",
    )
