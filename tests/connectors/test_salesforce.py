"""Salesforce's objects come whole, then as they change, from a stand-in that keeps to the vendor's contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import browse, check, hosts_of, payloads_of
from connectors.cursors import doubt, told
from connectors.salesforce_org import Gone, NotReadable, SignInRefused, Spared, UsedUp
from connectors.salesforce_rounds import Unfollowable, Withheld
from connectors.signing import BrokenAnswer
from connectors.web import Turned, Unreachable
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.reading import read as read_payload
from tests.servers import salesforce
from tests.servers.salesforce import Reply, Salesforce

HERE = ("127.0.0.1",)
RECORDS = 45
Page = tuple[list[dict[str, Any]], Cursor | None]


def contact(number: int, minute: int | None = None, **further: Any) -> dict[str, Any]:
    at = number if minute is None else minute
    return {
        "Id": f"003{number:012d}AAA", "LastName": f"Name, \"{number}\"\nsecond line", "Email": f"p{number}@example.com",
        "Account.Name": "Example GmbH", "SystemModstamp": f"2026-01-01T{at // 60:02}:{at % 60:02}:00.000Z", **further,
    }  # fmt: skip


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Iterator[Salesforce]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    made = Salesforce(page=10)
    # Every fifth minute ten records share a stamp: pages end between them.
    made.add("Contact", *(contact(n, n // 10 * 5) for n in range(RECORDS)))
    yield made
    made.close()


def source(org: Salesforce, **config: Any) -> Source:
    given = {"object": "Contact", "overlap": 0, **config}
    return Source(id="s", name="s", connector="salesforce", config=org.config(**given))


def taken(from_: Source, since: Cursor | None = None) -> list[Page]:
    """Each page's records, as a run reads them, and the cursor after it."""
    pages = []
    for payload in payloads_of(from_, since, HERE):
        body = payload.stream.read()
        if payload.media_type == "text/csv":
            names = body.split(b"\n", 1)[0].decode().replace('"', "").split(",")
            rows = [dict(zip(names, row, strict=True)) for row in read_payload(body, name=payload.name).rows]
        else:
            rows = [json.loads(row[0]) for row in read_payload(body, name=payload.name).rows] if body else []
            rows = [row for row in rows if "Id" in row]
        pages.append((rows, payload.cursor))
    return pages


def ids(pages: list[Page]) -> list[str]:
    return [row["Id"] for rows, _ in pages for row in rows]


def everything(org: Salesforce) -> set[str]:
    return {record["Id"] for record in org.objects["Contact"]}


WAYS = pytest.mark.parametrize(
    "way", [{"transfer": "query"}, {"transfer": "bulk", "page_size": 10}], ids=["query", "bulk"]
)


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


@WAYS
def test_every_record_comes_once_with_all_its_fields(org: Salesforce, way: dict[str, Any]) -> None:
    pages = taken(source(org, **way))
    assert len(pages) == 5
    assert sorted(ids(pages)) == sorted(everything(org))
    first = pages[0][0][0]
    assert (first["LastName"], first["Email"]) == ('Name, "0"\nsecond line', "p0@example.com")
    assert ids(taken(source(org, **way))) == ids(pages)


@WAYS
def test_from_every_cursor_it_gave_nothing_is_missed(org: Salesforce, way: dict[str, Any]) -> None:
    whole = source(org, **way)
    pages = taken(whole)
    for number, (_, cursor) in enumerate(pages):
        # A cursor is kept as JSON: what it says must survive that.
        rest = taken(whole, json.loads(json.dumps(cursor)))
        assert set(ids(pages[: number + 1])) | set(ids(rest)) == everything(org)
    assert len(ids(taken(whole, pages[-1][1]))) <= 10


