"""The audit log in the browser: searched over everything, along time, one event with its change, and verified."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product in which a good deal has been done."""
    with serving() as served:
        served.set_up()
        served.add_person("anna", "analyst")
        with served.http() as http:
            base = "/api/v1/tenants/default"
            for number in range(60):
                body = {"text": "domain\na.example\n", "name": f"Source {number}", "id": f"s{number}"}
                assert http.post(f"{base}/sources", json=body).status_code == 201
            changed = {"name": "Renamed"}
            assert http.patch(f"{base}/sources/s0", json=changed).is_success
            body = {"name": "First desk", "audit_level": "standard"}
            assert http.patch(base, json=body).is_success
        yield served


def test_events_are_found_paged_opened_and_exported(house: Served, page: Page, complaints: list[str]) -> None:
    enter(page, house)
    page.goto(f"{house.url}/audit")
    listed = page.get_by_role("table", name="Events", exact=True)
    expect(listed.get_by_role("row")).to_have_count(51)
    page.get_by_role("button", name="Older").click()
    expect(listed).to_contain_text("s0")
    page.get_by_role("button", name="Newest").click()
    search = page.get_by_label("Search", exact=True)
    search.fill("Renamed")
    search.press("Enter")
    expect(listed.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile("text=Renamed"))
    listed.get_by_role("link").first.click()
    change = page.get_by_role("table", name="What changed")
    expect(change).to_contain_text("Renamed")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Export NDJSON").click()
    lines = coming.value.path().read_text().splitlines()
    assert [json.loads(line)["object"] for line in lines] == ["s0"]
    page.get_by_role("button", name="Clear").click()
    expect(listed.get_by_role("row")).to_have_count(51)
    bar = page.get_by_role("group", name="Events along time").get_by_role("button").last
    bar.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("since="))
    expect(page.get_by_label("When", exact=True)).to_have_value("As chosen below")


def test_the_installation_s_log_tells_a_renaming_and_holds(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house)
    page.goto(f"{house.url}/audit?log=installation&action=change-tenant")
    listed = page.get_by_role("table", name="Events", exact=True)
    expect(listed.get_by_role("row")).to_have_count(2)
    listed.get_by_role("link").first.click()
    change = page.get_by_role("table", name="What changed")
    expect(change.get_by_role("row", name=re.compile("name"))).to_contain_text("First desk")
    expect(page.get_by_text("1 field did not change.")).to_be_visible()
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text(re.compile(r"The chain holds: \d+ events"))).to_be_visible()


def test_an_analyst_is_told_who_may_read_it(house: Served, page: Page, complaints: list[str]) -> None:
    enter(page, house, "anna")
    page.goto(f"{house.url}/audit")
    expect(page.get_by_text("needs the auditor or the administrator role")).to_be_visible()
