"""TAXII collections come whole and once, from real servers of both versions and from ones that misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors import check, payloads_of
from connectors.taxii import NoCollection, NotReady, NotTaxii, Unfollowable
from connectors.web import Turned
from engine.errors import SpireError
from engine.model import Source
from engine.ports import Cursor
from tests.servers import taxii
from tests.servers.loopback import Asked, Loopback, Reply, answering
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii

HERE = ("127.0.0.1",)


def source(url: str, **config: Any) -> Source:
    return Source(id="t", name="t", connector="taxii", config={"url": url, **config})


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[dict[str, Any]], Cursor | None]]:
    """Each page's objects and the cursor after it."""
    return [
        (json.loads(payload.stream.read()).get("objects", []), payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def ids(pages: list[tuple[list[dict[str, Any]], Cursor | None]]) -> list[str]:
    return [each["id"] for objects, _ in pages for each in objects]


# ── real servers ─────────────────────────────────────────────────────────────────────────────────────


def signed_in(server: Taxii, **config: Any) -> Source:
    return source(server.url, username=ACCOUNT, password=PASSWORD, **config)


def test_every_object_of_a_collection_comes_once_and_as_it_was(taxii_server: Taxii) -> None:
    pages = taken(signed_in(taxii_server))
    assert len(pages) > 5
    found = [each for objects, _ in pages for each in objects]
    assert sorted(found, key=lambda o: str(o["id"])) == sorted(taxii_server.objects, key=lambda o: o["id"])


def test_from_every_cursor_it_gave_nothing_is_missed(taxii_server: Taxii) -> None:
    server = signed_in(taxii_server, overlap=0.001)
    pages = taken(server)
    everything = set(ids(pages))
    for number in range(0, len(pages), 3):
        rest = taken(server, pages[number][1])
        assert set(ids(pages[: number + 1])) | set(ids(rest)) == everything
    assert len(ids(taken(server, pages[-1][1]))) <= taxii.TOGETHER


def test_what_was_added_since_comes_and_only_a_minute_comes_again(taxii_server: Taxii) -> None:
    begin = datetime.fromisoformat(taxii.added(75)).astimezone(UTC)
    expected = {each["id"] for each in taxii_server.objects[75:]}
    found = set(ids(taken(signed_in(taxii_server, since=begin.isoformat()))))
    assert expected <= found
    assert len(found) <= len(expected) + taxii.TOGETHER


def test_a_check_goes_from_the_name_to_the_first_page(taxii_server: Taxii) -> None:
    stages = list(check(signed_in(taxii_server), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("TLS", True), ("sign-in", True), ("collections", True), ("first page", True)
    ]  # fmt: skip
    refused = list(check(source(taxii_server.url, username=ACCOUNT, password="wrong"), HERE))
    assert (refused[-1].name, refused[-1].ok, refused[-1].action) == (
        "sign-in",
        False,
        "Check the credentials.",
    )
    assert "wrong" not in str(refused)


def test_a_collection_is_found_by_its_title_and_a_locked_one_is_not_offered(taxii_server: Taxii) -> None:
    assert taken(signed_in(taxii_server, collections=["att&ck for ics"]))
    with pytest.raises(NoCollection) as raised:
        taken(signed_in(taxii_server, collections=["Members only"]))
    assert "ATT&CK for ICS" in raised.value.action


def test_an_address_is_enough_to_find_the_server(taxii_server: Taxii) -> None:
    home = "{0.scheme}://{0.netloc}".format(urlsplit(taxii_server.url))
    assert taken(source(home, username=ACCOUNT, password=PASSWORD))


# ── servers that misbehave ───────────────────────────────────────────────────────────────────────────


class Odd(Loopback):
    """A TAXII 2.1 server whose pages are what `page(query, number)` says."""

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, str]] = []
        self.seen: list[dict[str, str]] = []

        def answer(asked: Asked) -> Reply:
            self.seen.append(asked.headers)
            if asked.path in _KNOWN:
                status, headers, said = _KNOWN[asked.path]
            else:
                self.asked.append(asked.query)
                status, headers, said = page(asked.query, len(self.asked))
            return status, {"content-type": "application/taxii+json;version=2.1", **headers}, said

        super().__init__(answering(answer))
        self.url += "/api/"


Page = Callable[[dict[str, str], int], Reply]
_KNOWN: dict[str, Reply] = {
    "/api/": (200, {}, {"title": "odd", "versions": ["application/taxii+json;version=2.1"]}),
    "/api/collections/": (200, {}, {"collections": [{"id": "c1", "title": "One", "can_read": True}]}),
}
Starter = Callable[[Page], Odd]


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    started: list[Odd] = []
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def start(page: Page) -> Odd:
        started.append(Odd(page))
        return started[-1]

    yield start
    for each in started:
        each.close()


def thing(number: int) -> dict[str, str]:
    return {"type": "malware", "id": f"malware--{number:08d}-0000-4000-8000-000000000000"}


def dates(first: str, last: str) -> dict[str, str]:
    return {"x-taxii-date-added-first": first, "x-taxii-date-added-last": last}


def test_more_without_a_way_to_it_is_not_taken_for_the_end(odd: Starter) -> None:
    server = odd(lambda query, number: (200, {}, {"more": True, "objects": [thing(number)]}))
    with pytest.raises(Unfollowable):
        taken(source(server.url))


def test_a_server_that_repeats_its_page_is_left(odd: Starter) -> None:
    server = odd(lambda query, number: (200, {}, {"more": True, "next": "n", "objects": [thing(1)]}))
    with pytest.raises(Unfollowable):
        taken(source(server.url))
    assert len(server.asked) < 5


def test_a_page_that_breaks_off_is_asked_for_again(odd: Starter) -> None:
    def page(query: dict[str, str], number: int) -> tuple[int, dict[str, str], Any]:
        whole = json.dumps({"objects": [thing(1), thing(2)]}).encode()
        return (200, {"content-length": str(len(whole))}, whole[:20] if number == 1 else whole)

    assert len(ids(taken(source(odd(page).url)))) == 2


def test_broken_json_moves_no_cursor(odd: Starter) -> None:
    def page(query: dict[str, str], number: int) -> tuple[int, dict[str, str], Any]:
        first = {"more": True, "next": "2", "objects": [thing(1)]}
        return (200, dates("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), first if number == 1 else b'{"ob')

    pages = payloads_of(source(odd(page).url), None, HERE)
    first = next(pages)
    assert first.cursor == {"collections": {"c1": "2026-01-01T00:00:00Z"}}
    with pytest.raises(NotReady):
        next(pages)


def test_pages_out_of_order_move_the_watermark_only_at_the_end(odd: Starter) -> None:
    times = ["2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]

    def page(query: dict[str, str], number: int) -> tuple[int, dict[str, str], Any]:
        body = {"objects": [thing(number)], **({"more": True, "next": str(number)} if number < 3 else {})}
        return 200, dates(times[number - 1], times[number - 1]), body

    cursors = [cursor for _, cursor in taken(source(odd(page).url))]
    assert cursors[1] == {"collections": {}}
    assert cursors[2] == {"collections": {"c1": "2026-01-03T00:00:00Z"}}


def test_a_server_that_forgets_its_pages_is_begun_anew_from_where_it_was(odd: Starter) -> None:
    def page(query: dict[str, str], number: int) -> tuple[int, dict[str, str], Any]:
        if number == 2:
            return 400, {}, {"title": "next not valid"}
        at = f"2026-01-0{number}T00:00:00Z"
        return (
            200,
            dates(at, at),
            {"objects": [thing(number)], **({"more": True, "next": "a"} if number == 1 else {})},
        )

    server = odd(page)
    pages = taken(source(server.url))
    assert len(ids(pages)) == 2
    assert server.asked[2] == {
        "limit": "1000",
        "match[version]": "all",
        "added_after": "2025-12-31T23:59:00.000000Z",
    }
    with pytest.raises(NotReady):
        taken(
            source(
                odd(
                    lambda query, number: (
                        (400, {}, {})
                        if "next" in query
                        else (200, {}, {"more": True, "next": "x", "objects": [thing(number)]})
                    )
                ).url
            )
        )


def test_a_server_without_times_is_read_up_to_when_it_answered(odd: Starter) -> None:
    [(_, cursor)] = taken(source(odd(lambda query, number: (200, {}, {"objects": [thing(1)]})).url))
    assert cursor is not None
    mark = datetime.fromisoformat(str(dict(cursor["collections"])["c1"]))  # type: ignore[call-overload]
    assert abs((datetime.now(UTC) - mark).total_seconds()) < 60


def test_a_token_goes_to_its_own_server_in_the_header_it_belongs_to(odd: Starter) -> None:
    server = odd(lambda query, number: (200, {}, {"objects": [thing(1)]}))
    taken(source(server.url, token="abc"))
    taken(source(server.url, token="abc", token_header="X-Api-Key"))
    sent = server.seen
    assert sent[0]["authorization"] == "Bearer abc"
    assert sent[-1]["x-api-key"] == "abc"
    assert "authorization" not in sent[-1]


def test_what_is_no_taxii_server_is_named(odd: Starter) -> None:
    server = odd(lambda query, number: (200, {}, {}))
    with pytest.raises(SpireError) as raised:
        taken(source(server.url.replace("/api/", "/api/collections/")))
    assert isinstance(raised.value, NotTaxii | Turned)
    with pytest.raises(Turned) as told:
        taken(source(server.url, certificate="no certificate"))
    assert "PEM" in told.value.action
