"""Explorer: narrowed down by mouse and keyboard, one record with its relations, SQL, and what an export holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from app.client import Client
from tests.browser.conftest import enter
from tests.browser.readable import violations
from tests.browser.serving import Served, serving

KINDS = ("ip", "domain", "url")
LEVELS = ("TLP:RED", "TLP:GREEN")


def _feed(path: Path) -> Path:
    lines = ["indicator;type;first_seen;confidence;tlp;source"]
    for n in range(120):
        value = {
            "ip": f"203.0.113.{n % 250}",
            "domain": f"host{n}.example",
            "url": f"hxxp://files{n}[.]example/reset",
        }[KINDS[n % 3]]
        lines.append(f"{value};{KINDS[n % 3]};2026-03-{1 + n % 28:02};{n % 100};{LEVELS[n % 2]};feed-{n % 4}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _stix(kind: str, number: int, **more: Any) -> dict[str, Any]:
    at = "2026-01-01T00:00:00.000Z"
    id = f"{kind}--{number:08d}-1111-4111-8111-111111111111"
    return {"type": kind, "spec_version": "2.1", "id": id, "created": at, "modified": at, **more}


def _bundle(path: Path) -> Path:
    malware = _stix("malware", 1, name="Grey Heron", is_family=True, description="Steals <b>words</b>.")
    patterns = [
        _stix("attack-pattern", n, name=f"Way in number {n}", description="A way in.") for n in range(2, 12)
    ]
    links = [
        _stix(
            "relationship",
            100 + n,
            relationship_type="uses",
            source_ref=malware["id"],
            target_ref=pattern["id"],
        )
        for n, pattern in enumerate(patterns)
    ]
    bundle = {
        "type": "bundle",
        "id": "bundle--00000000-0000-4000-8000-000000000001",
        "objects": [malware, *patterns, *links],
    }
    path.write_text(json.dumps(bundle))
    return path


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A product with a feed of indicators and a small bundle in it."""
    folder = tmp_path_factory.mktemp("stocked")
    with serving() as served:
        served.set_up()
        http = served.http()
        http.timeout = httpx.Timeout(120)
        with Client(http, "/api/v1/tenants/default") as client:
            client.ingest(_feed(folder / "feed.csv"), wait=60)
            client.ingest(_bundle(folder / "bundle.json"), wait=60)
        yield served


def test_records_are_narrowed_down_and_the_address_gives_the_same_view(
    stocked: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, stocked)
    page.goto(f"{stocked.url}/explorer?target=indicator")
    records = page.get_by_role("table", name="Records")
    expect(records).to_be_visible()
    assert violations(page) == []

    page.get_by_role("button", name=re.compile("^RED,")).click()
    expect(page.get_by_role("button", name="Remove TLP RED")).to_be_visible()
    expect(page.get_by_text("of 60", exact=False).first).to_be_visible()
    # By keyboard: the focus stays on the value that was chosen.
    strong = page.get_by_role("button", name=re.compile("^high"))
    strong.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=re.compile("Remove Confidence high"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^high"))).to_be_focused()

    bars = page.get_by_role("group", name=re.compile("Records by day"))
    bars.get_by_role("button").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=re.compile("Remove First seen from 2026-03"))).to_be_visible()

    records.get_by_role("button", name="Value", exact=True).click()
    expect(records.locator("[aria-sort=ascending]")).to_have_count(1)
    expect(page).to_have_url(re.compile("order=value"))
    first = records.get_by_role("link").first.inner_text()
    page.goto(page.url)
    expect(records.get_by_role("link").first).to_have_text(first)
    expect(page.get_by_role("button", name="Remove TLP RED")).to_be_visible()

    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_text("of 120", exact=False).first).to_be_visible()
    page.get_by_label("Search").fill("hxxp://files2[.]example")
    page.keyboard.press("Enter")
    expect(records).to_contain_text("http://files2.example/reset")
    expect(records.get_by_role("link")).to_have_count(1)


