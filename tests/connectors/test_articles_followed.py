"""With the entries of a feed come the pages they link to: once each, from where they may, and whatever they hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from typing import Any

import pytest

from connectors import NotConfigured, check, payloads_of
from connectors.following import NoFeed
from connectors.formats import followed, sniff
from connectors.formats.followed import Followed, Page
from connectors.formats.limits import Damaged
from connectors.formats.markup import PAGE_BYTES
from connectors.linked_pages import PAUSE, places
from connectors.web import TooMuch
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.reading import objects, read
from tests.servers.loopback import Asked, Loopback, Reply, answering

HERE = ("127.0.0.1",)
Row = dict[str, Any]


class Site(Loopback):
    """A site with a feed and its pages, and what it was asked for."""

    def __init__(self) -> None:
        self.said: dict[str, Reply] = {}
        self.asked: list[Asked] = []
        self.items: dict[str, str] = {}
        super().__init__(answering(self._answer))

    def _answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        status, headers, body = self.said.get(asked.target, (404, {}, b""))
        if headers.get("etag") and headers["etag"] == asked.headers.get("if-none-match"):
            return 304, {}, b""
        return status, headers, body

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, and forgets them."""
        found = [asked.path for asked in self.asked]
        self.asked.clear()
        return found

    def put(
        self, guid: str, text: str = "Short.", *, title: str = "", link: str = "", page: str | None = None
    ) -> None:
        """An entry, new or changed, and its page."""
        self.items[guid] = (
            f"<item><guid isPermaLink='false'>{guid}</guid><title>{title or f'Entry {guid}'}</title>"
            f"<link>{escape(link or f'/{guid}')}</link><description>{escape(text)}</description></item>"
        )
        if page is not None:
            self.said[f"/{guid}"] = (200, {"content-type": "text/html; charset=utf-8"}, page.encode())
        feed = (
            f"<rss version='2.0'><channel><title>Blog</title>{''.join(self.items.values())}</channel></rss>"
        )
        tag = f'"{hashlib.sha256(feed.encode()).hexdigest()[:8]}"'
        self.said["/feed.xml"] = (200, {"content-type": "application/rss+xml", "etag": tag}, feed.encode())

    def source(self, **config: Any) -> Source:
        given = {"url": f"{self.url}/feed.xml", "follow": True, **config}
        return Source(id="f", name="f", connector="url", config=given)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture
def other() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.linked_pages.PAUSE", 0.0)


def parts(from_: Source, since: Cursor | None = None) -> list[tuple[list[Row], Cursor]]:
    """The rows of each payload, read as a run reads them, and the cursor after it."""
    found = []
    for payload in payloads_of(from_, since, HERE):
        assert payload.cursor is not None
        found.append((objects(read(payload.stream.read(), name=payload.name)), payload.cursor))
    return found


def taken(from_: Source, since: Cursor | None = None) -> tuple[list[Row], Cursor]:
    """All rows and the last cursor; the one given where nothing came."""
    found = parts(from_, since)
    return [row for rows, _ in found for row in rows], found[-1][1] if found else since or {}


def page(text: str) -> str:
    return f"<html><body><nav>menu[.]example</nav><article><p>{text}</p></article></body></html>"


# ── what comes ───────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_comes_with_the_text_of_its_page_and_what_that_mentions_in_its_context(site: Site) -> None:
    site.put("one", "Seen at 203.0.113[.]7.", page=page("It calls <b>evil[.]example[.]com</b> by night."))
    [row], _ = taken(site.source())
    assert (row["text"], row["page_text"]) == (
        "Seen at 203.0.113[.]7.",
        "It calls evil[.]example[.]com by night.",
    )
    assert row["page"] == f"{site.url}/one"
    assert [each["value"] for each in row["mentions"]] == ["203.0.113[.]7", "evil[.]example[.]com"]
    assert row["mentions"][1]["context"] == (
        "Entry one Seen at 203.0.113[.]7. It calls evil[.]example[.]com by night."
    )
    assert "page_problem" not in row


def test_what_looks_like_an_indicator_and_is_none_stands_apart(site: Site) -> None:
    site.put("one", page=page("Version 1.2.3.400 and evil[.]4 of http://..., from 192.0.2[.]1."))
    [row], _ = taken(site.source())
    assert [each["value"] for each in row["mentions"]] == ["192.0.2[.]1"]
    assert [each["value"] for each in row["unclear"]] == ["1.2.3.400", "evil[.]4", "http://"]
    assert row["unclear"][0]["context"].endswith("from 192.0.2[.]1.")


