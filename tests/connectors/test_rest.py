"""A REST interface comes whole however it pages, and news only where it can be asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from connectors import CONNECTORS, check, payloads_of
from connectors.feeds import FEEDS
from connectors.rest import Config, NotRecords, Unfollowable
from connectors.signing import BrokenAnswer
from connectors.web import Turned, Unreachable
from engine.model import Source
from engine.ports import Cursor
from tests.servers.loopback import Asked, Loopback, Reply, answering

HERE = ("127.0.0.1",)


@dataclass
class Said:
    """An answer."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[Asked], Said]


class Interface(Loopback):
    """A web interface on loopback that answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answering: Answering = lambda asked: Said([])

        def answer(asked: Asked) -> Reply:
            self.asked.append(asked)
            said = self.answering(asked)
            return said.status, said.headers, said.body

        super().__init__(answering(answer))


@pytest.fixture
def interface(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interface]:
    made = Interface()
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    yield made
    made.close()


def source(url: str, **config: Any) -> Source:
    return Source(id="r", name="r", connector="rest", config={"url": url, **config})


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[Any, Cursor | None]]:
    return [(json.loads(p.stream.read()), p.cursor) for p in payloads_of(from_, since, HERE)]


def things(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": n, "modified": f"2026-01-{n:02d}T00:00:00Z"} for n in range(first, last + 1)]


def ids(pages: list[tuple[Any, Cursor | None]], key: str = "items") -> list[int]:
    return [each["id"] for body, _ in pages for each in (body[key] if isinstance(body, dict) else body)]


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────


def test_numbered_pages_are_followed_until_one_is_empty_whatever_the_total_says(interface: Interface) -> None:
    def answer(asked: Asked) -> Said:
        page, size = int(asked.query["p"]), int(asked.query["n"])
        # It announces fewer than it has, and a page in the middle is short.
        held = {1: things(1, 3), 2: things(4, 5), 3: things(6, 8)}.get(page, [])
        return Said({"total": 5, "items": held[:size]})

    interface.answering = answer
    numbered = source(interface.url, pages="page", page_name="p", size_name="n", size=3, records="items")
    assert ids(taken(numbered)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_offsets_go_by_what_came(interface: Interface) -> None:
    def answer(asked: Asked) -> Said:
        start = int(asked.query["from"])
        return Said(things(1, 9)[start : start + 4])

    interface.answering = answer
    by_offset = source(interface.url, pages="offset", page_name="from", size_name="n", size=5)
    assert ids(taken(by_offset)) == list(range(1, 10))


def test_marks_addresses_and_link_headers_lead_on(interface: Interface) -> None:
    def answer(asked: Asked) -> Said:
        at = int(asked.query.get("after", "0"))
        following = at + 3 if at < 6 else None
        body = {"items": things(at + 1, at + 3), "meta": {"next": following}}
        if asked.path == "/next":
            body["meta"] = {"next": f"{interface.url}/next?after={following}" if following else None}
        headers = {}
        if asked.path == "/link" and following:
            headers["link"] = f'</link?after={following}>; rel="next", </link>; rel="first"'
        return Said(body, headers=headers)

    interface.answering = answer
    common = {"records": "items", "next_path": "meta.next"}
    for path, pages in (("/cursor", "cursor"), ("/next", "next"), ("/link", "link")):
        found = taken(source(interface.url + path, pages=pages, page_name="after", **common))
        assert ids(found) == list(range(1, 10)), pages


def test_a_page_at_another_host_is_not_followed(interface: Interface) -> None:
    interface.answering = lambda asked: Said({"items": things(1, 1), "next": "http://203.0.113.7/more"})
    with pytest.raises(Turned) as raised:
        taken(source(interface.url, pages="next", records="items", next_path="next"))
    assert "203.0.113.7" in raised.value.action
    assert len(interface.asked) == 1


def test_a_page_that_comes_again_and_again_ends_the_run(interface: Interface) -> None:
    interface.answering = lambda asked: Said(things(1, 2))
    with pytest.raises(Unfollowable):
        taken(source(interface.url, pages="page"))
    assert len(interface.asked) < 4


# ── news ─────────────────────────────────────────────────────────────────────────────────────────────


def test_only_news_are_asked_for_a_little_before_the_last_of_them(interface: Interface) -> None:
    interface.answering = lambda asked: Said(things(1, 4))
    news = {"since_name": "since", "since_path": "modified", "overlap": 60}
    [(_, cursor)] = taken(source(interface.url, **news))
    assert cursor == {"since": "2026-01-04T00:00:00Z"}
    taken(source(interface.url, **news), cursor)
    taken(source(interface.url, **news, since_form="epoch"), cursor)
    taken(source(interface.url, **news, since_form="date", since_wrap=">={}"), cursor)
    assert [asked.query.get("since") for asked in interface.asked] == [
        None, "2026-01-03T23:59:00.000Z", "1767484740", ">=2026-01-03"
    ]  # fmt: skip


def test_the_cursor_moves_with_the_last_page_only(interface: Interface) -> None:
    held = {"1": things(5, 6), "2": things(1, 2)}
    interface.answering = lambda asked: Said(held.get(asked.query["page"], []))
    news = source(interface.url, pages="page", since_name="since", since_path="modified")
    cursors = [cursor for _, cursor in taken(news, {"since": "2026-01-01T00:00:00Z"})]
    assert cursors == [{"since": "2026-01-01T00:00:00Z"}] * 2 + [{"since": "2026-01-06T00:00:00Z"}]


def test_an_interface_that_allows_so_many_days_is_asked_in_spans(interface: Interface) -> None:
    interface.answering = lambda asked: Said([{"id": 1, "modified": asked.query["a"]}])
    spans = source(
        interface.url, since_name="a", until_name="b", since_path="modified", window_days=120, overlap=0,
        since_first="2025-10-01T00:00:00+00:00",
    )  # fmt: skip
    pages = taken(spans)
    asked = [(each.query["a"], each.query["b"]) for each in interface.asked]
    assert len(asked) >= 2
    assert all(before[1] == after[0] for before, after in pairwise(asked))
    assert pages[0][1] == {"since": "2026-01-29T00:00:00+00:00"}


# ── signing in ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "header", "value"),
    [
        ({"auth": "basic", "username": "u", "secret": "p"}, "authorization", "Basic dTpw"),
        ({"auth": "bearer", "secret": "tok"}, "authorization", "Bearer tok"),
        ({"auth": "header", "name": "X-Key", "secret": "k"}, "x-key", "k"),
    ],
)
def test_credentials_go_where_they_belong(
    interface: Interface, config: dict[str, str], header: str, value: str
) -> None:
    taken(source(interface.url, **config))
    assert interface.asked[0].headers[header] == value


def test_a_key_in_the_address_is_in_no_error(interface: Interface) -> None:
    interface.answering = lambda asked: Said({}, status=403)
    keyed = source(interface.url, auth="query", name="apikey", secret="s3cr3t")
    with pytest.raises(Turned) as raised:
        taken(keyed)
    assert interface.asked[0].query["apikey"] == "s3cr3t"
    assert "s3cr3t" not in str(raised.value)
    assert "s3cr3t" not in str(list(check(keyed, HERE)))


def test_a_token_is_fetched_kept_and_renewed_where_it_expired(interface: Interface) -> None:
    def answer(asked: Asked) -> Said:
        if asked.path == "/token":
            assert asked.body == b"grant_type=client_credentials&scope=read"
            return Said({"access_token": f"t{len(interface.asked)}", "expires_in": 3600})
        page = int(asked.query["page"])
        expired = page == 2 and asked.headers["authorization"] == "Bearer t1"
        return Said({}, status=401) if expired else Said(things(page, page) if page < 4 else [])

    interface.answering = answer
    signed = source(
        interface.url, auth="oauth2", username="id", secret="sec", token_url=f"{interface.url}/token", scope="read", pages="page"
    )  # fmt: skip
    assert ids(taken(signed)) == [1, 2, 3]
    assert [asked.path for asked in interface.asked].count("/token") == 2


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────


def test_throttling_is_waited_out_and_a_silent_error_is_no_empty_page(interface: Interface) -> None:
    def answer(asked: Asked) -> Said:
        return Said(b"", 429, {"retry-after": "1"}) if len(interface.asked) == 1 else Said(things(1, 2))

    interface.answering = answer
    assert ids(taken(source(interface.url))) == [1, 2]
    interface.answering = lambda asked: Said({"error": "over quota"})
    with pytest.raises(NotRecords) as raised:
        taken(source(interface.url, records="data.items"))
    assert "error" in raised.value.action
    interface.answering = lambda asked: Said(b'{"items": [')
    with pytest.raises(BrokenAnswer):
        taken(source(interface.url))
    interface.answering = lambda asked: Said(b"", 503)
    with pytest.raises(Unreachable):
        taken(source(interface.url))


def test_a_check_goes_from_the_name_to_the_records(interface: Interface) -> None:
    interface.answering = lambda asked: Said({"items": things(1, 2)})
    assert [s.ok for s in check(source(interface.url, records="items"), HERE)] == [True, True, True]
    last = list(check(source(interface.url, records="things"), HERE))[-1]
    assert (last.name, last.ok) == ("records", False)
    assert "items" in last.action


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "header"}, {"auth": "oauth2"}, {"pages": "next"}, {"since_name": "s"}, {"body": "{"},
        {"url": "ftp://x"}, {"url": "https://u:p@x"}, {"since_wrap": "{"},
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_when_it_is_written(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"url": "https://x.example", **wrong})


# ── feeds that come with the product ─────────────────────────────────────────────────────────────────

# The shape of each publisher's answer, from its own description; documentation values only.
NVD = {"resultsPerPage": 2000, "startIndex": 0, "totalResults": 2}
ANSWERS: dict[str, Answering] = {
    "otx": lambda asked: Said(
        {"results": [{"id": "p1", "modified": "2026-01-02T03:04:05.678000", "indicators": []}], "count": 1, "next": None}
    ),
    "urlhaus": lambda asked: Said({"query_status": "ok", "urls": [{"id": "1", "url": "http://x.example/a"}]}),
    "threatfox": lambda asked: Said(
        {"query_status": "ok", "data": [{"id": "7", "ioc": "192.0.2.1:443", "first_seen": "2026-01-02 03:04:05 UTC"}]}
    ),
    "nvd": lambda asked: Said(
        NVD | {"vulnerabilities": [] if asked.query["startIndex"] != "0" else [
            {"cve": {"id": "CVE-2026-0001", "lastModified": "2026-01-02T03:04:05.678"}}]}
    ),
    "github": lambda asked: Said([{"ghsa_id": "GHSA-xxxx", "updated_at": "2026-01-02T03:04:05Z"}]),
}  # fmt: skip


@pytest.mark.parametrize("feed", [f for f in FEEDS if f.connector == "rest"], ids=lambda f: f.name)
def test_a_feed_that_comes_with_the_product_reads_what_its_publisher_describes(
    interface: Interface, feed: Any
) -> None:
    interface.answering = ANSWERS[feed.name]
    path = urlsplit(feed.config["url"])
    here = f"{interface.url}{path.path}" + (f"?{path.query}" if path.query else "")
    filled = {**feed.config, "url": here, **({"secret": "k"} if feed.key else {})}
    pages = taken(source(**{**filled, "url": here}))
    assert pages
    assert interface.asked[0].method == ("POST" if feed.config.get("body") else "GET")
    if feed.config.get("since_path"):
        cursor = pages[-1][1]
        assert str((cursor or {}).get("since", "")).startswith("2026-01-02")
        taken(source(**filled), cursor)
        assert feed.config["since_name"] in interface.asked[-1].query


@pytest.mark.parametrize("feed", FEEDS, ids=lambda f: f.name)
def test_a_feed_is_a_configuration_of_its_connector(feed: Any) -> None:
    CONNECTORS[feed.connector].config.model_validate(feed.config)
    assert feed.config["url"].startswith("https://")
