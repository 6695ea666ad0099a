"""A schedule is built in words, foretells its times, is paused and resumed, and shows what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving

ROWS = "domain,confidence\n" + "".join(
    f"n{n}.example,{'lots' if n in (1, 2) else 40 + n}\n" for n in range(12)
)


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product with a pipeline, two of whose rows are rejected."""
    with serving() as served:
        served.set_up()
        served.add_person("vera", "viewer")
        with served.http() as http:
            base = "/api/v1/tenants/default"
            http.post(f"{base}/sources", json={"text": ROWS, "name": "Rows", "id": "rows"})
            asked = {"source": "rows", "target": "indicator"}
            mapping = http.post(f"{base}/suggest", json=asked).json()["suggestions"][0]["mapping"]
            body = {"name": "Rows", "source": "rows", "mappings": [mapping]}
            assert http.post(f"{base}/pipelines", json=body).status_code == 201
        yield served


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    # Long lists are drawn in part.
    page.get_by_label(label, exact=True).fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def test_a_schedule_is_built_in_words_and_lived_with(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house)
    page.goto(f"{house.url}/schedules")
    page.get_by_role("button", name="New schedule").click()
    choose(page, "Repeat", "on a day of the month")
    choose(page, "On the", "15th")
    choose(page, "Time zone", "Europe/Berlin")
    due = page.get_by_role("table", name="Next five times")
    expect(due.get_by_role("row")).to_have_count(6)
    expect(page.get_by_text("on the 15th of the month at 06:00")).to_be_visible()
    expect(page.get_by_text(re.compile("Clocks go (forward|back) 1 hour on .* in Berlin"))).to_be_visible()
    choose(page, "Repeat", "as a cron expression")
    page.get_by_label("Cron expression", exact=True).fill("0 6 * * 99")
    page.get_by_label("Cron expression", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The weekday “99” can't be read")
    choose(page, "Repeat", "every weekday")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Every weekday at 06:00, Europe/Berlin.")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    history = page.get_by_role("table", name="History", exact=True)
    expect(history).to_contain_text("finished, 2 rejects", timeout=45_000)
    bar = page.get_by_role("group", name="Past times").get_by_role("button")
    expect(bar).to_have_attribute("title", re.compile("finished, 2 rejects. Run 1."))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("link", name="Schedules").last.click()
    listed = page.get_by_role("table", name="Schedules")
    expect(listed).to_contain_text("paused")
    expect(listed.get_by_role("link", name=re.compile("finished, 2 rejects. Run 1."))).to_be_visible()
    page.goto(f"{house.url}/schedules?schedule=new")
    page.get_by_text("When a file arrives").click()
    page.get_by_label("Folder", exact=True).fill("/etc")
    page.get_by_label("Folder", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not open to schedules")


def test_a_viewer_sees_schedules_and_why_they_may_change_none(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house, "vera")
    page.goto(f"{house.url}/schedules")
    new = page.get_by_role("button", name="New schedule")
    expect(new).to_be_disabled()
    new.hover(force=True)
    expect(page.get_by_text("Needs the engineer role.").first).to_be_visible()


def test_help_opens_by_its_key_and_its_link_and_leads_into_the_guide(
    house: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, house)
    page.goto(f"{house.url}/schedules")
    expect(page.get_by_role("heading", name="Schedules", level=1)).to_be_visible()
    panel = page.get_by_role("dialog", name="Schedules")
    expect(page.get_by_role("link", name=re.compile("Help"))).to_be_visible()
    page.wait_for_timeout(500)
    page.keyboard.press("?")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    page.get_by_role("link", name=re.compile("Help")).click()
    expect(panel).to_contain_text("Pipelines that run by themselves")
    with page.context.expect_page() as opened:
        panel.get_by_role("link", name="Watched folders").click()
    guide = opened.value
    expect(guide.get_by_role("heading", name="Files in", level=1)).to_be_visible()
    guide.get_by_role("navigation").get_by_role("link", name="Quarantine").click()
    expect(guide.locator("img").first).to_be_visible()
    page.keyboard.press("Escape")
    page.goto(f"{house.url}/audit")
    search = page.get_by_label("Search", exact=True)
    search.press("?")
    expect(search).to_have_value("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
