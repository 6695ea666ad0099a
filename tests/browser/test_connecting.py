"""A server is connected in the browser: tried stage by stage, then kept and seen."""

from __future__ import annotations

import json
import re
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served
from tests.connectors.web import Web
from tests.servers.taxii import ACCOUNT, PASSWORD, Taxii


@pytest.mark.parametrize("taxii_server", ["2.1"], indirect=True)
def test_a_taxii_server_is_tried_then_added_and_run(
    reaching: Served, page: Page, complaints: list[str], taxii_server: Taxii
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=any")
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


def test_a_feed_that_is_described_already_asks_for_its_key_only(reaching: Served, page: Page) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=feed:otx")
    expect(page.get_by_role("textbox", name="Secret", exact=True)).to_be_visible()
    expect(page.get_by_label("Refresh token", exact=True)).to_be_hidden()
    expect(page.get_by_role("textbox", name="Records", exact=True)).to_have_count(0)
    page.get_by_text("Further settings").click()
    expect(page.get_by_role("textbox", name="Address", exact=True)).to_have_value(
        "https://otx.alienvault.com/api/v1/pulses/subscribed"
    )
    assert urlsplit(page.url).path == "/sources"


def test_where_the_records_stand_is_picked_in_an_answer_and_the_description_kept(
    reaching: Served, page: Page, complaints: list[str]
) -> None:
    records = [{"ioc": f"192.0.2.{n}", "seen": "2026-01-02"} for n in range(1, 6)]
    answer = {"meta": {"pages": [{"n": n} for n in range(9)]}, "data": {"items": records, "more": False}}
    with closing(Web()) as web:
        web.made["/api"] = lambda query: json.dumps(answer).encode()
        enter(page, reaching)
        page.goto(f"{reaching.url}/sources?new=rest")
        # Whoever asks first for the connectors waits until each has been loaded.
        expect(page.get_by_role("textbox", name="Address", exact=True)).to_be_visible(timeout=60_000)
        page.get_by_role("textbox", name="Address", exact=True).fill(f"{web.url}/api")
        page.get_by_role("textbox", name="Name", exact=True).fill("Partner feed")
        page.get_by_role("button", name="Look at an answer").click()
        tree = page.get_by_role("tree", name="The answer")
        expect(tree.get_by_role("treeitem").first).to_contain_text("the answer")
        # By keyboard to the list, as well as by the pointer below.
        tree.get_by_role("treeitem").first.focus()
        page.keyboard.press("End")
        expect(tree.get_by_role("treeitem").last).to_be_focused()
        tree.get_by_role("treeitem").filter(has=page.locator(".name", has_text=re.compile("^items$"))).click()
        expect(page.get_by_role("textbox", name="Records", exact=True)).to_have_value("data.items")
        expect(tree.get_by_role("treeitem", selected=True)).to_contain_text("the records stand here")

        page.get_by_role("button", name="Keep as a template").click()
        expect(page.get_by_text("Partner feed is kept as a template.")).to_be_visible()
        page.get_by_role("button", name="Add the source").click()
        expect(page.get_by_role("heading", name="Partner feed")).to_be_visible()
        expect(page.get_by_text("192.0.2.5").first).to_be_visible()

    page.goto(f"{reaching.url}/sources?new=any")
    page.get_by_role("link", name="Partner feed").click()
    expect(page.get_by_role("textbox", name="Records", exact=True)).to_have_value("data.items")
    page.get_by_role("button", name="Delete the template").click()
    expect(page.get_by_role("heading", name="Connect a server or a feed")).to_be_visible()
    expect(page.get_by_role("link", name="AlienVault OTX pulses")).to_be_visible()
    expect(page.get_by_role("link", name="Partner feed")).to_have_count(0)
