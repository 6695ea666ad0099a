"""The audit log is searched whole, counted along time, exported, and tells one event with its change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.client import Client
from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.desk import Desk
from engine.errors import SpireError
from storage import audit
from storage.audit import ActionKind, Event

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def written(desk: Desk) -> Desk:
    """1,200 events of two people, one an hour, every hundredth refused."""
    with desk.store.transaction() as cursor:
        for number in range(1200):
            event = Event(
                ActionKind.CHANGE if number % 2 else ActionKind.RUN,
                "bo" if number % 3 else "ana",
                "pipeline.saved" if number % 2 else "run.started",
                f"feed-{number}",
                "refused" if number % 100 == 0 else "done",
                {"name": "old"},
                {"name": f"Número {number}"},
            )
            at = MONDAY + timedelta(hours=number)
            audit.append(cursor, journal.TABLE, desk.keys.audit, desk.tenant, [event], at)
    return desk


def test_the_oldest_event_is_found_as_well_as_the_newest(client: Client, written: Desk) -> None:
    found = client.audit(text='NÚMERO 3"')
    assert [event.object for event in found.events] == ["feed-3"]
    assert found.more is False


def test_filters_narrow_together_and_pages_follow_each_other(client: Client, written: Desk) -> None:
    first = client.audit(who="bo", action="pipeline.saved", limit=5)
    assert first.more is True
    assert {(event.who, event.action) for event in first.events} == {("bo", "pipeline.saved")}
    second = client.audit(who="bo", action="pipeline.saved", limit=5, before=first.events[-1].seq)
    assert second.events[0].seq < first.events[-1].seq
    day = {"since": MONDAY.isoformat(), "until": (MONDAY + timedelta(days=1)).isoformat()}
    assert len(client.audit(limit=1000, **day).events) == 24


def test_a_summary_counts_along_time_and_by_person(client: Client, written: Desk) -> None:
    whole = client.audit_summary(object="feed-")
    assert whole.total == 1200
    assert whole.step == "day"
    assert sum(bar.events for bar in whole.bars) == 1200
    assert sum(bar.wrong for bar in whole.bars) == 12
    assert {count.value: count.events for count in whole.who} == {"bo": 800, "ana": 400}
    until = MONDAY + timedelta(hours=30)
    hours = client.audit_summary(object="feed-", until=until.isoformat())
    assert hours.step == "hour"
    assert [bar.start for bar in hours.bars][:2] == ["2026-03-02T08", "2026-03-02T09"]
    assert client.audit_summary(text="nobody wrote this").total == 0


def test_an_export_holds_all_that_was_found_and_is_an_event_itself(client: Client, written: Desk) -> None:
    lines = b"".join(client.export_audit(outcome="refused")).splitlines()
    assert [json.loads(line)["object"] for line in lines][:2] == ["feed-1100", "feed-1000"]
    assert len(lines) == 12
    last = client.audit(action="audit.exported").events[0]
    assert json.loads(last.after) == {"outcome": "refused"}
    named = b"".join(client.export_audit(text='feed-7"')).splitlines()
    assert [json.loads(line)["object"] for line in named] == [], (
        "what was asked for is not found in the asking"
    )


def test_one_event_is_told_whole_and_one_that_is_not_there_is_said_so(client: Client, written: Desk) -> None:
    event = client.audit_event(3)
    assert json.loads(event.before) == {"name": "old"}
    assert event.hash
    with pytest.raises(SpireError, match="no such event"):
        client.audit_event(99_999)


def test_events_of_a_level_that_is_not_kept_are_not_written(desk: Desk, client: Client) -> None:
    object.__setattr__(desk.settings, "audit_level", "minimal")
    journal.note(desk, Caller("ana", "analyst"), ActionKind.READ, "record.read")
    assert client.audit(action="record.read").events == []
