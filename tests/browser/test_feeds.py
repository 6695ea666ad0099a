"""Connected in the browser: a feed whose entries are followed, on schedule; files of a server whose key was compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.tenant.test_followed_feed import MENTIONED
from tests.browser.conftest import enter
from tests.browser.serving import Served
from tests.connectors.test_articles_followed import Site
from tests.connectors.test_articles_followed import page as article
from tests.servers import sftp


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        made.put("one", "Only the first line.", page=article("It calls followed[.]example by night."))
        yield made


def test_a_feed_is_followed_previewed_and_run_by_its_schedule(
    reaching: Served, page: Page, complaints: list[str], site: Site
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=url")
    page.get_by_role("textbox", name="Name", exact=True).fill("A followed blog")
    page.get_by_role("textbox", name="Address", exact=True).fill(f"{site.url}/feed.xml")
    page.get_by_text("Follow the entries of a feed", exact=True).click()
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("all hold")).to_be_visible()
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name="A followed blog", level=1)).to_be_visible()
    page.get_by_role("listbox", name="Fields").get_by_role("option").filter(has_text="page_text").click()
    expect(page.get_by_text("It calls followed[.]example by night.").first).to_be_visible()

    base = "/api/v1/tenants/default"
    with reaching.http() as http:
        listed = [each["source"] for each in http.get(f"{base}/sources").json()]
        [source] = [each["id"] for each in listed if each["name"] == "A followed blog"]
        told = {"name": "A followed blog", "source": source, "mappings": [MENTIONED]}
        assert http.post(f"{base}/pipelines", json=told).status_code == 201
    page.goto(f"{reaching.url}/schedules?schedule=new&pipeline={source}")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Run now").click()
    history = page.get_by_role("table", name="History", exact=True)
    expect(history).to_contain_text("finished", timeout=45_000)
    page.goto(f"{reaching.url}/explorer?target=indicator")
    expect(page.get_by_role("table", name="Records")).to_contain_text("followed.example")


def test_a_host_key_is_accepted_by_whoever_has_compared_it_and_by_nobody_else(
    reaching: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    with closing(sftp.Server(tmp_path)) as server:
        enter(page, reaching)
        page.goto(f"{reaching.url}/sources?new=sftp")
        told = {
            "Name": "Partner files", "Host": "127.0.0.1", "Username": sftp.ACCOUNT, "Pattern": "*.csv",
        }  # fmt: skip
        for label, value in told.items():
            page.get_by_role("textbox", name=label, exact=True).fill(value)
        page.get_by_role("spinbutton", name="Port").fill(str(server.port))
        page.get_by_label("Password", exact=True).fill(sftp.PASSWORD)
        trying = page.get_by_role("button", name="Try the connection")
        trying.click()
        accept = page.get_by_role("button", name="They are the same: accept it")
        expect(accept).to_be_visible()
        key = page.get_by_role("textbox", name="Host key")
        expect(key).to_have_value("")
        assert server.signed_in == 0
        accept.click()
        expect(key).to_have_value(server.fingerprint)
        expect(accept).to_have_count(0)
        trying.click()
        expect(page.get_by_role("table", name="Connection")).to_contain_text("as collector")
        assert server.signed_in == 1
