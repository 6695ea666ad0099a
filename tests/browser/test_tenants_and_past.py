"""Tenants, deep links, models, keys, the audit log, texts of pipelines and what leaves the store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving

NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ROWS = "domain,confidence\n" + "".join(
    f"{name}.example,{'lots' if place in (1, 2) else 40 + 3 * place}\n" for place, name in enumerate(NAMES)
)


def api(
    house: Served, method: str, path: str, body: object = None, tenant: str = "default"
) -> httpx.Response:
    """One request of Ada's to a tenant's API."""
    with house.http() as http:
        answer = http.request(method, f"/api/v1/tenants/{tenant}{path}", json=body)
    assert answer.is_success, answer.text
    return answer


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product with a pipeline that has run: ten records in, two rows in quarantine for the same cause."""
    with serving() as served:
        served.set_up()
        api(served, "POST", "/sources", {"text": ROWS, "name": "Rows", "id": "rows"})
        mapping = api(served, "POST", "/suggest", {"source": "rows", "target": "indicator"}).json()
        body = {"name": "Rows", "source": "rows", "mappings": [mapping["suggestions"][0]["mapping"]]}
        made = api(served, "POST", "/pipelines", body).json()["pipeline"]["id"]
        assert made == "rows"
        api(served, "POST", "/pipelines/rows/runs?wait=60", {})
        yield served


def goto(page: Page, house: Served, path: str) -> None:
    enter(page, house)
    page.goto(f"{house.url}/{path}")


def test_a_made_tenant_is_opened_and_its_links_lead_back_to_it(
    house: Served, page: Page, complaints: list[str]
) -> None:
    goto(page, house, "settings?part=tenants")
    page.get_by_label("Identifier", exact=True).fill("north")
    page.get_by_label("Name", exact=True).fill("North desk")
    page.get_by_role("button", name="Make the tenant").click()
    expect(page.get_by_text("with a key of its own.")).to_be_visible()
    page.get_by_role("table", name="Tenants").get_by_role("button", name="Open").click()
    expect(page).to_have_url(re.compile("tenant=north"))
    api(house, "POST", "/sources", {"text": "ip\n192.0.2.1\n", "name": "Only north", "id": "only"}, "north")
    page.get_by_test_id("stSidebar").get_by_text("Sources").click()
    expect(page.get_by_role("table", name="Sources")).to_contain_text("Only north")
    expect(page).to_have_url(re.compile("tenant=north"))
    other = page.context.new_page()
    other.goto(f"{house.url}/sources?source=only&tenant=north")
    expect(other.get_by_role("heading", name="Only north")).to_be_visible()
    other.get_by_role("link", name="Sources").last.click()
    expect(other.get_by_role("table", name="Sources")).to_contain_text("Only north")
    other.get_by_label("Tenant", exact=True).click()
    other.get_by_role("option", name="Default").click()
    expect(other.get_by_role("table", name="Sources")).to_contain_text("Rows")
    expect(other).to_have_url(re.compile("tenant=default"))


def test_a_link_to_a_tenant_of_others_says_so(house: Served, page: Page, complaints: list[str]) -> None:
    goto(page, house, "sources?tenant=elsewhere")
    expect(page.get_by_role("alert")).to_contain_text("You have no role in this tenant. elsewhere")


def test_a_page_whose_sign_in_ended_leads_to_sign_in_and_back(house: Served, page: Page) -> None:
    goto(page, house, "sources?source=rows&tenant=default")
    expect(page.get_by_role("heading", name="Rows", level=1)).to_be_visible()
    cookie = next(c["value"] for c in page.context.cookies() if c["name"] == "spire")
    with house.http(cookie) as http:
        assert http.post("/auth/logout").status_code == 303
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("ended")).to_be_visible()
    page.get_by_label("Account").fill("ada")
    page.locator("input[type=password]").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Rows", level=1)).to_be_visible()


def test_records_leave_as_csv_and_as_stix(
    house: Served, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    goto(page, house, "explorer?target=indicator")
    for title, name in (("CSV", "indicator.csv"), ("STIX 2.1 bundle", "indicator.json")):
        page.get_by_role("button", name="Export").click()
        page.get_by_role("dialog").get_by_text(title, exact=True).click()
        with page.expect_download() as coming:
            page.get_by_role("link", name=f"Download {title}").click()
        coming.value.save_as(tmp_path / name)
        page.keyboard.press("Escape")
    assert "one.example" in (tmp_path / "indicator.csv").read_text()
    bundle = json.loads((tmp_path / "indicator.json").read_text())
    assert bundle["type"] == "bundle"
    assert any("one.example" in str(each.get("pattern")) for each in bundle["objects"])


def test_a_select_is_answered_and_anything_else_refused(
    house: Served, page: Page, complaints: list[str]
) -> None:
    goto(page, house, "explorer?target=indicator")
    page.get_by_text("SQL", exact=True).click()
    box = page.get_by_role("combobox", name="SQL")
    box.fill("SELECT value, confidence FROM records.indicator ORDER BY confidence DESC")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("table", name="Result")).to_contain_text("four.example")
    box.fill("DROP TABLE runs")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("SELECT")
    expect(page.get_by_role("table", name="Result")).to_have_count(0)


