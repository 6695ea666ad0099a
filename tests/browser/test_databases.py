"""A table is chosen from what the server holds, and records are published back into a database, in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import enter
from tests.browser.patience import settle
from tests.browser.serving import Served


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A schema with a table of indicators."""
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            """DROP SCHEMA IF EXISTS browsed CASCADE; CREATE SCHEMA browsed;
            CREATE TABLE browsed.blocklist (indicator text PRIMARY KEY, confidence int, secret_notes text);
            INSERT INTO browsed.blocklist SELECT '203.0.113.' || i, i, 'x' FROM generate_series(1, 20) i"""
        )
        yield connection
        connection.execute("DROP SCHEMA browsed CASCADE")


def fill(page: Page, url: str, **more: str) -> None:
    """How to get to the test's server."""
    parts = urlsplit(url)
    expect(page.get_by_role("textbox", name="Host", exact=True)).to_be_visible(timeout=60_000)
    given = {"Host": parts.hostname, "Database": "postgres", "Username": parts.username, **more}
    for label, value in given.items():
        page.get_by_role("textbox", name=label, exact=True).fill(str(value))
    page.get_by_label("Password", exact=True).fill(str(parts.password))
    page.get_by_text("Further settings").click()
    page.get_by_role("spinbutton", name="Port", exact=True).fill(str(parts.port))
    page.get_by_role("combobox", name="TLS").click()
    page.get_by_role("option", name="disable").click()


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a list, which a redraw may close again while it is opened."""
    settle(page)
    found = page.get_by_role("option", name=option)
    for _ in range(5):
        page.get_by_role("combobox", name=label, exact=True).click()
        with suppress(TimeoutError):
            found.click(timeout=5_000)
            break
    settle(page)


def test_a_table_is_chosen_its_records_are_published_and_both_ends_are_changed(
    reaching: Served, page: Page, complaints: list[str], postgres_url: str, database: psycopg.Connection[Any]
) -> None:
    enter(page, reaching)
    page.goto(f"{reaching.url}/sources?new=postgres")
    fill(page, postgres_url, Name="Partner")
    page.get_by_role("button", name="Look what is there").click()
    expect(page.get_by_role("heading", name="What is there")).to_be_visible()
    choose(page, "Table", "browsed.blocklist (table")
    choose(page, "Columns", "indicator · text · key")
    choose(page, "Columns", "confidence · integer")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take over into the form").click()
    expect(page.get_by_role("textbox", name="Table", exact=True)).to_have_value("browsed.blocklist")
    expect(page.get_by_role("textbox", name="Columns", exact=True)).to_have_value("indicator\nconfidence")
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("heading", name="Partner")).to_be_visible()
    # What was not chosen was never read.
    expect(page.get_by_text("secret_notes")).to_have_count(0)

    with reaching.http() as http:
        base = "/api/v1/tenants/default"
        [suggested, *_] = http.post(
            f"{base}/suggest", json={"source": "partner", "target": "indicator"}
        ).json()["suggestions"]
        body = {"name": "Partner", "source": "partner", "mappings": [suggested["mapping"]]}
        http.post(f"{base}/pipelines", json=body).raise_for_status()
        http.post(f"{base}/pipelines/partner/runs", json={"wait": 60}, timeout=90).raise_for_status()
    page.goto(f"{reaching.url}/explorer?target=indicator")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("button", name="Publish to another system").click()
    expect(page.get_by_role("heading", name="Publish records")).to_be_visible()
    choose(page, "To", "PostgreSQL")
    fill(page, postgres_url, Table="browsed.out", Name="To the partner")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="To the partner")).to_be_visible()
    expect(page.get_by_text("20 records waiting")).to_be_visible()
    page.get_by_role("button", name="Deliver now").click()
    expect(page.get_by_text("0 records waiting", exact=True)).to_be_visible(timeout=60_000)
    found = database.execute("SELECT count(*), sum(confidence) FROM browsed.out").fetchall()
    assert found == [(20, 210)]

    # Another name leaves the password where it is, although the form never shows it.
    page.get_by_role("textbox", name="Name", exact=True).fill("To the partner, renamed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="To the partner, renamed")).to_be_visible()
    with reaching.http() as http:
        [publication] = http.get(f"{base}/publications").json()
    assert publication["publication"]["config"]["password"] == {"credential": "to-the-partner-password"}
    page.goto(f"{reaching.url}/schedules")
    expect(page.get_by_text("To the partner, renamed").first).to_be_visible()

    # A source's connection is changed in place: what is saved is read, or nothing is saved.
    page.goto(f"{reaching.url}/sources?source=partner&connection=change")
    table = page.get_by_role("textbox", name="Table", exact=True)
    expect(table).to_have_value("browsed.blocklist")
    table.fill("browsed.nowhere")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="browsed.nowhere")).to_be_visible()
    table.fill("browsed.out")
    page.get_by_role("textbox", name="Columns", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The first payload was read with it.")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("value_type").first).to_be_visible()
