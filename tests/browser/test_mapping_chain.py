"""The chain of a field, its values, its rules and its versions, edited in place by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import enter
from tests.browser.serving import Served, serving

FEED = "ip,seen,local,family,score\n" + "".join(
    f"203[.]0[.]113[.]{i}{':8080' if i % 8 == 0 else ''},2026-01-{i % 27 + 1:02},0{i % 9 + 1}/0{i % 8 + 1}/2026,"
    f"{('AsyncRAT', 'asyncrat', 'Cobalt Strike', 'CobaltStrike', 'Remcos')[i % 5]},{i * 3}\n"
    for i in range(1, 41)
)


@pytest.fixture(scope="module")
def product() -> Iterator[Served]:
    with serving() as served:
        served.set_up()
        yield served


def source(served: Served, name: str, text: str = FEED) -> str:
    with served.http() as http:
        made = http.post("/api/v1/tenants/default/sources", json={"text": text, "name": name})
        assert made.status_code == 201, made.text
        return str(made.json()["source"]["id"])


def opened(page: Page, served: Served, source: str, field: str) -> Locator:
    """The chain of a field of the source's draft."""
    enter(page, served)
    page.goto(f"{served.url}/mapping?source={source}&field={field}")
    chain = page.get_by_role("list", name=f"Steps of {field}")
    expect(chain).to_be_visible(timeout=60_000)
    return chain


def test_a_chain_is_followed_edited_in_place_and_mended(
    product: Served, page: Page, complaints: list[str]
) -> None:
    chain = opened(page, product, source(product, "C2"), "value")
    steps = chain.get_by_role("listitem")
    expect(chain).to_contain_text("Refang")
    expect(chain).to_contain_text("5 fail")

    # What the values speak for is one press away, and mends what it says.
    page.get_by_role("button", name="Take off the port: repairs 5 of 5").click()
    expect(chain).not_to_contain_text("fail")
    expect(steps).to_have_count(4)

    # By keyboard: find a step, add it, give its option; what is not complete says so and is not kept.
    page.get_by_role("button", name="Add step").click()
    find = page.get_by_role("combobox", name="Find a step")
    expect(find).to_be_focused()
    find.fill("puts a text after")
    find.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="needs text")).to_be_visible()
    page.get_by_label("Text", exact=True).fill("0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(chain).to_contain_text("changes 40")

    grip = page.get_by_role("button", name="Move Put after, step 4 of 4", exact=False)
    grip.focus()
    grip.press("ArrowUp")
    # Faster than the server answers: each act counts, and means what is seen.
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("button", name="Move Put after, step 2 of 4", exact=False)).to_be_focused()
    page.keyboard.press("Delete")
    expect(chain).not_to_contain_text("Put after")
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    expect(steps.nth(2)).to_contain_text("Put after")
    undo.click()
    expect(steps.nth(3)).to_contain_text("Put after")


def test_a_cell_of_the_output_leads_to_its_row_in_the_chain(
    product: Served, page: Page, complaints: list[str]
) -> None:
    chain = opened(page, product, source(product, "Cells"), "value")
    output = page.get_by_role("table", name="Output")
    page.get_by_role("radio", name=re.compile("^Fail 5")).click()
    cell = output.get_by_role("cell").filter(has_text="203[.]0[.]113[.]16:8080").first
    cell.click()
    expect(page).to_have_url(re.compile("line=17"))
    expect(page.get_by_text("Line 17", exact=True).first).to_be_visible()
    assert chain is not None


