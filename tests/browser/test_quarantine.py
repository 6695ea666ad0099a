"""Quarantine by mouse and by keyboard: a row is edited and judged, a fix tried, applied to its like, and taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.browser.patience import settle
from tests.browser.serving import Served, serving

WORDS = ("70 %", "80 %", "many", "lots", "lots")
ROWS = "domain,confidence,note\n" + "".join(
    f"d{n}.example,{WORDS[n] if n < len(WORDS) else n},row {n}\n" for n in range(60)
)
RAGGED = "d71.example,6,a,b\n"


def api(house: Served, method: str, path: str, body: object = None) -> object:
    with house.http() as http:
        answer = http.request(method, f"/api/v1/tenants/default{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    """A product with one run: five words for numbers, and a ragged line, in quarantine."""
    with serving() as served:
        served.set_up()
        api(served, "POST", "/sources", {"text": ROWS + RAGGED, "name": "Rows", "id": "rows"})
        found = api(served, "POST", "/suggest", {"source": "rows", "target": "indicator"})
        made = found["suggestions"][0]["mapping"]  # type: ignore[index]
        if not any(field["field"] == "confidence" for field in made["fields"]):
            made["fields"].append({"field": "confidence", "from": "confidence"})
        body = {"name": "Rows", "source": "rows", "mappings": [made]}
        api(served, "POST", "/pipelines", body)
        api(served, "POST", "/pipelines/rows/runs", {"wait": 60})
        yield served


def opened(page: Page, house: Served, path: str = "quarantine") -> None:
    enter(page, house)
    page.goto(f"{house.url}/{path}")
    expect(page.get_by_role("table", name="Rows alike")).to_be_visible()


def test_a_row_is_judged_while_it_is_edited_and_nothing_is_kept_before_it_is_saved(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house)
    expect(page.get_by_label("Original row").locator("mark")).to_have_text("70 %")
    page.keyboard.press("e")
    field = page.get_by_label("confidence", exact=True)
    expect(field).to_be_focused()
    # Letters that are shortcuts of the page are text in here.
    field.press_sequentially("ajr")
    expect(page.get_by_text(re.compile(r"Passes \d+ of \d+ rules: confidence is not"))).to_be_visible()
    expect(page.get_by_text("Cause 1 of")).to_be_visible()
    expect(page.get_by_text("was 70 %")).to_be_hidden()
    field.fill("70")
    expect(
        page.get_by_role("form", name="Edit this row").get_by_text(re.compile(r"^Passes (\d+) of \1 rules$"))
    ).to_be_visible()
    expect(page.get_by_text("was 70 %")).to_be_visible()
    assert all(reject["fixed"] is None for reject in api(house, "GET", "/rejects")["rejects"])  # type: ignore[index,call-overload]


def test_arrows_lead_from_row_to_row_and_letters_from_cause_to_cause(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house)
    mark = page.get_by_label("Original row").locator("mark")
    expect(mark).to_have_text("70 %")
    page.keyboard.press("ArrowDown")
    expect(mark).to_have_text("80 %")
    page.keyboard.press("ArrowUp")
    expect(mark).to_have_text("70 %")
    page.get_by_text("5 lines around it").click()
    expect(page.get_by_label("Original row")).to_contain_text("d5.example,5,row 5")
    page.keyboard.press("j")
    expect(page.get_by_text("Cause 2 of")).to_be_visible()


def test_a_fix_is_shown_on_its_like_applied_to_those_it_repairs_and_taken_back(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house)
    page.get_by_text(re.compile("Take the number: repairs 2 of 5 tried")).click()
    alike = page.get_by_role("table", name="Rows alike")
    expect(alike.get_by_role("row", name=re.compile("80 %"))).to_contain_text(
        re.compile(r"80.*Passes \d+ of \d+ rules")
    )
    expect(alike.get_by_role("row", name=re.compile("many"))).to_contain_text(
        "confidence is not a whole number"
    )
    expect(page.get_by_text("2 of all 5 pass after the fix")).to_be_visible()
    page.get_by_role("button", name="Apply to the 2 it repairs").click()
    expect(
        page.get_by_text(re.compile("2 rejects repaired and replayed in run 2: 2 rows taken"))
    ).to_be_visible()
    expect(page.get_by_text("3 rows this fix does not repair stay as they came")).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(
        page.get_by_text("Taken back: 2 rejects wait again as they came, 2 versions removed.")
    ).to_be_visible()
    expect(alike.get_by_role("row", name=re.compile("80 %"))).to_be_visible()


def test_one_correction_is_applied_to_all_that_hold_the_same(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house)
    alike = page.get_by_role("table", name="Rows alike")
    alike.get_by_text("lots").first.click()
    expect(page.get_by_label("Original row").locator("mark")).to_have_text("lots")
    page.get_by_label("confidence", exact=True).fill("55")
    # The fix that was chosen before repairs as many.
    expect(page.get_by_role("radio", name="The change made here, in all like it")).to_be_checked()
    expect(page.get_by_text("2 of all 5 pass after the fix")).to_be_visible()
    expect(alike.get_by_role("row", name=re.compile("lots")).first).to_contain_text("Passes")
    page.get_by_role("button", name="Apply to the 2 it repairs").click()
    expect(page.get_by_text(re.compile("2 rejects repaired.*2 rows taken"))).to_be_visible()
    # What is left of the cause stays chosen, and one step back from the replay leads here again.
    expect(page.get_by_label("Original row").locator("mark")).to_have_text("70 %")
    page.get_by_role("button", name=re.compile("^See run")).click()
    expect(page.get_by_role("heading", name=re.compile("^Replay"), level=1)).to_be_visible()
    settle(page)
    page.go_back()
    expect(alike).to_be_visible()
    expect(page).not_to_have_url(re.compile("run="))
    mended = api(house, "GET", "/rejects?state=replayed")["rejects"][0]  # type: ignore[index,call-overload]
    page.goto(f"{house.url}/quarantine?reject={mended['id']}")
    expect(page.get_by_role("region", name="Original row")).to_contain_text("lots")
    expect(page.get_by_role("region", name="Repaired row")).to_contain_text("55")
    expect(page.get_by_text("It went through the mapping again.")).to_be_visible()


def test_a_line_is_corrected_as_text_and_another_dismissed_with_a_reason(
    house: Served, page: Page, complaints: list[str]
) -> None:
    opened(page, house)
    causes = page.get_by_role("table", name="Causes")
    causes.get_by_text("too many columns").click()
    line = page.get_by_role("textbox", name="The line")
    expect(line).to_have_value("d71.example,6,a,b")
    line.fill("d99.example,9,whole")
    form = page.get_by_role("form", name="Edit this row")
    expect(form.get_by_text(re.compile(r"^Passes (\d+) of \1 rules$"))).to_be_visible()
    page.get_by_role("button", name="Save and replay this row").click()
    expect(page.get_by_text(re.compile("The row was taken in run"))).to_be_visible()
    expect(causes).not_to_contain_text("too many columns")
    page.get_by_role("table", name="Rows alike").get_by_text("many").click()
    expect(page.get_by_label("Original row").locator("mark")).to_have_text("many")
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_label("Reason").fill("a footer")
    page.get_by_label("Reason").press("Enter")
    page.get_by_role("button", name="Dismiss this row only").click()
    page.get_by_text("Dismissed rows").first.click()
    expect(page.get_by_role("table", name="Dismissed rows")).to_contain_text("a footer (ada)")
