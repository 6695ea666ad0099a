"""A server is connected in the browser: tried stage by stage, then kept and seen."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii


@pytest.fixture(scope="module")
def product() -> Iterator[Served]:
    with serving(SPIRE_URL_ALLOW="127.0.0.1") as served:
        served.set_up()
        yield served


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_a_taxii_server_is_tried_then_added_and_run(
    product: Served, page: Page, complaints: list[str], taxii_server: Taxii
) -> None:
    enter(page, product)
    page.goto(f"{product.url}/sources?new=any")
    page.get_by_role("link", name="TAXII server").click()
    page.get_by_role("textbox", name="Address", exact=True).fill(taxii_server.url)
    page.get_by_role("textbox", name="Username", exact=True).fill(ACCOUNT)
    page.get_by_label("Password", exact=True).fill("not this one")
    page.get_by_role("textbox", name="Name", exact=True).fill("Members")
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("Check the credentials.")).to_be_visible()

    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("all hold")).to_be_visible()
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name="Members")).to_be_visible()
    expect(page.get_by_text("x-mitre-matrix").first).to_be_visible()


def test_a_feed_that_is_described_already_asks_for_its_key_only(product: Served, page: Page) -> None:
    enter(page, product)
    page.goto(f"{product.url}/sources?new=feed:otx")
    expect(page.locator("input[type=password]")).to_be_visible()
    expect(page.get_by_role("textbox", name="Records", exact=True)).to_have_count(0)
    page.get_by_text("Further settings").click()
    expect(page.get_by_role("textbox", name="Address", exact=True)).to_have_value(
        "https://otx.alienvault.com/api/v1/pulses/subscribed"
    )
    assert urlsplit(page.url).path == "/sources"
