"""Google Analytics' figures come by day, and late days once more, from a stand-in that keeps to Google's contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import NotConfigured, browse, check, hosts_of, payloads_of
from connectors.cursors import doubt, told
from connectors.google_analytics import Config, Withheld
from connectors.google_analytics_property import NotAllowedIn, NotReadable, SignInRefused, Spared, UsedUp
from connectors.signing import BrokenAnswer
from connectors.web import Unreachable
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.reading import objects
from tests.connectors.reading import read as read_payload
from tests.servers.google_analytics import PROPERTY, Analytics, Reply, disabled
from tests.servers.salesforce import pair

HERE = ("127.0.0.1",)
DAYS, PAGES = 20, 3
Page = tuple[list[dict[str, Any]], Cursor | None]


def days_ago(number: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=number)


def figure(day: date, page: str, sessions: int) -> dict[str, Any]:
    return {"date": f"{day:%Y%m%d}", "pagePath": page, "sessionSource": "direct", "sessions": sessions}


@pytest.fixture
def analytics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Analytics]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    made = Analytics()
    made.rows = [figure(days_ago(d), f"/{p}", d) for d in range(1, DAYS + 1) for p in range(PAGES)]
    yield made
    made.close()


def source(analytics: Analytics, **config: Any) -> Source:
    given = {"since": days_ago(DAYS).isoformat(), "page_size": 10, **config}
    return Source(id="g", name="g", connector="google_analytics", config=analytics.config(**given))


def taken(from_: Source, since: Cursor | None = None) -> list[Page]:
    """Each page's rows, as a run reads them, and the cursor after it."""
    bodies = [(payload.stream.read(), payload.cursor) for payload in payloads_of(from_, since, HERE)]
    return [(objects(read_payload(body)) if body else [], cursor) for body, cursor in bodies]


def keys(pages: list[Page]) -> list[tuple[str, str]]:
    return [(row["date"], row["pagePath"]) for rows, _ in pages for row in rows]


def everything(analytics: Analytics) -> set[tuple[str, str]]:
    return {(row["date"], row["pagePath"]) for row in analytics.rows}


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


def test_every_row_comes_once_under_the_names_of_its_report(analytics: Analytics) -> None:
    pages = taken(source(analytics))
    assert len(pages) > 5
    assert sorted(keys(pages)) == sorted(everything(analytics))
    first = pages[0][0][0]
    assert first["sessions"] == str(DAYS)
    assert first["report"] == {"property": PROPERTY, "currencyCode": "EUR", "timeZone": "Europe/Berlin"}
    assert keys(taken(source(analytics))) == keys(pages)


def test_from_every_cursor_it_gave_nothing_is_missed(analytics: Analytics) -> None:
    whole = source(analytics)
    pages = taken(whole)
    for number, (_, cursor) in enumerate(pages):
        rest = taken(whole, json.loads(json.dumps(cursor)))
        assert set(keys(pages[: number + 1])) | set(keys(rest)) == everything(analytics)


def test_late_days_are_read_again_and_older_ones_are_not(analytics: Analytics) -> None:
    whole = source(analytics, late_days=3)
    cursor = taken(whole)[-1][1]
    assert cursor == {"property": PROPERTY, "through": days_ago(1).isoformat()}
    # Google has counted more for the day before yesterday since then.
    analytics.rows.append(figure(days_ago(2), "/0", 40))
    rows = [row for page, _ in taken(whole, cursor) for row in page]
    assert {row["date"] for row in rows} == {f"{days_ago(d):%Y%m%d}" for d in (1, 2, 3)}
    counted = {(row["date"], row["pagePath"]): row["sessions"] for row in rows}
    assert counted[f"{days_ago(2):%Y%m%d}", "/0"] == "42"


def test_a_round_that_broke_off_begins_at_the_window_it_was_in(analytics: Analytics) -> None:
    pages = payloads_of(source(analytics), None, HERE)
    cursors = [next(pages).cursor for _ in range(4)]
    last = days_ago(DAYS - 6).isoformat()
    assert cursors == [{"property": PROPERTY}] * 2 + [{"property": PROPERTY, "through": last}] * 2


def test_a_first_day_is_kept_to_and_without_one_a_year_is_read(analytics: Analytics) -> None:
    analytics.rows += [figure(days_ago(364), "/old", 1), figure(days_ago(400), "/older", 1)]
    assert min(keys(taken(source(analytics, since=days_ago(5).isoformat()))))[0] == f"{days_ago(5):%Y%m%d}"
    found = {page for _, page in keys(taken(source(analytics, since=None, window_days=100)))}
    assert "/old" in found
    assert "/older" not in found


def test_what_google_says_of_a_report_stays_with_its_rows(analytics: Analytics) -> None:
    analytics.metadata = {
        "subjectToThresholding": True,
        "samplingMetadatas": [{"samplesReadCount": "5", "samplingSpaceSize": "9"}],
        "somethingNew": {"kept": 1},
    }
    report = taken(source(analytics))[0][0][0]["report"]
    assert report["subjectToThresholding"] is True
    assert report["samplingMetadatas"] == [{"samplesReadCount": "5", "samplingSpaceSize": "9"}]
    assert report["somethingNew"] == {"kept": 1}
    detail = {stage.name: stage.detail for stage in check(source(analytics), HERE)}["report"]
    assert "sampled" in detail
    assert "rows with few users are left out" in detail


