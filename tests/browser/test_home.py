"""Home: an empty installation leads to first records within minutes; later it says what needs a person."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import drop, enter
from tests.browser.furnishing import furnish
from tests.browser.serving import PASSWORD, Served, serving


@pytest.fixture(scope="module")
def week() -> Iterator[Served]:
    """A product in the middle of a working week."""
    with serving() as served:
        served.set_up()
        furnish(served, "full")
        yield served


def test_a_newcomer_has_first_clean_records_well_under_five_minutes_after_the_set_up_link(
    product: Served, page: Page, complaints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    page.goto(product.link)
    page.get_by_label("Account").fill("ada")
    page.get_by_label("Your name").fill("Ada")
    page.locator("#password").fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Bring in your first feed")).to_be_visible()
    expect(page.get_by_label("Address or text")).to_be_visible()
    expect(page.locator("input[type=file]")).to_be_attached()

    page.get_by_role("combobox", name="Sample").click()
    page.get_by_role("option", name=re.compile("campaign", re.I)).click()
    page.get_by_role("button", name="Load the sample").click()
    expect(page.get_by_text("describes itself")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("books balance", re.I)).first).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="See the records").click()
    expect(page.get_by_role("table").first).to_contain_text(re.compile("ndicator"))
    took = time.monotonic() - begun
    with capsys.disabled():
        print(f" from the set-up link to first clean records: {took:.0f} s", end="")
    assert took < 300


def test_a_returning_person_sees_that_all_is_right_and_can_still_bring_something_in(
    product: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    enter(page, product)
    page.goto(product.url)
    expect(page.get_by_role("heading", name="Everything is all right")).to_be_visible()
    expect(page.get_by_text("Every finished run balances.")).to_be_visible()
    expect(page.get_by_text("Nothing is scheduled.")).to_be_visible()
    (tmp_path / "more.csv").write_text("ip,seen\n192.0.2.1,2026-01-01\n")
    drop(page, tmp_path / "more.csv")
    expect(page.get_by_role("heading", name="more.csv")).to_be_visible()
    page.goto(product.url)
    expect(page.get_by_role("heading", name="1 thing needs you")).to_be_visible()
    needs = page.get_by_role("table", name="Needs you")
    expect(needs).to_contain_text("more.csv is not mapped yet")
    needs.get_by_role("button", name="Map").click()
    expect(page).to_have_url(re.compile("mapping.*source=more"))


def test_what_waits_is_told_with_its_next_action_and_the_rest_at_a_glance(
    week: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, week)
    page.goto(week.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"things? needs? you"))
    needs = page.get_by_role("table", name="Needs you")
    expect(needs).to_contain_text(re.compile(r"50 rejects in Weekly exchange"))
    expect(needs).to_contain_text("have a proposed fix")
    expect(page.get_by_role("table", name="Runs next")).to_contain_text("Weekly exchange")
    expect(page.get_by_role("table", name="Ran today")).to_contain_text("Balanced, 50 rejects")
    fresh = page.get_by_role("table", name="Freshness")
    expect(fresh).to_contain_text("1 day")
    needs.get_by_role("button", name="Repair").click()
    expect(page).to_have_url(re.compile("quarantine.*pipeline=weekly-exchange"))
