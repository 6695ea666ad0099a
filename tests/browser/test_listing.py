"""The list every page uses, alone in a browser: it changes only what has changed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from app.widgets import listing

DRAW = """data => { const told = (name, value) => window.told.push([name, value]);
  window.draw({ data, parentElement: document.body, setTriggerValue: told }); }"""


def shown(*rows: dict[str, Any], selected: str = "", height: int | None = None) -> dict[str, Any]:
    columns = [vars(listing.Column("Name")), vars(listing.Column("Rows", right=True)), vars(listing.Column())]
    return {
        "name": "Things", "columns": columns, "rows": list(rows), "none": "Nothing.",
        "selected": selected, "height": height, "cell": 320,
    }  # fmt: skip


def row(id: str, number: int = 1, act: str = "Open") -> dict[str, Any]:
    cells = [listing.cell(f"Thing {id}"), listing.figure(number), listing.cell(act, act="open")]
    return vars(listing.Row(id, cells, href=f"#{id}"))


@pytest.fixture
def bare(page: Page) -> Page:
    """A page with nothing but the list's own markup, style and script."""
    page.set_content(f"<style>{listing.CSS}</style>{listing.HTML}")
    script = listing.JS.replace("export default function", "window.told = []; window.draw = function")
    page.evaluate(f"() => {{ {script} }}")
    return page


def test_rows_that_did_not_change_stay_and_keep_focus_and_scroll(bare: Page) -> None:
    rows = [row(str(n)) for n in range(300)]
    bare.evaluate(DRAW, shown(*rows, height=200))
    bare.get_by_role("link", name="Thing 150", exact=True).focus()
    bare.evaluate("document.querySelectorAll('tbody tr').forEach(tr => tr.seen = true)")
    before = bare.evaluate("document.querySelector('.wrap').scrollTop")
    rows[10] = row("10", number=99)
    bare.evaluate(DRAW, shown(row("new"), *rows[:290], height=200))
    assert before > 0
    assert bare.evaluate("document.activeElement.textContent") == "Thing 150"
    assert bare.evaluate("[...document.querySelectorAll('tbody tr')].filter(tr => tr.seen).length") == 290
    assert bare.evaluate("[...document.querySelectorAll('tbody tr')].map(tr => tr.row.id).slice(0, 3)") == [
        "new",
        "0",
        "1",
    ]
    assert bare.get_by_role("row", name="Thing 10 99").count() == 1
    assert bare.get_by_role("row").count() == 292


def test_focus_goes_on_where_its_row_is_drawn_anew_or_gone(bare: Page) -> None:
    bare.evaluate(DRAW, shown(row("1"), row("2"), row("3")))
    bare.get_by_role("button", name="Open").nth(1).focus()
    bare.evaluate(DRAW, shown(row("1"), row("2", number=7, act="Look"), row("3")))
    assert bare.evaluate("document.activeElement.textContent") == "Look"
    bare.evaluate(DRAW, shown(row("1"), row("3")))
    assert bare.evaluate("document.activeElement.closest('tr').row.id") == "3"


def test_up_and_down_go_from_row_to_row(bare: Page) -> None:
    bare.evaluate(DRAW, shown(row("1"), row("2"), row("3")))
    bare.get_by_role("button", name="Open").first.focus()
    bare.keyboard.press("ArrowDown")
    bare.keyboard.press("ArrowDown")
    bare.keyboard.press("ArrowUp")
    bare.keyboard.press("Enter")
    assert bare.evaluate("window.told") == [["acted", {"row": "2", "act": "open"}]]


def test_several_hundred_rows_are_drawn_at_once(bare: Page) -> None:
    wide = [vars(listing.Row(str(n), [listing.cell(f"{n}-{c}") for c in range(3)])) for n in range(600)]
    took = "data => { const at = performance.now(); (%s)(data); document.body.offsetHeight; return performance.now() - at; }"
    first = bare.evaluate(took % DRAW, shown(*wide, height=500))
    again = bare.evaluate(took % DRAW, shown(*wide, selected="300", height=500))
    assert first < 500, first
    assert again < 200, again
    assert bare.evaluate("document.querySelector('.wrap').scrollTop") > 1000