def test_a_pipeline_is_exported_as_yaml_and_imported_again(
    house: Served, page: Page, complaints: list[str]
) -> None:
    text = api(house, "GET", "/pipelines/rows/export?format=yaml").text
    goto(page, house, "mapping?pipeline=rows")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Versions, export and impact").click()
    page.get_by_role("tab", name="YAML and SQL").click()
    page.get_by_text("The pipeline as it is saved").click()
    page.get_by_label("Import YAML or SQL").fill(text.replace("name: Rows", "name: Rows again", 1))
    page.get_by_role("button", name="Import as a new version").click()
    expect(page.get_by_text(re.compile("^Imported Rows again"))).to_be_visible()


def test_a_draft_is_edited_as_text_and_narrowed_from_a_menu_that_closes(
    house: Served, page: Page, complaints: list[str]
) -> None:
    goto(page, house, "mapping?pipeline=rows")
    more = page.get_by_role("button", name="More", exact=True)
    more.click()
    page.get_by_role("button", name="Versions, export and impact").click()
    page.get_by_role("tab", name="YAML and SQL").click()
    # The menu does not stand over what it opened.
    expect(page.get_by_role("button", name="Name, rows and limits")).to_have_count(0)
    text = page.get_by_role("textbox", name="The draft as YAML")
    expect(text).to_have_value(re.compile("target: indicator"))
    text.fill(text.input_value() + "  rules:\n  - {id: sure, operator: required, field: confidence}\n")
    page.get_by_role("button", name="Take it into the draft").click()
    expect(page.get_by_text("The text is in the draft now")).to_be_visible()
    expect(page.get_by_role("button", name="confidence has a value", exact=True)).to_be_visible()

    more.click()
    page.get_by_role("button", name="Name, rows and limits").click()
    where = page.get_by_role("textbox", name="Only rows where")
    where.fill("kind = 'x'")
    page.get_by_role("button", name="Take it into the draft").click()
    expect(page.get_by_text("The source has no field kind.")).to_be_visible()
    where.fill("domain <> 'one.example'")
    page.get_by_role("textbox", name="Name", exact=True).fill("Rows but one")
    page.get_by_role("button", name="Take it into the draft").click()
    expect(page.get_by_role("heading", level=1, name="Rows but one")).to_be_visible()
    expect(page.get_by_role("radio", name="Left out 1")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1, name=re.compile("^Rows( again)?$"))).to_be_visible()


def test_an_api_key_is_shown_once(house: Served, page: Page, complaints: list[str]) -> None:
    goto(page, house, "settings?part=api-keys")
    page.get_by_label("What it is for").fill("nightly")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("It is shown now and never again.")).to_be_visible()
    key = page.get_by_test_id("stCode").inner_text().strip()
    answer = httpx.get(
        f"{house.url}/api/v1/tenants/default/sources", headers={"authorization": f"Bearer {key}"}, timeout=60
    )
    assert answer.status_code == 200
    page.reload()
    expect(page.get_by_role("table", name="API keys")).to_contain_text("nightly")
    expect(page.get_by_text(key)).to_have_count(0)


def test_the_audit_chain_is_verified(house: Served, page: Page, complaints: list[str]) -> None:
    goto(page, house, "audit")
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text(re.compile(r"The chain holds: \d+ events"))).to_be_visible()
    page.get_by_text("The installation", exact=True).click()
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text(re.compile(r"The chain holds: \d+ events"))).to_be_visible()


def test_a_model_of_ones_own_is_defined(house: Served, page: Page, complaints: list[str]) -> None:
    goto(page, house, "settings?part=target-models")
    page.get_by_text("New target model").click()
    page.get_by_label("Begin with", exact=True).click()
    page.get_by_role("option", name="Rows", exact=True).click()
    expect(page.get_by_text("Proposed from")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("vendor-ticket")
    page.get_by_label("Title", exact=True).fill("Vendor ticket")
    page.get_by_label("Title", exact=True).press("Enter")
    page.get_by_role("button", name="Define it").click()
    expect(page.get_by_text("Vendor ticket is a target model now.")).to_be_visible()
    expect(page.get_by_role("table", name="Target models")).to_contain_text("vendor-ticket")


def test_a_schedule_made_in_the_browser_fires_and_tells_its_past(
    house: Served, page: Page, complaints: list[str]
) -> None:
    goto(page, house, "schedules?schedule=new&pipeline=rows")
    page.get_by_text("At an interval").click()
    page.get_by_label("Unit").click()
    page.get_by_role("option", name="seconds").click()
    page.get_by_role("spinbutton", name="Every", exact=True).fill("10")
    page.get_by_role("spinbutton", name="Every", exact=True).press("Enter")
    expect(page.get_by_text("every 10 seconds")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    history = page.get_by_role("table", name="History")
    expect(history).to_contain_text("finished", timeout=45_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    history.get_by_role("link").first.click()
    expect(page.get_by_label("Ledger")).to_contain_text("Books balance")
