"""Salesforce is signed in to in two ways, and what it refuses is told with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors import check, payloads_of
from connectors.exchange import Unkept
from connectors.registry import Renewal
from connectors.salesforce_org import SignInRefused
from connectors.web import Turned
from engine.errors import SpireError
from engine.model import Source
from tests.connectors.salesforce import HERE, RECORDS, WAYS, ids, source, taken
from tests.servers import salesforce
from tests.servers.salesforce import Reply, Salesforce


def test_a_check_goes_from_the_name_to_the_first_record_and_shows_the_limits(org: Salesforce) -> None:
    stages = list(check(source(org), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("TLS", True), ("sign-in", True), ("object", True), ("limits", True), ("first record", True)
    ]  # fmt: skip
    assert "changes are followed" in stages[3].detail
    assert stages[4].detail == "14,998 of 15,000 requests, 9,998 of 10,000 bulk jobs left today"


def test_a_refresh_token_signs_in_too_and_one_that_rotates_only_where_the_next_can_be_kept(
    org: Salesforce,
) -> None:
    given = {"login": org.url, "authority": org.authority, "client_id": salesforce.APP, "object": "Contact"}
    signing = {"sign_in": "refresh", "refresh_token": salesforce.REFRESH, "client_secret": salesforce.SECRET}
    found = Source(id="s", name="s", connector="salesforce", config={**given, **signing})
    assert len(ids(taken(found))) == RECORDS
    org.rotates = True
    with pytest.raises(Unkept, match="new refresh token"):
        taken(found)
    kept = [org.refresh]

    @contextmanager
    def renewing(setting: str) -> Iterator[Renewal]:
        assert setting == "refresh_token"
        yield Renewal(kept[-1], kept.append)

    # The exchange that could not be kept has spent what it was given.
    for _ in range(2):
        assert [page.stream.read() for page in payloads_of(found, None, HERE, renewing=renewing)]
    assert (len(kept), kept[-1]) == (3, org.refresh)


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
