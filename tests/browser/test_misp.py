"""A MISP instance is connected in the browser: tried stage by stage, previewed, run and scheduled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served
from tests.connectors.misp_instance import KEY, Instance

GALAXY = {
    "name": "Attack Pattern", "type": "mitre-attack-pattern", "uuid": "c4e851fa-775f-11e7-8163-b774922098cd",
    "GalaxyCluster": [
        {"uuid": "e042a41b-5ecf-4f3a-8f1f-1b528c534772", "type": "mitre-attack-pattern", "value": "Token Theft - T1134"}
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with closing(Instance()) as made:
        for number in range(1, 9):
            uuid = f"{number:08d}-0000-4000-8000-000000000000"
            attribute = {
                "uuid": uuid, "type": "ip-dst", "category": "Network activity", "value": f"203.0.113.{number}",
                "to_ids": True, "timestamp": str(1_700_000_000 + number),
            }  # fmt: skip
            made.put(
                {
                    "uuid": uuid[:-1] + "f", "info": f"Phishing wave {number}", "date": "2026-01-02", "published": True,
                    "threat_level_id": "2", "analysis": "2", "timestamp": str(1_700_000_000 + number),
                    "publish_timestamp": str(1_700_000_000 + number), "Orgc": {"name": "CERT", "uuid": uuid},
                    "Tag": [{"name": "tlp:green"}], "Galaxy": [GALAXY], "Attribute": [attribute],
                }
            )  # fmt: skip
        yield made


def test_an_instance_is_tried_previewed_run_and_scheduled(
    reaching: Served, page: Page, complaints: list[str], instance: Instance
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=any")
    offered = page.get_by_role("link", name="MISP instance")
    # The list needs every connector, and so every driver, for the first time.
    expect(offered).to_be_visible(timeout=60_000)
    offered.click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Sharing community")
    page.get_by_role("textbox", name="Address", exact=True).fill(instance.url)
    page.get_by_label("API key", exact=True).fill("not this one")
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("Check the key, that it has not expired")).to_be_visible()

    page.get_by_label("API key", exact=True).fill(KEY)
    page.get_by_role("button", name="Try the connection").click()
    expect(page.get_by_text("all hold")).to_be_visible()
    expect(page.get_by_text("MISP 2.5.20")).to_be_visible()
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name="Sharing community")).to_be_visible()
    expect(page.get_by_text("Phishing wave 1").first).to_be_visible()

    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible(timeout=45_000)

    page.goto(f"{reaching.url}/schedules?schedule=new")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Run now").click()
    history = page.get_by_role("table", name="History", exact=True)
    expect(history).to_contain_text("finished", timeout=45_000)
    page.goto(f"{reaching.url}/explorer?target=attack-pattern")
    expect(page.get_by_role("table", name="Records")).to_contain_text(re.compile("Token Theft"))
