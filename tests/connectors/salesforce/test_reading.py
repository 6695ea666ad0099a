"""Salesforce's objects come whole, then as they change, and are offered to choose from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors import browse, check, hosts_of, payloads_of
from connectors.cursors import doubt, told
from connectors.salesforce_org import NotReadable
from engine.errors import SpireError
from tests.connectors.reading import read as read_payload
from tests.connectors.salesforce import HERE, RECORDS, WAYS, contact, everything, ids, once, source, taken
from tests.servers.salesforce import Reply, Salesforce


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
