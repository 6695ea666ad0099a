"""The main job by keyboard alone: no mouse is touched, focus can always be seen, and no rerun takes it away."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.patience import chosen_by_key, settle
from tests.browser.serving import PASSWORD, Served

# What has the focus, through shadow roots; and whether one can see that it has it.
FOCUSED = """() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement; return e; }"""
SEEN = """e => {
  const around = [e, e.parentElement, e.closest('label'), e.closest('[role=group]'), e.closest('[data-testid$=RootElement]')];
  return around.filter(Boolean).some(x => { const s = getComputedStyle(x);
    return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none' || x.matches(':focus-within') && /rgb\\((?:52, 80, 214|71, 100, 234)\\)/.test(s.borderColor); });
}"""
MOST = 200


def reach(page: Page, wanted: Locator) -> None:
    """Tab to a control as a person does, and see that it shows the focus."""
    expect(wanted.first).to_be_visible()
    settle(page)
    for _ in range(MOST):
        if wanted.first.evaluate(f"e => ({FOCUSED})() === e"):
            assert wanted.first.evaluate(SEEN), "the focus can't be seen here"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by {MOST} tabs")


def press(page: Page, wanted: Locator) -> None:
    reach(page, wanted)
    page.keyboard.press("Enter")


def held(page: Page) -> bool:
    """Whether something on the page has the focus."""
    settle(page)
    return bool(page.evaluate(f"({FOCUSED})() !== document.body"))


def test_the_main_job_is_done_by_keyboard_alone(
    product: Served, page: Page, complaints: list[str], messy: Path
) -> None:
    product.set_up()
    page.goto(f"{product.url}/sign-in")
    reach(page, page.get_by_label("Account"))
    page.keyboard.type("ada")
    reach(page, page.locator("input[type=password]"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Bring in your first feed")).to_be_visible()

    chosen = page.locator("input[type=file]")
    chosen_by_key(page, lambda: reach(page, chosen)).set_files(messy)
    expect(page.get_by_role("heading", name="messy.csv")).to_be_visible()
    press(page, page.get_by_role("button", name="Map", exact=True))

    expect(page.get_by_role("table", name="Output")).to_contain_text("203.0.113.7", timeout=60_000)
    # From the target field at hand down to the one that waits, and into its row.
    reach(page, page.locator("li.r[data-n=id] .f"))
    waiting = page.locator("li.r[data-n=indicator_types]")
    for _ in range(MOST):
        if waiting.locator(".f").evaluate(f"e => ({FOCUSED})() === e"):
            break
        page.keyboard.press("ArrowDown")
    press(page, waiting.get_by_role("button", name=re.compile("^Accept")))
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    assert held(page), "accepting a suggestion lost the focus"
    page.keyboard.press("s")
    save = page.get_by_role("button", name=re.compile("^Save version"))
    press(page, save)
    expect(page.get_by_text("Saved.")).to_be_visible()
    press(page, page.get_by_role("button", name="Run", exact=True))
    expect(page.get_by_text("Finished, books balance")).to_be_visible()

    press(page, page.get_by_role("button", name=re.compile("^Repair")))
    cause = page.get_by_role("table", name="Causes").get_by_role("link", name=re.compile("confidence"))
    press(page, cause)
    assert held(page), "choosing a cause lost the focus"
    expect(page.get_by_label("Original row").first).to_contain_text("many")
    page.keyboard.press("e")
    reach(page, page.get_by_label("Confidence", exact=True))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("55")
    press(page, page.get_by_role("button", name="Save and replay this row"))
    expect(page.get_by_text(re.compile("taken in run|replayed"))).to_be_visible()