def test_nothing_is_followed_unless_that_was_asked_for(site: Site) -> None:
    site.put("one", page=page("A page."))
    [row], _ = taken(site.source(follow=False))
    assert "page_text" not in row
    assert site.paths == ["/feed.xml"]


def test_what_was_followed_is_not_fetched_again_and_only_news_come(site: Site) -> None:
    for guid in ("one", "two"):
        site.put(guid, page=page(f"Page {guid}."))
    rows, cursor = taken(site.source())
    assert [row["page_text"] for row in rows] == ["Page one.", "Page two."]
    assert site.paths == ["/feed.xml", "/one", "/two"]

    assert taken(site.source(), cursor) == ([], cursor)
    assert site.paths == ["/feed.xml"]
    site.put("three", page=page("Page three."))
    [row], cursor = taken(site.source(), cursor)
    assert (row["guid"], row["page_text"]) == ("three", "Page three.")
    assert site.paths == ["/feed.xml", "/three"]

    site.put("one", "Other words.", page=page("Page one, once more."))
    [row], cursor = taken(site.source(), cursor)
    assert (row["guid"], row["text"], row["page_text"]) == ("one", "Other words.", "Page one, once more.")
    assert site.paths == ["/feed.xml", "/one"]


def test_from_every_cursor_it_gave_the_rest_comes_and_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.following.PAYLOAD_PAGES", 2)
    for number in range(5):
        site.put(f"e{number}", page=page(f"Page {number}."))
    site.put("elsewhere", link="https://other.example/x")
    came = parts(site.source())
    assert [len(rows) for rows, _ in came] == [3, 2, 1]
    everything = {row["guid"] for rows, _ in came for row in rows}
    assert len(everything) == 6
    for number, (_, cursor) in enumerate(came):
        before = {row["guid"] for rows, _ in came[: number + 1] for row in rows}
        assert {row["guid"] for row in taken(site.source(), cursor)[0]} == everything - before


def test_no_more_pages_than_allowed_are_fetched_and_the_rest_in_the_next_runs(site: Site) -> None:
    for number in range(5):
        site.put(f"e{number}", page=page(f"Page {number}."))
    rows, cursor = taken(site.source(follow_most=2))
    assert [row.get("page_text") for row in rows] == ["Page 0.", "Page 1.", None, None, None]
    assert {row.get("page_problem") for row in rows[2:]} == {"left for the next run"}
    site.asked.clear()
    # The feed has not changed, and is read all the same: there is something left.
    rows, cursor = taken(site.source(follow_most=2), cursor)
    assert [row["page_text"] for row in rows] == ["Page 2.", "Page 3."]
    rows, cursor = taken(site.source(follow_most=2), cursor)
    assert [row["page_text"] for row in rows] == ["Page 4."]
    assert site.paths == ["/feed.xml", "/e2", "/e3", "/feed.xml", "/e4"]
    assert taken(site.source(follow_most=2), cursor) == ([], cursor)


def test_a_page_several_entries_link_to_is_fetched_once(site: Site) -> None:
    site.put("one", link="/same#first", page=None)
    site.put("two", link="/same#second", page=None)
    site.said["/same"] = (200, {"content-type": "text/html"}, b"<p>Both.</p>")
    rows, _ = taken(site.source())
    assert [row["page_text"] for row in rows] == ["Both.", "Both."]
    assert site.paths == ["/feed.xml", "/same"]


# ── where it goes ────────────────────────────────────────────────────────────────────────────────────


def test_only_the_feeds_own_host_and_those_that_were_named_are_followed(site: Site, other: Site) -> None:
    other.said["/away"] = (200, {"content-type": "text/html"}, b"<p>Away.</p>")
    site.put("near", page=page("Near."))
    site.put("away", link=f"{other.url}/away")
    rows, cursor = taken(site.source())
    told = {row["guid"]: row.get("page_problem") for row in rows}
    assert told == {"near": None, "away": "127.0.0.1 is not followed"}
    assert other.asked == []

    [row], _ = taken(site.source(follow_hosts=[f"127.0.0.1:{other.port}"]), cursor)
    assert (row["guid"], row["page_text"]) == ("away", "Away.")