def test_a_record_shows_its_relations_its_way_back_and_nothing_to_click_on(
    stocked: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, stocked)
    page.goto(f"{stocked.url}/explorer?target=indicator&search=files2.example")
    page.get_by_role("table", name="Records").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("hxxp://files2[.]example/reset")
    expect(page.get_by_role("button", name="Copy live")).to_be_visible()
    expect(page.locator("a[href*='files2.example/reset']")).to_have_count(0)
    expect(page.get_by_label("The line as it was received")).to_contain_text(
        "hxxp://files2[.]example/reset;url"
    )
    # The way back is the view one came from.
    page.get_by_role("link", name="Indicator").click()
    expect(page.get_by_role("button", name=re.compile("Remove contains"))).to_be_visible()

    page.goto(f"{stocked.url}/explorer?target=malware")
    page.get_by_role("table", name="Records").get_by_role("link", name="Grey Heron").click()
    picture = page.get_by_role("group", name="Relations of Grey Heron")
    expect(picture.get_by_role("link")).to_have_count(10)
    assert violations(page) == []
    picture.get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Way in number")
    page.get_by_text("List", exact=True).click()
    expect(page.get_by_role("table", name="Relations")).to_contain_text("uses this")


def test_sql_is_completed_run_refused_with_its_place_cancelled_and_kept(
    stocked: Served, page: Page, complaints: list[str]
) -> None:
    enter(page, stocked)
    page.goto(f"{stocked.url}/explorer?target=indicator&way=sql")
    text = page.get_by_role("combobox", name="SQL")
    text.fill("")
    text.press_sequentially("SELECT tlp, count(*) AS n FROM indi")
    expect(page.get_by_role("option", name=re.compile("indicator"))).to_be_visible()
    text.press("Tab")
    text.press_sequentially("GROUP BY tl")
    text.press("Enter")
    expect(text).to_have_value("SELECT tlp, count(*) AS n FROM indicator GROUP BY tlp ")
    text.press("Control+Enter")
    result = page.get_by_role("table", name="Result")
    expect(result).to_contain_text("varchar")
    expect(result).to_contain_text("60")
    expect(page.get_by_text("all 2 rows", exact=False)).to_be_visible()
    assert violations(page) == []
    page.get_by_text("Chart", exact=True).click()
    expect(page.get_by_role("img", name=re.compile("n by tlp"))).to_be_visible()

    text.fill("SELECT tlpp FROM indicator")
    text.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("tlpp")
    assert text.evaluate("t => t.value.slice(t.selectionStart, t.selectionEnd)") == "tlpp"

    text.fill("SELECT count(*) FROM range(10000000000) a, range(100000) b")
    text.press("Control+Enter")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The query was cancelled.")).to_be_visible()

    page.get_by_text("History", exact=True).click()
    page.get_by_role("table", name="History").get_by_role(
        "link", name=re.compile("^SELECT tlp, count")
    ).click()
    expect(text).to_have_value(re.compile("GROUP BY tlp"))


def test_an_export_says_what_will_be_in_it(stocked: Served, page: Page, complaints: list[str]) -> None:
    enter(page, stocked)
    page.goto(f"{stocked.url}/explorer?target=indicator&where=tlp%3DRED")
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("60 records")).to_be_visible()
    expect(page.get_by_text("have an apostrophe before them", exact=False)).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download CSV").click()
    lines = Path(downloading.value.path()).read_text().splitlines()
    assert len(lines) == 61
    assert downloading.value.suggested_filename == "indicator.csv"


def test_columns_are_kept_for_the_person(stocked: Served, page: Page, complaints: list[str]) -> None:
    enter(page, stocked)
    with stocked.http() as http:
        body = ["source", "value"]
        assert http.put("/api/v1/tenants/default/preferences/columns-indicator", json=body).is_success
    page.goto(f"{stocked.url}/explorer?target=indicator")
    heads = page.get_by_role("table", name="Records").get_by_role("columnheader")
    expect(heads).to_have_count(2)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="As before").click()
    expect(heads).not_to_have_count(2)
