"""Every screen, in every state: everybody can use it, nobody else is asked, and its address opens it again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from app.gateway.policy import app_policy
from tests.browser.conftest import enter
from tests.browser.furnishing import Furnished, furnish
from tests.browser.gallery import opened, views
from tests.browser.patience import settle
from tests.browser.readable import violations
from tests.browser.serving import Served, serving

PAGES = (
    "home", "source", "mapping", "run", "quarantine", "explorer", "record", "schedule", "audit", "settings",
    "connect", "wrong",
)  # fmt: skip
STATES = {"full": "default", "empty": "empty", "wide": "wide", "odd": "odd"}
COLOURS = ["color-contrast"]


@dataclass
class Watched:
    """A page, and what it did that it should not have."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def answer(self, answer: Response) -> None:
        if answer.request.is_navigation_request() and answer.request.resource_type == "document":
            policy = answer.headers.get("content-security-policy", "")
            if policy != app_policy().decode():
                self.faults.append(f"{answer.url} came with another policy: {policy!r}")

    def said(self, told: ConsoleMessage) -> None:
        # On a deep link Streamlit first looks for itself below the page's own path.
        stray = re.search(r"/(?!_stcore)[^/]+/_stcore/", told.location.get("url", ""))
        if told.type == "error" and not stray:
            self.faults.append(f"console: {told.text} {told.location.get('url', '')}")


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Served, dict[str, Furnished]]]:
    """One product with a tenant in each state."""
    with serving() as served:
        served.set_up()
        for tenant in STATES.values():
            if tenant != "default":
                with served.http() as http:
                    made = http.post("/api/v1/tenants", json={"id": tenant, "name": tenant})
                    assert made.status_code == 201, made.text
        yield served, {state: furnish(served, state, tenant) for state, tenant in STATES.items()}


@pytest.fixture
def watched(browser: Browser, house: tuple[Served, dict[str, Furnished]]) -> Iterator[Watched]:
    """Ada's page, watched: each request, each answer's policy, each complaint of the browser."""
    served, _ = house
    page = opened(browser, served, 1280, "light")
    seen = Watched(page)
    page.context.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((served.url, served.url.replace("http", "ws"), "data:", "blob:"))
            else seen.faults.append(f"asked {asked.url}")
        ),
    )
    page.on("response", seen.answer)
    page.on("console", seen.said)
    page.on("pageerror", lambda error: seen.faults.append(f"script: {error}"))
    yield seen
    page.context.close()


def look(
    watched: Watched, served: Served, there: Furnished, name: str, address: str, dark: bool = True
) -> list[str]:
    """Open a view in light, then let the system turn dark; what is wrong with it."""
    page = watched.page
    page.emulate_media(color_scheme="light")
    joint = "&" if "?" in address else "?"
    page.goto(f"{served.url}/{address}{joint}tenant={there.tenant}")
    found = [] if settle(page) else ["it never comes to rest"]
    for text in ("Traceback", "encountered an error"):
        if page.get_by_text(text).count():
            found.append(f"it shows “{text}”")
    if page.get_by_role("heading", level=1).count() != 1:
        found.append("it has not one heading")
    found += violations(page)
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth + 196")
    if wide > 1:
        found.append(f"it is {wide} px too wide")
    if dark:
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("getComputedStyle(document.body).colorScheme !== ''")
        page.wait_for_timeout(250)
        found += [f"dark: {each}" for each in violations(page, COLOURS)]
    found += watched.faults
    watched.faults.clear()
    return [f"{name} ({there.tenant}): {each}" for each in found]


@pytest.mark.parametrize("page_name", PAGES)
def test_a_screen_can_be_used_by_everybody_and_asks_nobody_else(
    house: tuple[Served, dict[str, Furnished]], watched: Watched, page_name: str
) -> None:
    served, states = house
    there = states["full"]
    found: list[str] = []
    for name, address in views(there).items():
        if name.startswith(page_name):
            found += look(watched, served, there, name, address)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("state", ["empty", "wide", "odd"])
def test_a_screen_holds_nothing_very_much_and_odd_values(
    house: tuple[Served, dict[str, Furnished]], watched: Watched, state: str
) -> None:
    served, states = house
    there = states[state]
    shown = {
        n: a for n, a in views(there).items() if not n.startswith(("settings", "audit", "connect", "wrong"))
    }
    if state != "empty":
        shown = {n: a for n, a in shown.items() if a.count("=") or n == "home"}
    found: list[str] = []
    for name, address in shown.items():
        # The colours of full screens are looked at with the full tenant.
        found += look(watched, served, there, name, address, dark=state == "empty")
    assert not found, "\n".join(found)


def test_back_goes_back_and_an_address_opens_the_same_again(
    house: tuple[Served, dict[str, Furnished]], page: Page, complaints: list[str]
) -> None:
    served, states = house
    there = states["full"]
    enter(page, served)
    page.goto(f"{served.url}/runs?tenant=default")
    page.get_by_role("table", name="Runs").get_by_role("link", name=re.compile(f"Run {there.run}$")).click()
    expect(page.get_by_role("heading", name=f"Run {there.run}", level=1)).to_be_visible()
    settle(page)
    address = page.url
    page.get_by_role("button", name=re.compile("^Repair")).click()
    expect(page.get_by_role("heading", name="Quarantine", level=1)).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name=f"Run {there.run}", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    again = page.context.new_page()
    again.goto(address)
    expect(again.get_by_role("heading", name=f"Run {there.run}", level=1)).to_be_visible()
    expect(again.get_by_label("Ledger")).to_contain_text("Books balance")

    # The sidebar leads from the studio to the list of what is mapped; one step back leads into the studio again.
    page.goto(f"{served.url}/mapping?pipeline={there.pipeline}")
    studio = page.get_by_role("heading", name="Weekly exchange", level=1)
    expect(studio).to_be_visible()
    settle(page)
    links = page.get_by_test_id("stSidebarNav")
    links.get_by_role("link", name="Mapping").click()
    expect(page.get_by_role("heading", name="Mapping", level=1)).to_be_visible()
    settle(page)
    page.go_back()
    expect(studio).to_be_visible()
    counted = links.locator("a[href*='/quarantine']").evaluate("e => getComputedStyle(e, '::after').content")
    assert "50" in counted
