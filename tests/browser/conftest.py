"""A product per module, and pages that are watched: nobody else is asked, no policy is broken, no trace is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.patience import have_patience
from tests.browser.serving import PASSWORD, Served, serving

expect.set_options(timeout=20_000)
have_patience()

MESSY = """\
# Shared at the exchange; documentation values only
Indicator;Type;First seen;Confidence;TLP;Comment
203.0.113[.]7;ip;2026-01-02;85;TLP:AMBER;first
hxxp://login.example[.]com/reset;url;2026-01-03;70;green;second
44D88612FEA8A8F36DE82E1278ABB02F;md5;2026-01-04;90;WHITE;"a; quoted one"
login.example.org;domain;2026-01-05;60;TLP:GREEN;fourth
198.51.100.23;ip;2026-01-06;many;amber;not a number
203.0.113[.]9;ip;2026-01-07
2001:db8::1;ip;2026-01-08;40;TLP:RED;seventh
203.0.113.7;ip;2026-01-02;85;TLP:AMBER;first
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Served]:
    """The whole product, fresh, with nobody in it yet."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def reaching() -> Iterator[Served]:
    """The product with ada in it, and with leave to ask servers on this machine."""
    with serving(SPIRE_URL_ALLOW="127.0.0.1") as served:
        served.set_up()
        yield served


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """What the browser complains about. A broken security policy or a script's error fails the test."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(f"script: {error}"))
    page.on("console", lambda told: heard.append(told.text) if told.type == "error" else None)
    yield heard
    # On a deep link Streamlit first looks for itself below the page's own path.
    bad = [text for text in heard if "404" not in text and "WebSocket" not in text]
    assert not bad, bad
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_text("encountered an error").count() == 0


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """A CSV of indicators as they come: ten data lines, one of them too short, one with a word for a number."""
    path = tmp_path / "messy.csv"
    path.write_text(MESSY)
    return path


def sign_in(page: Page, served: Served, login: str = "ada") -> None:
    """Sign in through the form."""
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("Account").fill(login)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("stSidebar").get_by_text("Sign out")).to_be_visible()


def enter(page: Page, served: Served, login: str = "ada") -> None:
    """Be signed in without the form, where a test is about something else."""
    page.context.add_cookies([{"name": "spire", "value": served.sign_in(login), "url": served.url}])


def drop(page: Page, *paths: Path) -> None:
    """Hand files to the drop zone as a person choosing them would."""
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
