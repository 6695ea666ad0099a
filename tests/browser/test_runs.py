"""Runs in the browser: reviewed before, watched and cancelled under way, read, found again and undone after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving

FEW = "indicator,type,confidence\n" + "".join(
    f"203.0.113.{n},{'test' if n == 9 else 'ip'},{'lots' if n in (3, 4) else n}\n" for n in range(60)
)
MANY = 1_200_000


def api(house: Served, method: str, path: str, body: Any = None, **options: Any) -> Any:
    with house.http() as http:
        answer = http.request(
            method, f"/api/v1/tenants/default{path}", json=body, **({"timeout": 300} | options)
        )
    assert answer.is_success, answer.text
    return answer.json()


def pipeline(house: Served, id: str, source: dict[str, Any], where: str | None = None) -> None:
    api(house, "POST", "/sources", {**source, "name": id.title(), "id": id})
    mapping = api(house, "POST", "/suggest", {"source": id, "target": "indicator"})["suggestions"][0][
        "mapping"
    ]
    if not any(field["field"] == "confidence" for field in mapping["fields"]):
        mapping["fields"].append({"field": "confidence", "from": "confidence"})
    api(
        house,
        "POST",
        "/pipelines",
        {"name": id.title(), "source": id, "mappings": [{**mapping, "where": where}]},
    )


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product with a small pipeline that ran twice, once failing, and a large one that has not run."""
    with serving() as served:
        served.set_up()
        pipeline(served, "few", {"text": FEW}, where="\"type\" <> 'test'")
        api(served, "POST", "/pipelines/few/runs", {"wait": 60})
        made = api(served, "GET", "/pipelines/few")["pipeline"]
        strict = {name: made[name] for name in ("name", "source", "mappings")} | {"error_threshold": 0.0}
        # Other words, for rejects that come again are told of the newest run.
        rows = FEW.replace("lots", "plenty") + "".join(f"198.51.100.{n},ip,{n}\n" for n in range(100))
        changed = api(served, "POST", "/sources", {"text": rows, "name": "More", "id": "more"})
        api(served, "PUT", "/pipelines/few", {**strict, "source": changed["source"]["id"]})
        api(served, "POST", "/pipelines/few/runs", {"wait": 60})
        yield served


def opened(page: Page, house: Served, path: str) -> None:
    enter(page, house)
    page.goto(f"{house.url}/{path}")


def test_a_run_tells_its_books_stages_lineage_and_log(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house, "runs?run=1")
    ledger = page.get_by_label("Ledger", exact=True)
    expect(ledger).to_contain_text("Books balance")
    expect(
        ledger.get_by_role("img", name=re.compile("60 rows read: 57 inserted.*2 rejected.*1 filtered"))
    ).to_be_visible()
    stages = page.get_by_role("table", name="Stages")
    expect(stages).to_contain_text("Map and check")
    expect(stages).to_contain_text("rows/s")
    causes = page.get_by_role("table", name="Rejects by cause")
    expect(causes).to_contain_text("“lots”")
    expect(
        page.get_by_text(re.compile("Removes the 57 versions it wrote: 57 records will be gone"))
    ).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download").click()
    assert coming.value.path().read_text() == FEW
    page.get_by_text(re.compile(r"^Log, \d+ lines$")).click()
    expect(page.get_by_text("Ended as finished; the books balance.")).to_be_visible()
    page.get_by_role("link", name="indicator", exact=True).click()
    expect(page).to_have_url(re.compile("explorer.*run=1"))


def test_a_failed_run_says_why_in_plain_words_and_the_list_is_narrowed(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house, "runs")
    runs = page.get_by_role("table", name="Runs")
    expect(runs.get_by_role("row", name=re.compile("Run 2"))).to_contain_text("More rows were rejected than")
    page.get_by_label("State").click()
    page.get_by_role("option", name="Finished").click()
    expect(runs).not_to_contain_text("Run 2")
    expect(page).to_have_url(re.compile("state=finished"))
    page.reload()
    expect(runs).to_contain_text("Run 1")
    expect(runs).not_to_contain_text("Run 2")
    page.goto(f"{house.url}/runs?run=2")
    expect(page.get_by_role("alert")).to_contain_text("What it had written was taken back")


def test_a_dry_run_is_reviewed_and_then_run(house: Served, page: Page, complaints: list[str]) -> None:
    made = api(house, "GET", "/pipelines/few")["pipeline"]
    plain = {name: made[name] for name in ("name", "source", "mappings")}
    api(house, "PUT", "/pipelines/few", {**plain, "error_threshold": None})
    dry = api(house, "POST", "/pipelines/few/runs", {"dry_run": True})["run"]
    opened(page, house, f"runs?run={dry}")
    expect(page.get_by_text("dry run on all 160 rows; nothing was kept")).to_be_visible()
    rejected = page.get_by_role("table", name="Examples of rejected")
    expect(rejected).to_contain_text("203.0.113.3,ip,plenty")
    expect(rejected).to_contain_text("confidence is not a whole number")
    page.get_by_text(re.compile(r"^Filtered 1$")).click()
    expect(page.get_by_role("table", name="Examples of filtered")).to_contain_text("203.0.113.9")
    expect(page.get_by_role("table", name="What the rules would catch")).to_contain_text("2")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Finished, books balance")).to_be_visible()


def test_a_run_under_way_is_watched_cancelled_and_ends_in_its_own_page(
    house: Served, page: Page, complaints: list[str]
) -> None:
    with house.http() as http:
        rows = "indicator,confidence\n" + "".join(
            f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255},{n % 100}\n" for n in range(MANY)
        )
        sent = http.post(
            "/api/v1/tenants/default/payloads",
            params={"name": "many.csv"},
            content=rows.encode(),
            timeout=300,
        )
    pipeline(house, "many", {"payload": sent.json()["payload"]})
    enter(page, house)
    number = api(house, "POST", "/pipelines/many/runs", {"wait": 0})["run"]
    page.goto(f"{house.url}/runs?run={number}")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("group", name="Progress")).to_contain_text("rows read")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("Cancelled, what it committed stays")).to_be_visible(timeout=60_000)
    expect(page.get_by_label("Ledger", exact=True)).to_contain_text("Books balance")
    page.get_by_text(re.compile(r"^Log, \d+ lines$")).click()
    expect(page.get_by_text("ada asked for it to be cancelled.")).to_be_visible()
