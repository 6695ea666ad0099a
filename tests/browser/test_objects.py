"""What runs did to objects is seen: on the run's page, on the record's, and in the Explorer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.app.tenant.stix.loading import Item, bundle, malware
from tests.browser.conftest import enter
from tests.browser.furnishing import Api
from tests.browser.serving import Served, serving

GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("box")


@pytest.fixture(scope="module")
def product(box: Path) -> Iterator[Served]:
    with serving(SPIRE_FOLDERS=str(box)) as served:
        served.set_up()
        yield served


def german(number: int, name: str) -> Item:
    return {
        "type": "language-content", "spec_version": "2.1", "id": f"language-content--{number:08d}-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "object_ref": malware(number)["id"], "contents": {"de": {"name": name}},
    }  # fmt: skip


def run(api: Api, pipeline: str) -> int:
    found: dict[str, Any] = api("POST", f"/pipelines/{pipeline}/runs", json={"wait": 60})
    assert found["state"] == "finished", found["error"]
    return int(found["run"])


def test_what_changed_unsaid_vanished_or_waits_is_told_where_one_looks(
    product: Served, page: Page, box: Path
) -> None:
    api = Api(product)
    one = malware(1, name="Bank robber", object_marking_refs=[GREEN])
    bundle(box / "feed.json", one, malware(2, name="Vanishing"), malware(3, name="Altered"), german(1, "Bankräuber"))  # fmt: skip
    made = api("POST", "/sources", json={"connector": "folder", "config": {"path": str(box), "settle_seconds": 0}, "name": "Feed"})  # fmt: skip
    source = made["source"]["id"]
    shape = made["source"]["shape"]
    pipeline = api("POST", "/pipelines", json={"name": "Feed", "source": source, "mappings": shape["mappings"]})["pipeline"]["id"]  # fmt: skip

    # Whoever adds the source says that it gives all it holds.
    enter(page, product)
    page.goto(f"{product.url}/sources?source={source}")
    page.get_by_text("Every reading holds all there is").click()
    until = time.monotonic() + 60
    while not api("GET", f"/sources/{source}")["source"]["shape"]["options"].get("complete"):
        assert time.monotonic() < until, "the source was not changed"
        page.wait_for_timeout(50)
    run(api, pipeline)
    bundle(
        box / "feed.json", one, malware(3, name="Altered", description="new"), german(1, "Bankräuber"),
        malware(4, name="Lonely", created_by_ref="identity--00000009-0000-4000-8000-000000000000"),
    )  # fmt: skip
    second = run(api, pipeline)

    page.goto(f"{product.url}/runs?run={second}")
    expect(page.get_by_text("no longer in the source, and kept")).to_be_visible()
    expect(page.get_by_text("1 changed without a new version")).to_be_visible()
    page.get_by_text("Vanishing").click()
    expect(page.get_by_role("heading", name="Vanishing")).to_be_visible()
    expect(page.get_by_text("no longer in feed.json since")).to_be_visible()

    page.goto(f"{product.url}/explorer?target=malware")
    expect(page.get_by_text("identity--00000009").first).to_be_visible()
    page.get_by_text("identity--00000009").first.click()
    expect(page.get_by_role("heading", name="Lonely")).to_be_visible()
    expect(page.get_by_text("waits for 1 object")).to_be_visible()

    page.goto(f"{product.url}/explorer?target=malware&search=robber")
    page.get_by_text("Bank robber").first.click()
    expect(page.get_by_text("name: Bankräuber")).to_be_visible()
    expect(page.get_by_text("TLP:GREEN").first).to_be_visible()