def test_a_property_without_rows_gives_nothing_and_later_moves_on(analytics: Analytics) -> None:
    analytics.rows = []
    assert taken(source(analytics)) == []
    known = {"property": PROPERTY, "through": days_ago(10).isoformat()}
    [*_, (rows, cursor)] = taken(source(analytics), known)
    assert (rows, cursor) == ([], {"property": PROPERTY, "through": days_ago(1).isoformat()})


def test_a_broken_row_is_passed_on_and_the_others_are_read(analytics: Analytics) -> None:
    def trouble(method: str, path: str) -> Reply | None:
        if not path.endswith("runReport"):
            return None
        names = {"dimensionHeaders": [{"name": "date"}], "metricHeaders": [{"name": "sessions"}]}
        good = {
            "dimensionValues": [{"value": "20260101"}],
            "metricValues": [{"value": "7", "new": 1}],
            "x": [1],
        }
        return 200, {}, {**names, "rows": [good, "broken", {"dimensionValues": []}], "rowCount": 3}

    analytics.trouble = trouble
    [payload, *_] = payloads_of(source(analytics), None, HERE)
    found = read_payload(payload.stream.read())
    assert [fault.raw for fault in found.faults] == [b'"broken"']
    good, odd = objects(found)
    assert (good["date"], good["sessions"], good["sessions.new"], good["x"]) == ("20260101", "7", 1, [1])
    assert odd == {"dimensionValues": []}


def test_cursors_are_told_in_words_and_those_of_another_property_are_found_out(analytics: Analytics) -> None:
    at = {"property": PROPERTY, "through": "2026-01-31"}
    whole = source(analytics)
    assert told(whole, at) == (
        f"All days of property {PROPERTY} up to 2026-01-31; the next run reads the last 3 of them again."
    )
    assert told(whole, {"property": PROPERTY}) == f"No whole window of property {PROPERTY} has been read yet."
    assert doubt(whole, at) == ""
    assert doubt(whole, {**at, "property": "7"}) == f"it is of property 7, and the source reads {PROPERTY}"
    assert doubt(whole, {**at, "through": "soon"}) == "through is no day"
    assert doubt(whole, {**at, "through": str(days_ago(0))}) == "its day has not ended yet"


# ── signing in and choosing ──────────────────────────────────────────────────────────────────────────