@WAYS
def test_after_the_first_round_only_what_changed_comes(org: Salesforce, way: dict[str, Any]) -> None:
    whole = source(org, **way)
    cursor = taken(whole)[-1][1]
    org.add("Contact", contact(3, 600, Email="new@example.com"), contact(99, 601))
    pages = taken(whole, cursor)
    found = {row["Id"]: row for rows, _ in pages for row in rows}
    assert {contact(3)["Id"], contact(99)["Id"]} <= found.keys()
    assert found[contact(3)["Id"]]["Email"] == "new@example.com"
    assert len(found) <= 7
    assert pages[-1][1] == {"object": "Contact", "modified": "2026-01-01T10:01:00.000Z"}


def test_a_record_stamped_earlier_and_committed_later_is_found_by_the_overlap(org: Salesforce) -> None:
    whole = source(org, overlap=600)
    cursor = taken(whole)[-1][1]
    org.add("Contact", contact(77, 15))
    assert contact(77)["Id"] in ids(taken(whole, cursor))


def test_what_changes_while_a_round_is_under_way_moves_no_mark_past_the_rest(org: Salesforce) -> None:
    pages = payloads_of(source(org), None, HERE)
    next(pages)
    # Salesforce gives a record of a page to come as it is now: with a stamp later than all the others'.
    [(records, _)] = org.locators.values()
    records[19]["SystemModstamp"] = "2099-01-01T00:00:00.000+0000"
    second = next(pages)
    assert second.cursor == {"object": "Contact", "modified": "2026-01-01T00:05:00.000Z"}
    assert list(pages)[-1].cursor == {"object": "Contact", "modified": "2026-01-01T00:20:00.000Z"}


@WAYS
def test_deleted_records_come_where_they_are_asked_for(org: Salesforce, way: dict[str, Any]) -> None:
    cursor = taken(source(org, **way))[-1][1]
    org.add("Contact", contact(5, 700, IsDeleted=True))
    assert contact(5)["Id"] not in ids(taken(source(org, **way), cursor))
    found = {row["Id"]: row for rows, _ in taken(source(org, deleted=True, **way), cursor) for row in rows}
    assert str(found[contact(5)["Id"]]["IsDeleted"]).lower() == "true"


def test_fields_and_a_condition_are_asked_for_and_related_ones_come_with_them(org: Salesforce) -> None:
    chosen = source(org, fields=["Email", "Account.Name"], where="Email = 'p7@example.com' OR Email = null")
    [([row], _)] = taken(chosen)
    assert row["Account"]["Name"] == "Example GmbH"
    assert set(row) == {"attributes", "Id", "SystemModstamp", "Email", "Account"}


def test_a_field_that_is_new_is_read_and_what_its_parts_hold_already_is_not(org: Salesforce) -> None:
    org.types["Contact"] = {"MailingAddress": "address"}
    org.add("Contact", contact(1, 800, Score__c="new", MailingAddress={"city": "Berlin"}))
    row = taken(source(org, where="Score__c = 'new'"))[0][0][0]
    assert row["Score__c"] == "new"
    assert "MailingAddress" not in row


def test_a_whole_query_is_read_anew_each_time(org: Salesforce) -> None:
    own = source(org, object="", query="SELECT Id, Email FROM Contact ORDER BY Id;")
    pages = taken(own)
    assert len(ids(pages)) == RECORDS
    assert len(ids(taken(own, pages[-1][1]))) == RECORDS
    assert len(ids(taken(own, pages[1][1]))) == RECORDS


@WAYS
def test_an_object_without_stamps_is_read_whole_each_time(org: Salesforce, way: dict[str, Any]) -> None:
    org.objects["Log__c"] = [{"Id": f"a0{n}", "IsDeleted": False} for n in range(25)]
    log = source(org, **{**way, "object": "Log__c"})
    pages = taken(log)
    assert len(ids(pages)) == len(ids(taken(log, pages[-1][1]))) == 25


@WAYS
def test_an_empty_object_gives_nothing(org: Salesforce, way: dict[str, Any]) -> None:
    assert taken(source(org, where="Email = 'nobody'", **way)) == []