def test_no_redirect_leads_to_a_host_that_is_not_followed(site: Site, other: Site) -> None:
    other.said["/x"] = (200, {"content-type": "text/html"}, b"<p>Away.</p>")
    for guid, to in (
        ("away", f"{other.url}/x"),
        ("inside", "http://169.254.169.254/latest/"),
        ("file", "file:///etc/passwd"),
        ("circle", "/circle"),
        ("nowhere", "http://[oh/"),
    ):
        site.put(guid)
        site.said[f"/{guid}"] = (302, {"location": to}, b"")
    site.put("moved")
    site.said["/moved"] = (301, {"location": "/there"}, b"")
    site.said["/there"] = (200, {"content-type": "text/html"}, b"<p>There.</p>")
    rows, _ = taken(site.source())
    told = {row["guid"]: row.get("page_problem") for row in rows}
    assert told.pop("moved") is None
    assert told.pop("nowhere") == "it leads to no web address"
    assert told.pop("away") == told.pop("inside") == "it leads to a host that is not followed"
    assert set(told.values()) == {"it leads where it is not safe to follow"}
    assert other.asked == []


def test_a_private_address_is_refused_also_where_it_was_named(site: Site) -> None:
    site.put("inside", link="http://10.0.0.1/")
    [row], _ = taken(site.source(follow_hosts=["10.0.0.1"]))
    assert row["page_problem"] == "it is inside a private network"


def test_the_feeds_secret_goes_to_its_own_origin_only(site: Site, other: Site) -> None:
    other.said["/away"] = (200, {"content-type": "text/html"}, b"<p>Away.</p>")
    site.put("near", page=page("Near."))
    site.put("away", link=f"{other.url}/away")
    there = [f"127.0.0.1:{other.port}"]
    rows, _ = taken(site.source(header="Auth-Key", secret="s3cret", follow_hosts=there))
    assert len([row for row in rows if "page_text" in row]) == 2
    assert {asked.headers.get("auth-key") for asked in site.asked} == {"s3cret"}
    assert [asked.headers.get("auth-key") for asked in other.asked] == [None]


def test_hosts_are_followed_at_the_ports_of_the_web_unless_one_is_said() -> None:
    assert places("https://blog.example/feed", ["a.example", "b.example:8080"]) == {
        "blog.example:80", "blog.example:443", "a.example:80", "a.example:443", "b.example:8080"
    }  # fmt: skip
    assert places("http://127.0.0.1:9000/feed", []) == {"127.0.0.1:9000"}
    with pytest.raises(NotConfigured):
        list(payloads_of(Source(id="f", name="f", connector="url", config={"url": "https://a.example", "follow_hosts": ["a b"]}), None))  # fmt: skip