def test_a_check_goes_from_the_name_to_the_quota(analytics: Analytics) -> None:
    stages = list(check(source(analytics), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("TLS", True), ("sign-in", True), ("report", True), ("quota", True)
    ]  # fmt: skip
    assert stages[3].detail == "9 rows in the last days"
    assert stages[4].detail == "199,990 tokens of the day, 39,990 tokens of the hour left"


def test_dimensions_and_metrics_are_offered_the_customers_own_among_them(analytics: Analytics) -> None:
    offered = {place.name: [held.name for held in place.columns] for place in browse(source(analytics), HERE)}
    assert "customEvent:team" in offered["dimensions"]
    assert offered["metrics"] == ["sessions", "activeUsers", "screenPageViews"]


def test_the_date_is_always_there_and_no_more_is_asked_for_than_google_takes(analytics: Analytics) -> None:
    config = Config.model_validate(
        analytics.config(dimensions=["country"], property=f"properties/{PROPERTY}")
    )
    assert (config.dimensions, config.property) == (["date", "country"], PROPERTY)
    for wrong in ({"dimensions": [f"d{n}" for n in range(9)]}, {"metrics": []}, {"url": "http://127.0.0.1"}):
        with pytest.raises(ValidationError):
            Config.model_validate(analytics.config(**wrong))
    with pytest.raises(NotConfigured):
        taken(source(analytics, metrics=[]))


def test_what_it_does_not_offer_is_named_before_anything_is_read(analytics: Analytics) -> None:
    stage = list(check(source(analytics, metrics=["sesions"]), HERE))[-1]
    assert (stage.name, stage.ok, stage.detail) == ("report", False, "It has no sesions.")
    with pytest.raises(NotReadable, match="Field sesions is not a valid metric"):
        taken(source(analytics, metrics=["sesions"]))


@pytest.mark.parametrize("key", ["", "{}", '{"private_key": "x", "client_email": "y"}', "[1]", "no json"])
def test_a_key_that_is_none_is_told_in_words(analytics: Analytics, key: str) -> None:
    stage = list(check(source(analytics, key=key), HERE))[-1]
    assert (stage.name, stage.ok) == ("sign-in", False)
    assert "JSON key" in stage.action


def test_a_key_that_google_does_not_know_is_refused(analytics: Analytics) -> None:
    stage = list(check(source(analytics, key=analytics.key(private_key=pair()[0])), HERE))[-1]
    assert (stage.name, stage.ok) == ("sign-in", False)
    analytics.ahead = timedelta(hours=2)
    with pytest.raises(SignInRefused, match="invalid authentication credentials"):
        taken(source(analytics))


def test_a_token_that_ended_is_signed_anew(analytics: Analytics) -> None:
    pages = payloads_of(source(analytics), None, HERE)
    next(pages)
    refused = [(401, {}, {"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}})]
    analytics.trouble = lambda method, path: refused.pop() if refused else None
    assert list(pages)
    assert not refused


def test_who_may_not_read_the_property_is_told_whom_to_let_in(analytics: Analytics) -> None:
    analytics.readers.clear()
    with pytest.raises(NotAllowedIn) as raised:
        taken(source(analytics))
    assert "reader@project.iam.gserviceaccount.com the role Viewer" in raised.value.action
    analytics.trouble = lambda method, path: disabled()
    with pytest.raises(NotAllowedIn) as raised:
        taken(source(analytics))
    assert "Switch on the Google Analytics Data API" in raised.value.action


def test_nobody_but_the_interface_is_asked_and_the_key_is_bound_to_it(
    analytics: Analytics, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = __import__("socket").getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda host, *a, **k: (asked.append(str(host)), real(host, *a, **k))[1]
    )
    taken(source(analytics))
    assert set(asked) == {"127.0.0.1"}
    [where] = hosts_of(source(analytics))
    assert f"https://{where}" == analytics.url
    refused = list(check(source(analytics), HERE, bound=("elsewhere.example",)))
    assert (refused[-1].name, refused[-1].ok) == ("sign-in", False)
    with pytest.raises(SpireError, match="private network"):
        list(payloads_of(source(analytics), None, ()))


def test_no_secret_is_printed_even_where_the_server_repeats_it(analytics: Analytics) -> None:
    taken(source(analytics))
    [token] = analytics.tokens

    def trouble(method: str, path: str) -> Reply | None:
        return 400, {}, {"error": {"code": 400, "message": f"you said {' '.join(analytics.tokens)} 0123abcd"}}

    pages = payloads_of(source(analytics), None, HERE)
    next(pages)
    analytics.trouble = trouble
    with pytest.raises(SpireError) as raised:
        list(pages)
    said = str(raised.value) + repr(raised.value)
    assert "you said …" in said
    assert not any(secret in said for secret in (*analytics.tokens, token, "0123abcd"))
    assert "PRIVATE KEY" not in repr(Config.model_validate(analytics.config()))


# ── a server that misbehaves ─────────────────────────────────────────────────────────────────────────


def once(reply: Reply) -> Any:
    left = [reply]
    return lambda method, path: left.pop() if left and path.endswith("runReport") else None


def test_throttling_is_waited_out_for_as_long_as_it_says(
    analytics: Analytics, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    analytics.trouble = once((429, {"retry-after": "9"}, {"error": {"code": 429, "message": "slow down"}}))
    assert set(keys(taken(source(analytics)))) == everything(analytics)
    assert waited == [9.0]
    for reply in ((503, {}, b""), (500, {}, b"<html>"), (503, {}, {"error": "in a form of its own"})):
        analytics.trouble = lambda method, path, reply=reply: reply
        with pytest.raises(Unreachable):
            taken(source(analytics))


def test_a_quota_that_is_used_up_ends_the_run_until_later(analytics: Analytics) -> None:
    analytics.per_hour = 25
    with pytest.raises(UsedUp, match="Exhausted property tokens per hour"):
        taken(source(analytics, spare=0))


def test_the_tokens_that_are_to_be_left_to_others_are_left(analytics: Analytics) -> None:
    analytics.per_hour = 2030
    with pytest.raises(Spared, match="1,990 tokens of the hour left"):
        taken(source(analytics))
    assert analytics.per_hour == 1990


def test_an_announcement_that_is_not_kept_is_not_taken_for_the_end(analytics: Analytics) -> None:
    analytics.announce = 4
    with pytest.raises(Withheld, match=r"21 of 25 came"):
        taken(source(analytics))


def test_more_rows_than_were_announced_are_read_all_the_same(analytics: Analytics) -> None:
    analytics.announce = -15
    assert set(keys(taken(source(analytics)))) == everything(analytics)


def test_a_page_that_breaks_off_is_asked_for_again_and_broken_json_moves_no_cursor(
    analytics: Analytics,
) -> None:
    analytics.trouble = once((200, {"content-length": "5000"}, b'{"rows": [{"dim'))
    assert set(keys(taken(source(analytics)))) == everything(analytics)
    analytics.trouble = once((200, {}, b'{"rows": [{"dim'))
    with pytest.raises(BrokenAnswer):
        taken(source(analytics))


def test_a_server_that_hangs_is_given_up(analytics: Analytics, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr("connectors.web._READ", 0.2)
    analytics.trouble = lambda method, path: (done.wait(10), None)[1]
    with pytest.raises(Unreachable, match="no answer in time"):
        taken(source(analytics))
    done.set()
