"""Who is signed in decides what a page offers, and a page that is left behind can do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import drop, enter, sign_in
from tests.browser.patience import chosen_by_key
from tests.browser.serving import Served, serving

SAMPLE = {"connector": "sample", "config": {"sample": "campaign"}, "name": "Campaign", "id": "campaign"}


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product with an administrator, a viewer, and a source that describes itself."""
    with serving() as served:
        served.set_up()
        served.add_person("vera", "viewer")
        served.add_person("anna", "analyst")
        with served.http() as http:
            assert http.post("/api/v1/tenants/default/sources", json=SAMPLE).status_code == 201
        yield served


def test_a_viewer_sees_a_source_but_cannot_run_it(house: Served, page: Page, complaints: list[str]) -> None:
    enter(page, house, "vera")
    page.goto(f"{house.url}/sources?source=campaign")
    run = page.get_by_role("button", name="Run", exact=True)
    expect(run).to_be_visible()
    expect(run).to_be_disabled()
    run.hover(force=True)
    expect(page.get_by_text("Needs the analyst role.").first).to_be_visible()
    page.goto(f"{house.url}/sources")
    expect(page.locator("input[type=file]").first).to_be_disabled()


def test_an_analyst_runs_a_mapping_but_may_not_save_it(
    house: Served, page: Page, complaints: list[str], messy: Path
) -> None:
    enter(page, house, "anna")
    page.goto(f"{house.url}/sources")
    drop(page, messy)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_role("table", name="Output")).to_contain_text("203.0.113.7")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible()


def test_signing_out_in_one_tab_ends_the_other(house: Served, page: Page) -> None:
    sign_in(page, house)
    other = page.context.new_page()
    other.goto(f"{house.url}/sources?source=campaign")
    expect(other.get_by_role("button", name="Run", exact=True)).to_be_visible()
    page.goto(f"{house.url}/auth/logout")
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    other.goto(f"{house.url}/sources?source=campaign")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_drop_zone_is_reached_and_opened_by_keyboard(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house)
    page.goto(f"{house.url}/sources")
    expect(page.get_by_role("button", name="Connect a server or a feed")).to_be_visible()
    zone = page.locator("input[type=file]").first

    def reach() -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if zone.evaluate("input => input.getRootNode().activeElement === input"):
                return
        raise AssertionError("the drop zone was never reached by Tab")

    assert chosen_by_key(page, reach).is_multiple()


def test_an_upload_goes_straight_to_the_api_in_sealed_parts(
    house: Served, page: Page, complaints: list[str]
) -> None:
    asked: list[tuple[str, str]] = []
    page.on("request", lambda request: asked.append((request.method, request.url.removeprefix(house.url))))
    enter(page, house)
    page.goto(f"{house.url}/sources")
    body = b"ip,seen\n" + b"192.0.2.1,2026-01-01\n" * 450_000
    page.locator("input[type=file]").first.set_input_files(
        {"name": "large.csv", "mimeType": "text/csv", "buffer": body}
    )
    expect(page.get_by_role("heading", name="large.csv")).to_be_visible(timeout=60_000)
    parts = [path for method, path in asked if method == "PATCH" and "/uploads/" in path]
    assert len(parts) == 2, "nine megabytes go as two parts"
    assert not [path for _, path in asked if "upload_file" in path]


def test_one_ends_another_sign_in_changes_ones_name_and_the_theme(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house, "vera")
    left_open = house.sign_in("vera")
    page.goto(f"{house.url}/profile")
    page.get_by_label("Name", exact=True).fill("Vera L.")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_test_id("stSidebar").get_by_text("Vera L.")).to_be_visible()
    listed = page.get_by_role("table", name="Sign-ins")
    expect(listed.get_by_text("this one")).to_be_visible()
    while (end := listed.get_by_role("button", name="End it")).count():
        before = end.count()
        end.first.click()
        expect(end).to_have_count(before - 1)
    with house.http(left_open) as http:
        assert http.get("/api/v1/me").status_code == 401
    page.get_by_role("radio", name="Dark").check(force=True)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(f"{house.url}/sources")
    expect(page.get_by_role("heading", name="Sources", level=1)).to_be_visible()
    background = page.locator(".stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    assert background == "rgb(16, 21, 29)"


def test_parts_of_the_settings_say_who_may_see_them(house: Served, page: Page, complaints: list[str]) -> None:
    enter(page, house, "vera")
    for part in ("people", "root-key", "settings", "health"):
        page.goto(f"{house.url}/settings?part={part}")
        expect(page.get_by_text("Needs an administrator of the installation.").first).to_be_visible()
    enter(page, house)
    page.goto(f"{house.url}/settings?part=settings")
    expect(page.get_by_role("table", name="Limits")).to_contain_text("SPIRE_WORKER_MEMORY")
    page.get_by_text("Health", exact=True).click()
    expect(page).to_have_url(re.compile("part=health"))
    expect(page.get_by_role("table", name="Health")).to_contain_text("encrypted stores open")
    page.get_by_text("Root key", exact=True).click()
    expect(page.get_by_text("spire key rotate")).to_be_visible()


def test_a_wrong_password_and_too_many_of_them_are_told_plainly(house: Served, page: Page) -> None:
    page.goto(f"{house.url}/sign-in")
    for _ in range(6):
        page.get_by_label("Account").fill("nobody")
        page.locator("input[type=password]").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Try again in (1 minute|\d+ seconds)"))
    page.goto(f"{house.url}/setup?token=spent")
    expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()