def test_requests_to_one_host_keep_apart(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("connectors.linked_pages.PAUSE", PAUSE)
    monkeypatch.setattr("connectors.linked_pages.time.sleep", slept.append)
    for guid in ("one", "two", "three"):
        site.put(guid, page=page("A page."))
    taken(site.source())
    assert len(slept) == 3
    assert all(0.5 < seconds <= PAUSE for seconds in slept)


# ── pages that do not come ───────────────────────────────────────────────────────────────────────────

HTML = {"content-type": "text/html"}
NOT_HAD: list[tuple[str, Reply, str]] = [
    ("gone", (404, {}, b""), "status 404"),
    ("closed", (403, HTML, b"<p>Not you.</p>"), "status 403"),
    ("picture", (200, {"content-type": "image/png"}, b"\x89PNG"), "image/png is no page of text"),
    ("large", (200, HTML, b"x" * (PAGE_BYTES + 1)), "larger than 4 MiB"),
    ("odd", (200, {**HTML, "content-encoding": "br"}, b"?"), "it is packed as br"),
    (
        "cut",
        (200, {**HTML, "content-length": "900"}, b"<p>Half"),
        "there was no answer in time, or it broke off",
    ),
    ("empty", (200, HTML, b"<script>only()</script>"), "there is no text in it"),
    (
        "bomb",
        (200, {**HTML, "content-encoding": "gzip"}, gzip.compress(b"x" * (5 << 20))),
        "larger than 4 MiB",
    ),
    ("damaged", (200, {**HTML, "content-encoding": "gzip"}, b"\x1f\x8b\x08 oh"), "its packing is damaged"),
    ("silent", (204, {}, b""), "status 204"),
]


def test_a_page_that_can_not_be_had_costs_its_entry_nothing_but_the_page(site: Site) -> None:
    for guid, reply, _ in NOT_HAD:
        site.put(guid, f"Of {guid}: 192.0.2[.]1")
        site.said[f"/{guid}"] = reply
    for guid, link in (
        ("mail", "mailto:a@b.example"),
        ("bad", "http://[oh"),
        ("mine", "http://u:p@127.0.0.1/"),
    ):
        site.put(guid, f"Of {guid}: 192.0.2[.]1", link=link)
    site.put("good", "Of good: 192.0.2[.]1", page=page("Good."))
    rows, _ = taken(site.source())
    assert {row["guid"]: row.get("page_problem") for row in rows} == {
        **{guid: why for guid, _, why in NOT_HAD},
        **dict.fromkeys(("mail", "bad", "mine"), "its link is no web address"),
        "good": None,
    }
    assert all([each["value"] for each in row["mentions"]] == ["192.0.2[.]1"] for row in rows)
    assert [row["page_text"] for row in rows if "page_text" in row] == ["Good."]


def test_missed_pages_are_counted_in_the_payloads_name(site: Site) -> None:
    site.put("good", page=page("Good."))
    site.put("gone")
    [payload] = payloads_of(site.source(), None, HERE)
    assert payload.name == "feed.xml 1: 2 entries, 1 page, 1 missed"


def test_a_page_that_fails_for_a_while_is_asked_for_again_and_its_entry_comes_once_more(site: Site) -> None:
    site.put("one")
    site.said["/one"] = (500, {}, b"")
    [row], cursor = taken(site.source())
    assert row["page_problem"] == "status 500"
    assert "etag" not in cursor
    rows, cursor = taken(site.source(), cursor)
    assert rows == []
    site.put("one", page=page("Here at last."))
    [row], cursor = taken(site.source(), cursor)
    assert row["page_text"] == "Here at last."
    assert "etag" in cursor


def test_a_page_that_always_fails_is_asked_for_three_times(site: Site) -> None:
    site.put("one")
    site.said["/one"] = (500, {}, b"")
    cursor: Cursor = {}
    for _ in range(6):
        _, cursor = taken(site.source(), cursor)
    assert site.paths.count("/one") == 3
    assert "etag" in cursor


@pytest.mark.parametrize("how", ["silent", "asks to wait"])
def test_a_host_that_does_not_answer_is_left_alone_until_the_next_run(
    site: Site, other: Site, how: str, free_port: int
) -> None:
    there = other.port if how == "asks to wait" else free_port
    for number in range(4):
        other.said[f"/{number}"] = (429, {"retry-after": "60"}, b"")
        site.put(f"e{number}", link=f"http://127.0.0.1:{there}/{number}")
    site.put("near", page=page("Near."))
    rows, _ = taken(site.source(follow_hosts=[f"127.0.0.1:{there}"]))
    told = [row.get("page_problem") for row in sorted(rows, key=lambda row: row["guid"])]
    asked = ["status 429"] if how == "asks to wait" else ["there was no answer in time, or it broke off"] * 2
    assert told == [*asked, *["left for the next run"] * (4 - len(asked)), None]


def test_a_server_that_says_a_byte_now_and_then_is_not_listened_to_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.linked_pages.PAGE_SECONDS", 0.3)
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = f"127.0.0.1:{listening.getsockname()[1]}"
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        site.put("one", link=f"http://{there}/")
        [row], _ = taken(site.source(follow_hosts=[there]))
        over.set()
    assert row["page_problem"] == "there was no answer in time, or it broke off"


# ── the feed ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_no_feed_or_too_large_a_one_can_not_be_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.said["/feed.xml"] = (200, {}, b"a,b\n1,2\n")
    with pytest.raises(NoFeed, match="turn following off"):
        taken(site.source())
    monkeypatch.setattr("connectors.following.FEED_BYTES", 100)
    site.put("one")
    with pytest.raises(TooMuch, match="at most 100 bytes"):
        taken(site.source())


def test_a_check_says_where_entries_lead_and_tries_the_first_page(site: Site, other: Site) -> None:
    site.put("away", link="https://www.other.example/a")
    stages = list(check(site.source(), HERE))
    assert not stages[-1].ok
    assert stages[-1].action == "Name the hosts to follow, such as www.other.example."
    site.put("near", page=page("Near."))
    stages = list(check(site.source(), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        ("name", True), ("answer", True), ("entries", True), ("page", True)
    ]  # fmt: skip
    assert stages[2].detail == "2 entries, 1 with a page that is followed; others are at www.other.example"
    assert stages[3].detail == f"5 characters of text at {site.url}/near"
    site.said["/near"] = (404, {}, b"")
    last = list(check(site.source(), HERE))[-1]
    assert (last.ok, last.detail) == (False, f"{site.url}/near: status 404")
    assert last.action
    site.said["/feed.xml"] = (200, {}, b"a,b\n1,2\n")
    assert [(stage.name, stage.ok) for stage in check(site.source(), HERE)][-1] == ("entries", False)


def test_a_malformed_feed_is_told_once_and_its_entries_are_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.following.PAYLOAD_PAGES", 1)
    for guid in ("one", "two"):
        site.put(guid, page=page(f"Page {guid}."))
    status, headers, body = site.said["/feed.xml"]
    site.said["/feed.xml"] = (status, headers, body.replace(b"</channel></rss>", b"<item"))
    found = [
        read(payload.stream.read(), name=payload.name) for payload in payloads_of(site.source(), None, HERE)
    ]
    assert [len(each.rows) for each in found] == [1, 1]
    assert [len(each.faults) for each in found] == [1, 0]


def test_a_payload_that_is_not_as_it_says_is_damaged() -> None:
    told = Followed(
        b"<rss/>", (1,), (Page((1,), "https://a.example", "text/html", "", b"<p>x"),), {2: "status 404"}
    )
    whole = followed.packed(told)
    assert followed.unpacked(whole) == told
    for wrong in (
        whole[:-1],
        whole + b"x",
        whole.replace(b'"size":6', b'"size":-6'),
        followed.BEGINS + b"\n",
        b"",
    ):
        with pytest.raises(Damaged):
            followed.unpacked(wrong)


def test_numbers_of_entries_that_are_not_there_harm_nothing() -> None:
    feed = b"<rss version='2.0'><channel><item><guid>a</guid><title>One</title></item></channel></rss>"
    data = followed.packed(Followed(feed, (7, 1, 0, -3, 1)))
    assert sniff(io.BytesIO(data), "x").format == "articles"
    assert [row["guid"] for row in objects(read(data))] == ["a"]


# ── the same again ───────────────────────────────────────────────────────────────────────────────────


def feed_of(*items: tuple[str, str, str, str]) -> bytes:
    told = "".join(
        f"<item><guid isPermaLink='false'>{guid}</guid><title>{title}</title><description>{text}</description>"
        f"<pubDate>{date}</pubDate></item>"
        for guid, title, text, date in items
    )
    return f"<rss version='2.0'><channel>{told}</channel></rss>".encode()


def test_what_an_older_entry_of_another_guid_said_already_is_told() -> None:
    new, old = "Sat, 03 Jan 2026 00:00:00 GMT", "Fri, 02 Jan 2026 00:00:00 GMT"
    rows = objects(read(feed_of(
        ("c", "Loader", "At  192.0.2[.]1.", new), ("b", "Loader", "Other words.", new), ("a", "Loader", "At 192.0.2[.]1.", old),
        ("a", "Loader", "At 192.0.2[.]1.", old),
    )))  # fmt: skip
    assert [row.get("same_as") for row in rows] == ["a", None, None, None]
    undated = objects(read(feed_of(("new", "T", "Same.", ""), ("old", "T", "Same.", ""))))
    assert [row.get("same_as") for row in undated] == ["old", None]
    wordless = objects(read(feed_of(("1", "Weekly", "", new), ("2", "Weekly", "", old))))
    assert [row.get("same_as") for row in wordless] == [None, None]


def test_an_entry_that_would_not_fit_with_its_page_comes_without_it() -> None:
    feed = b"<rss version='2.0'><channel><item><guid>a</guid><description>At 192.0.2[.]1.</description></item></channel></rss>"
    crowded = "\n".join(f"1.{n >> 16}.{n >> 8 & 255}[.]{n & 255}" for n in range(80_000)).encode()
    data = followed.packed(
        Followed(feed, None, (Page((1,), "https://a.example/", "text/plain", "", crowded),))
    )
    [row] = objects(read(data))
    assert row["page_problem"] == "more than one record holds"
    assert "page_text" not in row
    assert [each["value"] for each in row["mentions"]] == ["192.0.2[.]1"]