def test_a_broken_record_is_a_fault_of_its_page_and_the_others_are_read(org: Salesforce) -> None:
    def trouble(method: str, path: str) -> Reply | None:
        if "/query/?q=" not in path:
            return None
        good = {"Id": "003A", "SystemModstamp": "2026-01-01T00:00:00.000+0000", "Unheard": {"of": [1.50]}}
        return (
            200,
            {},
            json.dumps({"totalSize": 3, "done": True, "records": [good, "broken", good]})
            .replace("1.5", "1.50")
            .encode(),
        )

    org.trouble = trouble
    [payload] = [(p.stream.read(), p.cursor) for p in payloads_of(source(org), None, HERE)]
    found = read_payload(payload[0])
    assert (len(found.rows), len(found.faults)) == (2, 1)
    assert b'"Unheard": {"of": [1.50]}' in payload[0], "the page is as it came"


def test_a_broken_line_of_a_bulk_page_is_passed_on_and_counted(org: Salesforce) -> None:
    def trouble(method: str, path: str) -> Reply | None:
        if "/results" not in path:
            return None
        body = b'"Id","SystemModstamp"\n"1","2026-01-01T00:00:00.000Z"\n"2","2026-01-02T00:00:00.000Z","too","many"\n'
        return 200, {"Sforce-Locator": "null", "Sforce-NumberOfRecords": "2"}, body

    org.trouble, org.objects["Contact"] = trouble, org.objects["Contact"][:2]
    [payload] = list(payloads_of(source(org, transfer="bulk"), None, HERE))
    assert b"too" in payload.stream.read()
    assert payload.cursor == {"object": "Contact", "modified": "2026-01-01T00:00:00.000Z"}


# ── signing in ───────────────────────────────────────────────────────────────────────────────────────


def test_a_check_goes_from_the_name_to_the_first_record_and_shows_the_limits(org: Salesforce) -> None:
    stages = list(check(source(org), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("sign-in", True), ("object", True), ("limits", True), ("first record", True)
    ]  # fmt: skip
    assert "changes are followed" in stages[2].detail
    assert stages[3].detail == "14,998 of 15,000 requests, 9,998 of 10,000 bulk jobs left today"


def test_a_refresh_token_signs_in_too_and_one_that_rotates_is_refused_at_once(org: Salesforce) -> None:
    given = {"login": org.url, "authority": org.authority, "client_id": salesforce.APP, "object": "Contact"}
    signing = {"sign_in": "refresh", "refresh_token": salesforce.REFRESH, "client_secret": salesforce.SECRET}
    found = Source(id="s", name="s", connector="salesforce", config={**given, **signing})
    assert len(ids(taken(found))) == RECORDS
    org.rotates = True
    with pytest.raises(SignInRefused, match="new refresh token"):
        taken(found)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"private_key": salesforce.pair()[0]}, "Upload the certificate"),
        ({"client_id": "another"}, "consumer key"),
        ({"username": "nobody@example.com"}, "user's profile"),
        ({"audience": "https://test.salesforce.com"}, "Sign in where this user does"),
        ({"private_key": "no key"}, "PEM text"),
        ({"username": ""}, "Fill in both"),
    ],
)
def test_a_sign_in_that_is_refused_says_why(org: Salesforce, change: dict[str, str], advice: str) -> None:
    stages = list(check(source(org, **change), HERE))
    assert (stages[-1].name, stages[-1].ok) == ("sign-in", False)
    assert advice in stages[-1].action


@WAYS
def test_a_session_that_ended_is_begun_anew_once(org: Salesforce, way: dict[str, Any]) -> None:
    pages = payloads_of(source(org, **way), None, HERE)
    next(pages)
    org.sessions.clear()
    assert len(list(pages)) == 4
    assert len(org.sign_ins) == 2
    org.trouble = lambda method, path: (
        (401, {}, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}])
        if "query" in path
        else None
    )
    with pytest.raises(SignInRefused, match="INVALID_SESSION_ID"):
        taken(source(org, **way))
    assert len(org.sign_ins) == 4


def test_a_sign_in_that_leads_elsewhere_is_not_followed(org: Salesforce) -> None:
    answer = {"access_token": "t", "instance_url": "https://evil.example"}
    org.trouble = lambda method, path: (200, {}, answer) if "token" in path else None
    with pytest.raises(Turned, match=r"not Salesforce's"):
        taken(source(org))


