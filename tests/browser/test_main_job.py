"""The main job, from the set-up link to records one can trust, as a newcomer does it."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import drop, enter
from tests.browser.serving import PASSWORD, Served

PAGES = ("", "sources", "mapping", "runs", "quarantine", "explorer", "schedules", "audit", "settings")


def test_a_newcomer_goes_from_the_set_up_link_over_a_messy_csv_to_records_and_repairs(
    product: Served, page: Page, complaints: list[str], messy: Path
) -> None:
    page.goto(product.link)
    page.get_by_label("Account").fill("ada")
    page.get_by_label("Your name").fill("Ada")
    page.locator("#password").fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Bring in your first feed")).to_be_visible()

    drop(page, messy)
    expect(page.get_by_role("heading", name="messy.csv")).to_be_visible()
    expect(page.get_by_text("can't be read as rows").first).to_be_visible()
    expect(page.get_by_label("First lines as they stand")).to_contain_text("# Shared at the exchange")
    expect(page.get_by_role("listbox", name="Fields")).to_contain_text("100 % indicator")

    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_text("target model indicator")).to_be_visible()
    output = page.get_by_role("table", name="Output")
    expect(output).to_contain_text("203.0.113.7")
    expect(output).to_contain_text("http://login.example.com/reset")

    page.get_by_role("button", name="Dry run on all rows").click()
    expect(page.get_by_text("nothing was kept")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible()
    ledger = page.get_by_label("Ledger")
    expect(ledger).to_contain_text("Books balance")
    expect(ledger).to_contain_text("all 8 rows")
    expect(page.get_by_role("table", name="Rejects by cause")).to_contain_text("confidence")

    page.get_by_role("button", name=re.compile("^Repair")).click()
    causes = page.get_by_role("table", name="Causes")
    causes.get_by_text("confidence").first.click()
    expect(page.get_by_label("Original row").first).to_contain_text("many")
    page.get_by_label("Confidence", exact=True).fill("55")
    page.get_by_role("button", name="Save and replay this row").click()
    expect(page.get_by_text(re.compile("The row was taken in run"))).to_be_visible()

    page.get_by_test_id("stSidebar").get_by_text("Explorer").click()
    records = page.get_by_role("table", name="Records")
    expect(records).to_contain_text("198.51.100.23")
    records.get_by_role("link", name="login.example.org").click()
    expect(page.get_by_text("Where it came from")).to_be_visible()
    expect(page.get_by_label("The line as it was received")).to_contain_text(
        "login.example.org;domain;2026-01-05"
    )


def test_a_stix_bundle_needs_no_mapping_and_runs_with_one_click(
    product: Served, page: Page, complaints: list[str], shared_data: Path
) -> None:
    enter(page, product)
    page.goto(f"{product.url}/sources")
    drop(page, shared_data / "attack-stix-data" / "ics-attack-18.1.json")
    expect(page.get_by_text("describes itself")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible(timeout=90_000)
    expect(page.get_by_label("Ledger")).not_to_contain_text("inserted0")
    page.get_by_role("button", name="See the records").click()
    expect(page.get_by_role("table", name="Target models")).to_contain_text("Attack pattern")


def test_several_files_become_sources_of_their_own(
    product: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    enter(page, product)
    page.goto(f"{product.url}/sources")
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("ip,seen\n192.0.2.1,2026-01-01\n192.0.2.2,2026-01-02\n")
    drop(page, tmp_path / "one.csv", tmp_path / "two.csv")
    expect(page.get_by_role("table", name="Just brought in")).to_contain_text("CSV, 2 fields")
    sources = page.get_by_role("table", name="Sources")
    expect(sources).to_contain_text("one.csv")
    expect(sources).to_contain_text("two.csv")


def test_every_page_opens_by_its_own_address(product: Served, page: Page, complaints: list[str]) -> None:
    enter(page, product)
    for path in PAGES:
        page.goto(f"{product.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        expect(page.get_by_text("encountered an error")).to_have_count(0)


def test_a_load_is_undone_and_its_records_are_gone(
    product: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    (tmp_path / "undo.csv").write_text(
        "domain,seen\nundo-me.example,2026-01-01\nundo-too.example,2026-01-02\n"
    )
    enter(page, product)
    page.goto(f"{product.url}/sources")
    drop(page, tmp_path / "undo.csv")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_role("table", name="Output")).to_contain_text("undo-me.example")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible()
    page.get_by_role("button", name="Undo load").click()
    page.get_by_role("button", name=re.compile("^Undo run")).click()
    expect(page.get_by_text("This load was undone.")).to_be_visible()
    page.goto(f"{product.url}/explorer?target=indicator&search=undo-me")
    expect(page.get_by_text("No record matches.")).to_be_visible()


def test_a_schedule_shows_its_next_five_times_here_and_in_utc(
    product: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, product)
    page.goto(f"{product.url}/schedules")
    page.get_by_role("button", name="New schedule").click()
    due = page.get_by_role("table", name="Next five")
    expect(due.get_by_role("row")).to_have_count(6)
    expect(due.get_by_role("columnheader", name="UTC")).to_be_visible()
    expect(due).to_contain_text("06:00")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_text("Schedules").click()
    expect(page.get_by_role("table", name="Schedules")).to_contain_text("every day at 06:00")
