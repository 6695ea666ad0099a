"""The door and the frame in a real browser: its own policy against scripts lets everything of ours through."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.app.conftest import PASSWORD, Served


def test_the_app_opens_from_the_set_up_link_under_its_policy_and_asks_nobody_else(
    unserved: Served, browser: Browser
) -> None:
    unserved.start()
    complaints: list[str] = []
    asked: set[str] = set()
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.add(request.url.split("/")[2]) if "//" in request.url else None)
    page.goto(f"{unserved.url}/setup?token={unserved.token}")
    for label, text in (("Account", "ada"), ("Your name", "Ada"), ("Password again", PASSWORD)):
        page.get_by_label(label).fill(text)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_test_id("stSidebar").get_by_text("Ada").wait_for(timeout=20_000)
    assert page.context.cookies()[0]["httpOnly"]
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert asked == {unserved.url.split("/")[2]}
    assert not [text for text in complaints if "Content Security Policy" in text or "CSP" in text]
    page.close()
