"""Salesforce throttles, breaks off, forgets and withholds, and nothing is lost."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from connectors import check, payloads_of
from connectors.salesforce_org import Gone, NotReadable, Spared, UsedUp
from connectors.salesforce_rounds import Unfollowable, Withheld
from connectors.signing import BrokenAnswer
from connectors.web import Turned, Unreachable
from tests.connectors.salesforce import HERE, RECORDS, everything, ids, once, source, taken
from tests.servers.salesforce import Reply, Salesforce


def test_throttling_is_waited_out_for_as_long_as_it_says(
    org: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    org.trouble = once(
        "/query/01g", (503, {"retry-after": "7"}, [{"errorCode": "SERVER_UNAVAILABLE", "message": "x"}])
    )
    assert len(ids(taken(source(org)))) == RECORDS
    assert waited == [7.0]
    org.trouble = lambda method, path: (503, {}, b"") if "query" in path else None
    with pytest.raises(Unreachable):
        taken(source(org))


def test_a_page_that_breaks_off_is_asked_for_again(org: Salesforce) -> None:
    org.trouble = once("/query/01g", (200, {"content-length": "5000"}, b'{"totalSize": 45, "rec'))
    assert len(ids(taken(source(org)))) == RECORDS


def test_a_server_that_hangs_is_given_up(org: Salesforce, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr("connectors.web._READ", 0.2)
    org.trouble = lambda method, path: (done.wait(10), None)[1] if "describe" in path else None
    with pytest.raises(Unreachable, match="no answer in time"):
        taken(source(org))
    done.set()


def test_used_up_requests_end_the_run_until_another_day(org: Salesforce) -> None:
    org.daily = 4
    with pytest.raises(UsedUp, match="REQUEST_LIMIT_EXCEEDED"):
        taken(source(org, spare=0, page_size=1, where="Email != null"))


def test_the_requests_that_are_to_be_left_to_others_are_left(org: Salesforce) -> None:
    org.daily = 10
    pages = payloads_of(source(org, spare=50), None, HERE)
    assert len([next(pages), next(pages), next(pages)]) == 3
    with pytest.raises(Spared, match="5 of 10"):
        list(pages)
    assert org.used == 5


def test_an_announcement_that_is_not_kept_is_not_taken_for_the_end(org: Salesforce) -> None:
    org.announce = 3
    for way in ("query", "bulk"):
        pages = payloads_of(source(org, transfer=way, page_size=10), None, HERE)
        came = [next(pages) for _ in range(4)]
        assert all(payload.cursor for payload in came)
        with pytest.raises(Withheld):
            list(pages)


def test_records_deleted_while_we_read_are_not_missed_as_withheld(org: Salesforce) -> None:
    pages = payloads_of(source(org), None, HERE)
    next(pages)
    [locator] = org.locators
    records, total = org.locators[locator]
    org.locators[locator] = (records[:-2], total)
    del org.objects["Contact"][-2:]
    assert len(list(pages)) == 4


def test_more_without_a_way_to_it_is_not_taken_for_the_end(org: Salesforce) -> None:
    broken = {"totalSize": 9, "done": False, "records": [{"Id": "1"}]}
    org.trouble = once("/query/?q=", (200, {}, broken))
    with pytest.raises(Unfollowable):
        taken(source(org))
    away = {**broken, "nextRecordsUrl": "@evil.example/x"}
    org.trouble = once("/query/?q=", (200, {}, away))
    with pytest.raises(Turned, match=r"evil\.example"):
        taken(source(org))


def test_a_locator_that_was_forgotten_is_begun_anew_from_the_last_page(org: Salesforce) -> None:
    pages = payloads_of(source(org), None, HERE)
    came = [json.loads(next(pages).stream.read()) for _ in range(2)]
    org.locators.clear()
    came += [json.loads(payload.stream.read()) for payload in pages]
    assert {record["Id"] for page in came for record in page["records"]} == everything(org)
    assert "SystemModstamp >= 2026-01-01T00:05:00.000Z" in " ".join(path for _, path in org.asked).replace(
        "+", " "
    )
    org.trouble = lambda method, path: (
        (400, {}, [{"errorCode": "INVALID_QUERY_LOCATOR", "message": "gone"}])
        if "/query/01g" in path
        else None
    )
    with pytest.raises(Gone):
        taken(source(org))


def test_a_bulk_job_is_read_on_where_it_was_and_anew_where_it_is_gone(org: Salesforce) -> None:
    bulk = source(org, transfer="bulk", page_size=10)
    pages = taken(bulk)
    cursor = pages[1][1]
    assert cursor is not None
    assert cursor["job"] in org.jobs
    assert ids(taken(bulk, cursor)) == ids(pages)[20:]
    assert len(org.jobs) == 1
    org.jobs.clear()
    assert set(ids(taken(bulk, cursor))) == everything(org)


def test_a_job_that_failed_says_why(org: Salesforce) -> None:
    def trouble(method: str, path: str) -> Reply | None:
        failed = {"id": "750", "state": "Failed", "errorMessage": "InvalidBatch : too complicated"}
        return (200, {}, failed) if method == "GET" and "/jobs/query" in path else None

    org.trouble = trouble
    with pytest.raises(NotReadable, match="too complicated"):
        taken(source(org, transfer="bulk"))


def test_broken_json_moves_no_cursor(org: Salesforce) -> None:
    org.trouble = once("/query/01g", (200, {}, b'{"records": [{"Id'))
    pages = payloads_of(source(org), None, HERE)
    next(pages)
    with pytest.raises(BrokenAnswer):
        next(pages)


@pytest.mark.parametrize(
    ("config", "said", "action"),
    [
        ({"where": "Email ="}, "MALFORMED_QUERY", "it is SOQL"),
        ({"object": "Nothing__c"}, "NOT_FOUND", "Choose an object"),
        ({"object": ""}, "No object is chosen", "Say which"),
        ({"fields": ["Emial"]}, "has no field Emial", "There are: "),
        ({"fields": ["Account.Nmae"]}, "INVALID_FIELD", "Choose fields"),
        ({"where": "Email != '" + "x" * 17_000 + "'"}, "more than fit", "read in bulk"),
    ],
)
def test_what_can_not_be_read_is_told_in_words(
    org: Salesforce, config: dict[str, Any], said: str, action: str
) -> None:
    with pytest.raises(NotReadable, match=said) as raised:
        taken(source(org, **config))
    assert action in raised.value.action


def test_a_user_without_permission_is_told_so(org: Salesforce) -> None:
    refused = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "insufficient access rights"}]
    org.trouble = lambda method, path: (403, {}, refused) if "describe" in path else None
    stage = list(check(source(org), HERE))[-1]
    assert (stage.name, stage.ok, stage.action) == (
        "object",
        False,
        "Give the user permission to read this object.",
    )
    org.trouble = lambda method, path: (403, {}, refused) if path.endswith("limits/") else None
    assert [s.detail for s in check(source(org), HERE) if s.name == "limits"] == [
        "this user may not see them"
    ]