def test_values_are_merged_at_once_and_dates_that_read_two_ways_are_decided(
    product: Served, page: Page, complaints: list[str]
) -> None:
    id = source(product, "Words")
    chain = opened(page, product, id, "threat")
    page.get_by_role("button", name="Add step").click()
    page.get_by_role("combobox", name="Find a step").fill("replaces words by others")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Merge all 2").click()
    expect(page.get_by_label("What CobaltStrike becomes")).to_have_value("Cobalt Strike")
    expect(page.get_by_role("button", name=re.compile("^Merge"))).to_have_count(0)
    page.keyboard.press("Escape")
    expect(chain).to_contain_text("changes 16")

    dates = source(product, "Dates", "ip,last_seen\n203.0.113.1,03/04/2026\n203.0.113.2,05/06/2026\n")
    page.goto(f"{product.url}/mapping?source={dates}&field=last_seen")
    expect(page.get_by_text("reads two ways")).to_be_visible(timeout=60_000)
    table = page.locator(".sp-read")
    expect(table).to_contain_text(re.compile(r"0\d/0\d/2026"))
    page.get_by_role("button", name="Month first").click()
    expect(page.get_by_role("list", name="Steps of last_seen")).to_contain_text("Read a date")


def test_a_rule_is_suggested_tried_changed_and_removed_as_a_sentence(
    product: Served, page: Page, complaints: list[str]
) -> None:
    id = source(product, "Rules")
    enter(page, product)
    page.goto(f"{product.url}/mapping?source={id}&field=confidence")
    page.get_by_role("button", name="Accept", exact=True).last.click(timeout=60_000)
    expect(page.get_by_role("list", name="Steps of confidence")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Suggest rules").click()
    page.get_by_role("button", name="Try: confidence is at least 0 and at most 100").click()
    expect(page.get_by_text("Catches 7 of 40 rows (all 40 rows)")).to_be_visible()
    expect(page.get_by_text("confidence 102")).to_be_visible()
    page.get_by_role("button", name="Add the rule").click()
    rule = page.get_by_role("button", name="confidence is at least 0 and at most 100", exact=True)
    rule.click()
    page.get_by_label("To", exact=True).fill("60")
    page.keyboard.press("Enter")
    changed = page.get_by_role("button", name="confidence is at least 0 and at most 60", exact=True)
    expect(changed).to_be_visible()
    expect(page.get_by_text("Catches 20 of 40 rows (all 40 rows)")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Remove the rule")).click()
    expect(changed).to_have_count(0)


def test_versions_differ_in_words_and_a_model_is_proposed_from_a_source(
    product: Served, page: Page, complaints: list[str]
) -> None:
    id = source(product, "Past")
    mapping = {"target": "indicator", "fields": [
        {"field": "id", "from": "ip", "steps": [{"step": "refang"}, {"step": "stix_id"}]},
        {"field": "value", "from": "ip", "steps": [{"step": "refang"}]},
        {"field": "value_type", "from": "ip", "steps": [{"step": "recognise"}]},
    ]}  # fmt: skip
    with product.http() as http:
        base = "/api/v1/tenants/default/pipelines"
        body = {"name": "Past", "source": id, "mappings": [mapping], "comment": "first"}
        made = http.post(base, json=body).json()["pipeline"]["id"]
        mapping["fields"][1] = {"field": "value", "from": "ip", "steps": [{"step": "trim"}]}  # type: ignore[index]
        again = http.put(f"{base}/{made}", json={**body, "comment": "spaces", "based_on": 1})
        assert again.status_code == 200, again.text
    enter(page, product)
    page.goto(f"{product.url}/mapping?pipeline={made}&field=value")
    page.get_by_role("button", name="More", exact=True).click(timeout=60_000)
    page.get_by_role("button", name="Versions, export and impact").click()
    expect(page.get_by_label("What changed")).to_contain_text("“Refang” goes")
    page.get_by_role("button", name="Take back version 1").click()
    expect(page.get_by_text("Version 1 is in the draft now")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()

    page.goto(f"{product.url}/settings?part=target-models&source={id}")
    expect(page.get_by_text("Proposed from all 40 rows")).to_be_visible(timeout=60_000)
    expect(page.get_by_label("Name", exact=True)).to_have_value("past")
    page.get_by_role("button", name="Define it").click()
    expect(page.get_by_text("Past is a target model now.")).to_be_visible()
