"""Every way in, and every way to read what came in differently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from openpyxl import Workbook
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import drop, enter
from tests.browser.serving import ROOT, Served, serving
from tests.connectors.web import Web


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    """A web server with one feed; its address."""
    with closing(Web()) as web:
        web.files["/feed.csv"] = b"domain,seen\nfeed.example,2026-01-01\nsecond.example,2026-01-02\n"
        yield f"127.0.0.1:{web.port}"


@pytest.fixture(scope="module")
def house(feed: str) -> Iterator[Served]:
    """A product that may reach that server and no other private address."""
    with serving(SPIRE_URL_ALLOW=feed) as served:
        served.set_up()
        with served.http() as http:
            # With a source there, the ways in stand in one line.
            made = http.post("/api/v1/tenants/default/sources", json={"text": "a,b\n1,2\n", "name": "first"})
            assert made.status_code == 201
        yield served


def rows_of(page: Page) -> Locator:
    return page.get_by_role("table", name="Rows")


def field(page: Page, name: str) -> Locator:
    return page.get_by_role("listbox", name="Fields").get_by_role("option").filter(has_text=name)


def look(page: Page, house: Served, text: str) -> None:
    enter(page, house)
    page.goto(f"{house.url}/sources")
    if "\n" in text:
        page.get_by_role("button", name="Paste rows").click()
        page.get_by_label("Rows to paste").fill(text)
        page.get_by_role("button", name="Read them").click()
    else:
        page.get_by_label("Address", exact=True).fill(text)
        page.get_by_role("button", name="Look").click()


def test_pasted_rows_become_a_source(house: Served, page: Page, complaints: list[str]) -> None:
    look(page, house, "ip;note\n192.0.2.1;first\n192.0.2.2;second\n")
    expect(page.get_by_role("heading", name="pasted text")).to_be_visible()
    expect(rows_of(page)).to_contain_text("192.0.2.2")
    expect(field(page, "ip")).to_contain_text("100 % ipv4")
    expect(page.get_by_text("3 lines = 2 rows + 1 header.")).to_be_visible()


def test_an_address_is_fetched_becomes_a_source_and_is_checked_stage_by_stage(
    house: Served, page: Page, complaints: list[str], feed: str
) -> None:
    look(page, house, f"http://{feed}/feed.csv")
    expect(page.get_by_role("heading", name="feed.csv", level=1)).to_be_visible()
    expect(rows_of(page)).to_contain_text("second.example")
    page.get_by_text("The connection, a newer file").click()
    page.get_by_role("button", name="Check the connection").click()
    stages = page.get_by_role("table", name="Connection")
    expect(stages).to_contain_text("127.0.0.1 is an address")
    expect(stages).to_contain_text("Holds")


def test_a_private_address_is_refused_with_what_to_do(
    house: Served, page: Page, complaints: list[str]
) -> None:
    look(page, house, "http://127.0.0.1:9/feed.csv")
    refusal = page.get_by_role("alert").filter(has_text="127.0.0.1")
    expect(refusal).to_be_visible()
    expect(refusal).to_contain_text("allowed hosts")
    expect(page.get_by_label("Address", exact=True)).to_have_value("http://127.0.0.1:9/feed.csv")


def test_the_rows_follow_each_change_of_the_dialect_at_once(
    house: Served, page: Page, complaints: list[str]
) -> None:
    look(page, house, "# shared\nalpha|beta\n192.0.2.7|x,y\n192.0.2.8|p,q\n")
    lines = page.get_by_label("First lines as they stand")
    expect(lines).to_contain_text("1comment# shared")
    expect(lines).to_contain_text("2headeralpha|beta")
    expect(rows_of(page).get_by_role("columnheader", name="alpha")).to_be_visible()
    page.get_by_text("First row names the fields").click()
    expect(rows_of(page).get_by_role("cell", name="alpha", exact=True)).to_be_visible()
    page.get_by_role("combobox", name="Delimiter").click()
    page.get_by_role("option", name="Comma").click()
    expect(rows_of(page)).to_contain_text("alpha|beta")
    expect(page.get_by_text("can't be read as rows").first).to_be_visible()


def test_a_figure_of_the_profile_leads_to_its_rows_and_a_refresh_keeps_the_filter(
    house: Served, page: Page, complaints: list[str]
) -> None:
    many = "".join(f"192.0.2.{n},{'a' if n % 3 else 'b'}\n" for n in range(1, 40))
    look(page, house, f"ip,kind\n{many}not an address,a\n")
    page.get_by_role("button", name="Show the rows: All outliers").click()
    expect(page.get_by_text("1 of all 40 rows")).to_be_visible()
    expect(rows_of(page).get_by_role("row")).to_have_count(2)
    page.reload()
    expect(rows_of(page)).to_contain_text("not an address")
    expect(rows_of(page).get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="ip: outliers").click()
    expect(page.get_by_role("button", name="ip: outliers")).to_have_count(0)
    page.get_by_role("listbox", name="Fields").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Show the rows: b", exact=True).click()
    expect(page.get_by_text("13 of all 40 rows")).to_be_visible()


def test_another_sheet_and_another_header_row_of_a_workbook_are_chosen(
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
    page.get_by_role("combobox", name="Sheet").click()
    page.get_by_role("option", name="Hashes").click()
    expect(rows_of(page)).to_contain_text("d41d8cd98f00b204e9800998ecf8427e")
    page.get_by_role("combobox", name="Header").click()
    page.get_by_role("option", name="No header").click()
    expect(rows_of(page).get_by_role("cell", name="md5")).to_be_visible()


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
    places = page.get_by_role("radiogroup", name="Where the records are")
    expect(places.get_by_role("radio", checked=True)).to_have_count(1)
    places.get_by_text("feed/list/item/tags/tag").click()
    expect(rows_of(page)).to_contain_text("u4")
    expect(rows_of(page)).not_to_contain_text(re.compile(r"192\.0\.2"))


def test_of_several_files_each_is_told_and_those_alike_become_one_source(
    house: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    for name in ("monday.csv", "tuesday.csv"):
        (tmp_path / name).write_text(f"domain,seen\n{name}.example,2026-01-01\n")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 40)
    enter(page, house)
    page.goto(f"{house.url}/sources")
    drop(page, tmp_path / "monday.csv", tmp_path / "tuesday.csv", tmp_path / "noise.bin")
    told = page.get_by_role("table", name="Just brought in")
    expect(told).to_contain_text("CSV, 2 fields")
    expect(told).to_contain_text("No format we read fits this file.")
    page.get_by_role("button", name="Read 2 with the same fields as one source").click()
    expect(page.get_by_text("2 files are one source now")).to_be_visible()
    sources = page.get_by_role("table", name="Sources")
    expect(sources).not_to_contain_text("tuesday.csv")
    sources.get_by_role("link", name="monday.csv").click()
    expect(rows_of(page)).to_contain_text("tuesday.csv.example")


def test_an_upload_is_paused_survives_a_reload_and_a_lost_connection(
    house: Served, page: Page, tmp_path: Path
) -> None:
    large = tmp_path / "large.csv"
    line = "192.0.2.1,a note that is as long as notes are\n"
    large.write_text("ip,note\n" + line * (30_000_000 // len(line)))
    enter(page, house)
    page.goto(f"{house.url}/sources")
    expect(page.locator("input[type=file]").first).to_be_attached()
    parts: list[str] = []
    held: list[Route] = []

    def one_part_only(route: Route) -> None:
        """Let one part through and hold the next, as a very slow line would."""
        if route.request.method != "PATCH":
            route.continue_()
            return
        parts.append(route.request.headers["upload-offset"])
        if len(parts) == 2:
            held.append(route)
        else:
            route.continue_()

    page.route("**/uploads/*", one_part_only)
    drop(page, large)
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads).to_contain_text("8.4 MB of 30.0 MB")
    page.get_by_role("button", name="Pause large.csv").click()
    expect(uploads).to_contain_text("Paused. 8.4 MB of 30.0 MB are there.")
    page.reload()
    expect(uploads).to_contain_text("Choose the same file again to go on")
    parts.clear()
    held.clear()
    drop(page, large)
    expect(uploads).to_contain_text("of 30.0 MB")
    page.wait_for_timeout(500)
    held[0].abort("internetdisconnected")
    expect(uploads).to_contain_text("The connection was lost. Trying again.")
    expect(page.get_by_role("heading", name="large.csv")).to_be_visible(timeout=60_000)
    # It went on where it was; only the end of what was there was sent again, as proof of the same file.
    assert 8_000_000 < int(parts[0]) < 8_388_608 <= int(parts[1])
    expect(page.get_by_text("sample of", exact=False).first).to_be_visible()


def test_a_document_of_a_known_kind_begins_with_its_template(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house)
    page.goto(f"{house.url}/sources")
    drop(page, ROOT / "tests" / "xml" / "stix-1.2.xml")
    expect(page.get_by_role("heading", name="stix-1.2.xml")).to_be_visible()
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_role("table", name="Output")).to_contain_text("198.51.100.2")
    page.get_by_role("button", name="More", exact=True).click()
    expect(page.get_by_text("Begun with the template STIX 1.x indicators")).to_be_visible()
    page.get_by_role("button", name="Begin with a template").click()
    expect(page.get_by_text(re.compile(r"Feeds \d+ target fields"))).to_be_visible()
    page.get_by_role("button", name="Begin with it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("table", name="Output")).to_contain_text("bad.example.com")
