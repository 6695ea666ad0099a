"""Two people on one field, lines taken up at either end, suggestions taken at once, and a mapping kept as a template."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.client import Client
from tests.browser.conftest import enter
from tests.browser.patience import settle
from tests.browser.serving import Served, serving

FEED = "dst_ip,seen,family,points\n" + "".join(
    f"192[.]0[.]2[.]{n},2026-11-{1 + n % 28:02d},{('AsyncRAT', 'QakBot', 'Remcos')[n % 3]},{40 + n % 50}\n"
    for n in range(1, 60)
)


@pytest.fixture(scope="module")
def product() -> Iterator[Served]:
    with serving() as served:
        served.set_up()
        served.add_person("ben", "engineer")
        yield served


def client(served: Served, login: str = "") -> Client:
    return Client(served.http(served.sign_in(login) if login else ""), "/api/v1/tenants/default")


def field(page: Page, side: str, name: str) -> Locator:
    """A field of the board, once nothing moves any more."""
    settle(page)
    found = page.locator(f'.board .{side} li.r[data-n="{name}"]')
    found.scroll_into_view_if_needed()
    return found


def says(page: Page, name: str, text: str) -> None:
    """The target field tells that it is so mapped."""
    expect(field(page, "tgt", name).locator(".f")).to_have_attribute("aria-label", re.compile(text))


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + 40, box["y"] + box["height"] / 2


def connect(page: Page, start: Locator, end: Locator) -> None:
    """Drag from a field to a field, once more where the board was being drawn under the hand."""
    said = page.locator(".board .live")
    before = said.text_content()
    for _ in range(3):
        pull(page, middle(start), middle(end))
        for _ in range(10):
            if said.text_content() != before:
                return
            page.wait_for_timeout(100)


def pull(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag as a hand does, in several moves."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()


def line_end(page: Page, name: str) -> tuple[float, float]:
    """Where a line meets its target field: at the gutter's right edge."""
    gutter, row = page.locator(".board .gut").bounding_box(), field(page, "tgt", name).bounding_box()
    assert gutter is not None
    assert row is not None
    return gutter["x"] + gutter["width"] - 8, row["y"] + row["height"] / 2


def test_of_two_people_on_one_field_neither_is_written_over_until_one_says_so(
    product: Served, browser: Browser
) -> None:
    made = client(product).create_source(text=FEED, name="one-field.csv").source.id
    subject = f"source:{made}"
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    enter(page, product)
    page.goto(f"{product.url}/mapping?source={made}")
    expect(page.get_by_role("table", name="Output")).to_be_visible()
    connect(page, field(page, "src", "family"), field(page, "tgt", "name"))
    says(page, "name", "from family")
    expect(page.get_by_text(re.compile("changed by you"))).to_be_visible()

    def theirs() -> dict[str, object]:
        """What stands on the server for the field."""
        content = client(product).draft(subject).content or {}
        return next((f for f in content["mappings"][0]["fields"] if f["field"] == "name"), {})

    # Ben is faster by a moment: Ada's page, kept from hearing of it, maps the same field otherwise.
    settle(page)
    page.route("**/drafts/**/here", lambda route: route.abort())
    with client(product, "ben") as api:
        head = api.draft(subject)
        content = head.content or {}
        mapped = next(f for f in content["mappings"][0]["fields"] if f["field"] == "name")
        mapped.clear()
        mapped |= {"field": "name", "constant": "Ben's word"}
        api.put_draft(subject, content, head.revision)
    connect(page, field(page, "src", "points"), field(page, "tgt", "name"))

    news = page.get_by_role("status").filter(has_text="ben changed this")
    expect(news).to_contain_text("Your change of name was not kept.")
    says(page, "name", "Ben's word")
    assert theirs() == {"field": "name", "constant": "Ben's word"}

    page.get_by_role("button", name="Use mine").click()
    says(page, "name", "from points")
    expect(page.get_by_role("button", name="Use mine")).to_have_count(0)
    assert theirs()["from"] == "points"
    # Ben's word is one step back.
    page.get_by_role("button", name="Undo").click()
    says(page, "name", "Ben's word")
    page.context.close()


def test_lines_are_taken_at_either_end_suggestions_at_once_and_the_whole_is_kept_as_a_template(
    product: Served, page: Page, complaints: list[str]
) -> None:
    with client(product) as api:
        made = api.create_source(text=FEED, name="lines.csv").source.id
        mapping = {"target": "indicator", "fields": []}
        content = {
            "pipeline": None, "version": None, "name": "lines.csv", "source": made, "error_threshold": None,
            "mappings": [mapping], "notes": [],
        }  # fmt: skip
        api.put_draft(f"source:{made}", content, 0)
    page.set_viewport_size({"width": 1280, "height": 800})
    enter(page, product)
    page.goto(f"{product.url}/mapping?source={made}")

    # What is surely right is taken in one act, which can be undone in one.
    sure = page.get_by_role("button", name=re.compile(r"^Accept \d+ at 90 %"))
    expect(sure).to_be_visible()
    many = int(re.findall(r"\d+", sure.inner_text())[0])
    assert many >= 2
    sure.click()
    says(page, "value", "from dst_ip")
    expect(sure).to_be_hidden()
    expect(page.get_by_text(re.compile("changed by you"))).to_be_visible()
    assert len((client(product).draft(f"source:{made}").content or {})["mappings"][0]["fields"]) == many
    page.get_by_role("button", name="Undo").click()
    expect(sure).to_be_visible()
    page.get_by_role("button", name="Redo").click()
    says(page, "value", "from dst_ip")

    # From a target field to a source field.
    connect(page, field(page, "tgt", "name"), field(page, "src", "family"))
    says(page, "name", "from family")
    # A line's end put elsewhere moves it; put nowhere, the line is gone.
    pull(page, line_end(page, "name"), middle(field(page, "tgt", "status")))
    says(page, "status", "from family")
    says(page, "name", "not mapped|suggested")
    start = line_end(page, "status")
    gutter = page.locator(".board .gut").bounding_box()
    assert gutter is not None
    pull(page, start, (gutter["x"] + gutter["width"] / 2, start[1] + 30))
    says(page, "status", "not mapped|suggested")

    page.get_by_role("button", name="More").click()
    page.get_by_label("Keep as a template, under the name").fill("Four columns")
    page.get_by_role("button", name="Keep as a template").click()
    expect(page.get_by_text("Four columns is a template now.")).to_be_visible()
    assert "Four columns" in [view.template.name for view in client(product).templates()]

    # A source that nothing fits by itself begins with it.
    with client(product) as api:
        odd = api.create_source(
            text="points,family,dst_ip,seen\n1,x,192.0.2.1,2026-01-01\n", name="odd.csv"
        ).source.id
        api.put_draft(f"source:{odd}", content | {"name": "odd.csv", "source": odd, "mappings": []}, 0)
    page.goto(f"{product.url}/mapping?source={odd}")
    template = page.get_by_role("combobox", name="Template")
    template.click()
    page.get_by_role("option", name="Four columns").click()
    expect(page.get_by_text(re.compile(rf"Feeds {many} target fields"))).to_be_visible()
    page.get_by_role("button", name="Begin with it").click()
    says(page, "value", "from dst_ip")
