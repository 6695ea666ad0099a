"""Every way in, and every way to read what came in differently."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from openpyxl import Workbook
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import drop, enter
from tests.browser.serving import Served, serving


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with one feed; its address."""
    folder = tmp_path_factory.mktemp("feed")
    (folder / "feed.csv").write_text("domain,seen\nfeed.example,2026-01-01\nsecond.example,2026-01-02\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def house(feed: str) -> Iterator[Served]:
    """A product that may reach that server and no other private address."""
    with serving(SPIRE_URL_ALLOW=feed) as served:
        served.set_up()
        yield served


def rows_of(page: Page) -> Locator:
    return page.get_by_role("table", name="Rows")


def look(page: Page, house: Served, text: str) -> None:
    enter(page, house)
    page.goto(f"{house.url}/sources")
    page.get_by_label("Address or text").fill(text)
    page.get_by_role("button", name="Look").click()


def test_pasted_rows_become_a_source(house: Served, page: Page, complaints: list[str]) -> None:
    look(page, house, "ip;note\n192.0.2.1;first\n192.0.2.2;second\n")
    expect(page.get_by_role("heading", name="pasted text")).to_be_visible()
    expect(rows_of(page)).to_contain_text("192.0.2.2")
    expect(page.get_by_role("table", name="Fields")).to_contain_text("ipv4")


def test_an_address_is_fetched_and_becomes_a_source(
    house: Served, page: Page, complaints: list[str], feed: str
) -> None:
    look(page, house, f"http://{feed}/feed.csv")
    expect(page.get_by_role("heading", name="feed.csv", level=1)).to_be_visible()
    expect(rows_of(page)).to_contain_text("second.example")


def test_a_private_address_is_refused_with_what_to_do(
    house: Served, page: Page, complaints: list[str]
) -> None:
    look(page, house, "http://127.0.0.1:9/feed.csv")
    refusal = page.get_by_role("alert").filter(has_text="127.0.0.1")
    expect(refusal).to_be_visible()
    expect(refusal).to_contain_text("allowed hosts")
    expect(page.get_by_label("Address or text")).to_have_value("http://127.0.0.1:9/feed.csv")


def test_the_rows_follow_a_change_of_delimiter_and_header(
    house: Served, page: Page, complaints: list[str]
) -> None:
    look(page, house, "alpha|beta\n192.0.2.7|x,y\n192.0.2.8|p,q\n")
    expect(rows_of(page).get_by_role("columnheader", name="alpha")).to_be_visible()
    page.get_by_text("First row names the fields").click()
    page.get_by_role("button", name="Read it so").click()
    expect(page.get_by_text("read another way now")).to_be_visible()
    expect(rows_of(page).get_by_role("cell", name="alpha", exact=True)).to_be_visible()
    page.get_by_label("Delimiter").click()
    page.get_by_role("option", name="Comma").click()
    page.get_by_role("button", name="Read it so").click()
    expect(rows_of(page)).to_contain_text("alpha|beta")


def test_another_sheet_of_a_workbook_is_chosen(
    house: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "Hosts"
    for line in (("host", "owner"), ("a.example", "one"), ("b.example", "two"), ("c.example", "three")):
        first.append(line)
    second = book.create_sheet("Hashes")
    for line in (("md5", "seen"), ("d41d8cd98f00b204e9800998ecf8427e", "2026-01-01")):
        second.append(line)
    book.save(tmp_path / "book.xlsx")
    enter(page, house)
    page.goto(f"{house.url}/sources")
    drop(page, tmp_path / "book.xlsx")
    expect(rows_of(page)).to_contain_text("c.example")
    page.get_by_label("Sheet", exact=True).click()
    page.get_by_role("option", name="Hashes").click()
    page.get_by_role("button", name="Read it so").click()
    expect(rows_of(page)).to_contain_text("d41d8cd98f00b204e9800998ecf8427e")


def test_the_records_of_an_xml_file_are_looked_for_elsewhere(
    house: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    items = "".join(
        f"<item><ip>192.0.2.{n}</ip><tags><tag>t{n}</tag><tag>u{n}</tag></tags></item>" for n in range(1, 5)
    )
    (tmp_path / "feed.xml").write_text(f'<?xml version="1.0"?><feed><list>{items}</list></feed>')
    enter(page, house)
    page.goto(f"{house.url}/sources")
    drop(page, tmp_path / "feed.xml")
    expect(rows_of(page)).to_contain_text("192.0.2.4")
    path = page.get_by_role("textbox", name="Where the records are")
    expect(path).to_have_value("feed/list/item")
    path.fill("feed/list/item/tags/tag")
    page.get_by_role("button", name="Read it so").click()
    expect(rows_of(page)).to_contain_text("u4")
    expect(rows_of(page)).not_to_contain_text(re.compile(r"192\.0\.2"))
