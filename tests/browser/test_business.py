"""Salesforce and Google Analytics are connected, previewed, mapped, run and scheduled in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.patience import settle
from tests.browser.serving import Served
from tests.servers.google_analytics import PROPERTY, Analytics
from tests.servers.salesforce import APP, USER, Salesforce


@pytest.fixture
def org() -> Iterator[Salesforce]:
    made = Salesforce()
    stamps = [f"2026-01-01T{n // 60:02}:{n % 60:02}:00.000Z" for n in range(120)]
    made.add(
        "Contact",
        *(
            {"Id": f"003{n:012d}AAA", "FirstName": "Ana", "LastName": f"Example {n}", "Email": f"ana{n}@example.com",
             "MailingCity": "Berlin", "LastModifiedDate": at, "SystemModstamp": at}
            for n, at in enumerate(stamps)
        ),
    )  # fmt: skip
    made.add("Account", {"Id": "001000000000001AAA", "Name": "Example GmbH", "SystemModstamp": stamps[0]})
    yield made
    made.close()


@pytest.fixture
def analytics() -> Iterator[Analytics]:
    made = Analytics()
    made.rows = [
        {"date": f"{datetime.now(UTC).date() - timedelta(days=d):%Y%m%d}", "pagePath": f"/{p}", "sessionSource": "direct",
         "country": "Germany", "sessions": 5 + p, "activeUsers": 2, "screenPageViews": 9}
        for d in range(1, 30) for p in range(3)
    ]  # fmt: skip
    yield made
    made.close()


def fill(page: Page, **settings: str) -> None:
    for label, value in settings.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)


def further(page: Page, authority: str) -> None:
    page.get_by_text("Further settings").click()
    page.get_by_label("Authority", exact=True).fill(authority)


def tried_and_added(page: Page, name: str, seen: str) -> None:
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("all hold")).to_be_visible()
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text(seen).first).to_be_visible()


def mapped_run_and_scheduled(page: Page, reaching: Served, model: str, rows: int) -> None:
    settle(page)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_text(f"target model {model}")).to_be_visible()
    expect(page.get_by_role("table", name="Output")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible(timeout=60_000)
    expect(page.get_by_label("Ledger")).to_contain_text(f"all {rows} rows")
    page.goto(f"{reaching.url}/schedules")
    page.get_by_role("button", name="New schedule").click()
    expect(page.get_by_role("table", name="Next five times")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Run now")).to_be_visible()


def test_contacts_of_salesforce(reaching: Served, page: Page, complaints: list[str], org: Salesforce) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=any")
    kind = page.get_by_role("link", name="Salesforce")
    # The tenant's worker starts with the first question it is asked.
    expect(kind).to_be_visible(timeout=60_000)
    kind.click()
    fill(
        page, Name="Customers", Address=org.url, Consumer_key=APP, Username=USER, Private_key=org.private_key
    )
    further(page, org.authority)
    page.get_by_role("button", name="Look what is there").click()
    expect(page.get_by_role("combobox", name="Object")).to_have_value("Contact (object, about 120 rows)")
    settle(page)
    page.get_by_role("button", name="Take over into the form").click()
    expect(page.get_by_role("textbox", name="Object", exact=True)).to_have_value("Contact")
    page.get_by_role("button", name="Look what is there").click()
    expect(page.get_by_role("combobox", name="Fields")).to_be_enabled()
    tried_and_added(page, "Customers", "ana0@example.com")
    mapped_run_and_scheduled(page, reaching, "contact", 120)


@pytest.mark.parametrize("viewport", [(1280, 1400)])
def test_figures_of_google_analytics(
    reaching: Served, page: Page, complaints: list[str], analytics: Analytics
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=google_analytics")
    fill(page, Name="Web site", Property=PROPERTY)
    page.get_by_label("Service account's key", exact=True).fill(analytics.key())
    further(page, analytics.authority)
    fill(page, Address=analytics.url)
    page.get_by_role("button", name="Look what is there").click()
    offered = page.get_by_role("combobox", name="Dimensions")
    expect(offered).to_be_visible()
    settle(page)
    # A list that is open closes when the page is scrolled.
    offered.scroll_into_view_if_needed()
    for name in ("country", "pagePath"):
        offered.fill(name)
        page.get_by_role("option", name=name).click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take over into the form").click()
    expect(page.get_by_role("textbox", name="Dimensions", exact=True)).to_have_value("country\npagePath")
    tried_and_added(page, "Web site", "Germany")
    mapped_run_and_scheduled(page, reaching, "web-metric", 87)
