"""A credential is added, used by a source, tested, rotated and removed in the browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served
from tests.servers.keyed import Keyed

OLD, NEW, WRONG = "key-of-spring-0001", "key-of-summer-0002", "key-of-nobody-0003"


@pytest.fixture
def server() -> Iterator[Keyed]:
    keyed = Keyed(OLD)
    yield keyed
    keyed.close()


def test_a_credential_is_added_used_rotated_and_removed(
    reaching: Served, page: Page, complaints: list[str], server: Keyed
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/settings?part=credentials")
    page.get_by_role("textbox", name="Name", exact=True).first.fill("Members' key")
    page.get_by_label("Value", exact=True).fill(OLD)
    page.get_by_role("textbox", name="Bound to").first.fill(server.host)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Sources can use it")).to_be_visible()
    expect(page.get_by_role("button", name="Test it")).to_be_visible()

    page.goto(f"{reaching.url}/sources?new=url")
    page.get_by_role("textbox", name="Name", exact=True).fill("Members")
    page.get_by_role("textbox", name="Address", exact=True).fill(server.url)
    page.get_by_role("textbox", name="Header", exact=True).fill("X-Key")
    page.get_by_role("combobox", name="Use a credential").click()
    page.get_by_role("option", name="Use Members' key").click()
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name="Members")).to_be_visible()
    assert server.shown == [OLD]

    page.goto(f"{reaching.url}/settings?part=credentials&credential=members-key")
    page.get_by_label("New value").fill(WRONG)
    page.get_by_role("button", name="Rotate", exact=True).click()
    expect(page.get_by_text("the old value stays")).to_be_visible()
    server.keys = {NEW}
    page.get_by_label("New value").fill(NEW)
    page.get_by_role("button", name="Rotate", exact=True).click()
    expect(page.get_by_text("Members' key is rotated")).to_be_visible()
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_text("all work", exact=True)).to_be_visible()
    assert server.shown[-1] == NEW

    expect(page.get_by_text("Members would stop working")).to_be_visible()
    page.get_by_role("textbox", name="Type members-key to remove it").fill("members-key")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Members' key is removed")).to_be_visible()
    for secret in (OLD, NEW, WRONG):
        assert secret not in page.content()
