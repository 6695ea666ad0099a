"""A source that has changed, in the browser: the card, the mapping that follows, taken, and where the source stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.furnishing import Api
from tests.browser.serving import Served, serving


def feed(names: str, begin: int, count: int) -> bytes:
    lines = [f"203.0.{n >> 8}.{n & 255},{n % 100}" for n in range(begin, begin + count)]
    return "\n".join([names, *lines]).encode() + b"\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as served:
        served.set_up()
        yield served


def test_a_renamed_column_is_followed_in_one_click_after_its_preview(served: Served, page: Page) -> None:
    api = Api(served)
    payload = api(
        "POST", "/payloads", params={"name": "partner.csv"}, content=feed("indicator,confidence", 0, 300)
    )
    api("POST", "/sources", json={"payload": payload["payload"], "name": "partner.csv", "id": "partner"})
    mapping = api("POST", "/suggest", json={"source": "partner", "target": "indicator"})["suggestions"][0][
        "mapping"
    ]
    contract = {"vanished_fields": "discard row"}
    body = {
        "name": "Partner",
        "id": "partner",
        "source": "partner",
        "mappings": [mapping],
        "contract": contract,
    }
    api("POST", "/pipelines", json=body)
    api("POST", "/pipelines/partner/runs", json={"wait": 120})
    later = api("POST", "/payloads", params={"name": "partner.csv"}, content=feed("ioc,confidence", 500, 200))
    api("PATCH", "/sources/partner", json={"payload": later["payload"]})
    run = api("POST", "/pipelines/partner/runs", json={"wait": 120})["run"]

    enter(page, served)
    page.goto(f"{served.url}/runs?run={run}")
    expect(page.get_by_role("heading", name="The source has changed")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile(r"indicator is called ioc now, \d+ % likely"))).not_to_have_count(0)
    page.get_by_role("button", name="See the mapping that follows").click()
    expect(page.get_by_text("200 of 200 rejects of the run would be taken")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Take it and replay 200 rejects").click()
    expect(page.get_by_text("200 rejects replayed: 200 taken")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("The mapping follows it, by ada.")).to_be_visible()

    page.goto(f"{served.url}/sources?source=partner")
    expect(page.get_by_text("An uploaded file has no position")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="The source has changed")).to_have_count(0)
    assert api("GET", "/pipelines/partner")["pipeline"]["contract"]["vanished_fields"] == "discard row"
