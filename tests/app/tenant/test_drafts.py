"""A draft is written by several people, and nobody's change is lost without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.grant import Grant
from app.tenant import drafting
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.tenant.open import open_desk
from app.wire import MustAct
from storage import drafts

SUBJECT = "pipeline:feed"


def test_an_edit_is_undone_and_redone_and_each_step_is_a_revision(client: Client) -> None:
    assert client.draft(SUBJECT).revision == 0
    client.put_draft(SUBJECT, {"name": "one"}, 0)
    head = client.put_draft(SUBJECT, {"name": "two"}, 1)
    assert (head.revision, head.past, head.future, head.who) == (2, 1, 0, "ana")

    undone = client.undo_draft(SUBJECT, 2)
    assert (undone.content, undone.past, undone.future) == ({"name": "one"}, 0, 1)
    assert client.redo_draft(SUBJECT, 3).content == {"name": "two"}
    client.undo_draft(SUBJECT, 4)

    client.put_draft(SUBJECT, {"name": "three"}, 5)
    assert client.draft(SUBJECT).future == 0
    assert client.draft(SUBJECT).content == {"name": "three"}
    assert client.draft(SUBJECT, known=6).content is None


def test_a_change_based_on_an_older_state_is_refused_and_says_who_was_faster(
    client: Client, desk: Desk
) -> None:
    client.put_draft(SUBJECT, {"name": "one"}, 0)
    with Client.on_app(app_on(desk), user="ben", role="analyst") as ben:
        ben.put_draft(SUBJECT, {"name": "ben's"}, 1)

    for late in (
        lambda: client.put_draft(SUBJECT, {"name": "ana's"}, 1),
        lambda: client.put_draft(SUBJECT, {"name": "ana's"}, 0),
        lambda: client.undo_draft(SUBJECT, 1),
        lambda: client.end_draft(SUBJECT, 1),
    ):
        with pytest.raises(MustAct) as refused:
            late()
        assert refused.value.status == 409
        assert "ben changed this draft" in refused.value.title
        assert "seconds ago" in refused.value.title
    assert client.draft(SUBJECT).content == {"name": "ben's"}


def test_a_draft_that_was_put_away_is_not_brought_back_by_a_late_edit(client: Client) -> None:
    client.put_draft(SUBJECT, {"name": "one"}, 0)
    client.end_draft(SUBJECT)
    with pytest.raises(MustAct) as refused:
        client.put_draft(SUBJECT, {"name": "two"}, 1)
    assert "saved or put away" in refused.value.title
    assert client.draft(SUBJECT).revision == 0

    begun = client.put_draft(SUBJECT, {"name": "another"}, 0)
    assert begun.revision > 1
    with pytest.raises(MustAct):
        client.put_draft(SUBJECT, {"name": "two"}, 1)


def test_a_draft_is_there_after_the_tenant_was_closed_and_opened_again(grant: Grant) -> None:
    first = open_desk(grant)
    with Client.on_app(app_on(first), user="ana", role="analyst") as client:
        client.put_draft(SUBJECT, {"name": "näme 🦊"}, 0)
        client.put_draft(SUBJECT, {"name": "two"}, 1)
    first.store.close()

    again = open_desk(grant)
    with Client.on_app(app_on(again), user="ben", role="analyst") as client:
        found = client.draft(SUBJECT)
        assert (found.revision, found.who, found.content) == (2, "ana", {"name": "two"})
        assert client.undo_draft(SUBJECT, 2).content == {"name": "näme 🦊"}
    again.store.close()


def test_history_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST", 3)
    for n in range(6):
        client.put_draft(SUBJECT, {"n": n}, n)
    found = client.draft(SUBJECT)
    assert (found.past, found.content) == (3, {"n": 5})


def test_who_has_a_draft_open_is_told_until_they_are_gone(client: Client, desk: Desk) -> None:
    with Client.on_app(app_on(desk), user="ben", role="viewer") as ben:
        ben.open_draft(SUBJECT)
    assert [p.who for p in client.open_draft(SUBJECT).present] == ["ana", "ben"]

    desk.present[SUBJECT]["ben"] -= drafting.GONE
    assert [p.who for p in client.draft(SUBJECT).present] == ["ana"]


def test_drafts_under_way_are_those_whose_pipeline_or_source_is_there(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    client.put_draft(f"source:{made.source.id}", {"name": "Feed"}, 0)
    client.put_draft("pipeline:gone", {"name": "Gone"}, 0)

    assert [(d.subject, d.who) for d in client.drafts()] == [(f"source:{made.source.id}", "ana")]
    client.end_draft(f"source:{made.source.id}")
    assert client.drafts() == []
    assert [e.action for e in client.audit().events if e.action.startswith("draft.")] == [
        "draft.ended", "draft.begun", "draft.begun",
    ]  # fmt: skip