def test_no_secret_is_printed_even_where_the_server_repeats_it(org: Salesforce) -> None:
    def trouble(method: str, path: str) -> Reply | None:
        if "describe" in path:
            return 400, {}, [{"errorCode": "X", "message": f"you said {' '.join(org.sessions)}"}]
        return None

    org.trouble = trouble
    with pytest.raises(SpireError) as raised:
        taken(source(org))
    [token] = org.sessions
    assert token not in str(raised.value) + repr(raised.value)
    org.trouble = lambda method, path: (
        (400, {}, {"error": "invalid_grant", "error_description": salesforce.SECRET})
        if "token" in path
        else None
    )
    refused = list(
        check(source(org, sign_in="refresh", refresh_token="r-e-f", client_secret=salesforce.SECRET), HERE)
    )
    assert salesforce.SECRET not in str(refused)
    assert "…" in refused[-1].detail


# ── a server that misbehaves ─────────────────────────────────────────────────────────────────────────


def once(part: str, reply: Reply) -> Any:
    """The reply to the first request for an address with this part in it."""
    left = [reply]
    return lambda method, path: left.pop() if part in path and left else None


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


def test_objects_and_fields_are_offered_to_choose_from(org: Salesforce) -> None:
    org.objects["Empty__c"] = []
    listed = browse(source(org, object=""), HERE)
    assert [(place.name, place.rows) for place in listed] == [("Contact", RECORDS), ("Empty__c", 0)]
    chosen, other = browse(source(org, object="Empty__c"), HERE)
    assert (chosen.name, other.name, other.columns) == ("Empty__c", "Contact", ())
    chosen, _ = browse(source(org), HERE)
    assert [held.name for held in chosen.columns if held.key] == ["Id"]
    assert {"Email", "SystemModstamp"} <= {held.name for held in chosen.columns}


def test_an_object_of_which_nothing_may_be_seen_is_told_so(org: Salesforce) -> None:
    org.trouble = once("describe", (200, {}, {"name": "Contact", "fields": []}))
    with pytest.raises(NotReadable, match="shows this user no field"):
        taken(source(org))


def test_cursors_are_told_in_words_and_those_of_another_object_are_found_out(org: Salesforce) -> None:
    at = {"object": "Contact", "modified": "2026-01-01T00:20:00.000Z"}
    again = source(org, overlap=600)
    assert told(again, at) == (
        "Every change of Contact up to 2026-01-01T00:20:00.000Z; the next run reads the 600 seconds before it again."
    )
    middle = {"object": "Contact", "job": "750", "locator": "a", "read": 2000}
    assert told(again, middle) == "2,000 records of Contact in, in the middle of bulk job 750."
    assert "each run asks for everything" in told(again, {"object": "Contact"})
    assert doubt(again, at) == ""
    assert doubt(again, {**at, "object": "Lead"}) == "it is of Lead, and the source reads Contact"
    assert doubt(again, {**at, "modified": "soon"}) == "modified is no time"


def test_its_secrets_are_for_the_sign_in_and_may_be_bound_to_it(org: Salesforce) -> None:
    [where] = hosts_of(source(org, audience="https://elsewhere.example"))
    assert f"https://{where}" == org.url
    refused = list(check(source(org), HERE, bound=("elsewhere.example",)))
    assert (refused[-1].name, refused[-1].ok) == ("sign-in", False)
    assert not org.asked
    assert all(stage.ok for stage in check(source(org), HERE, bound=("127.0.0.1",)))


def test_a_private_address_is_not_asked_unless_it_is_allowed(org: Salesforce) -> None:
    with pytest.raises(SpireError, match="private network"):
        list(payloads_of(source(org), None, ()))
    assert not org.asked


def test_an_environment_that_names_a_proxy_or_other_trust_changes_nothing(
    org: Salesforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert len(ids(taken(source(org)))) == RECORDS
