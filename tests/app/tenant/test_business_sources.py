"""Salesforce and Google Analytics as sources: previewed, mapped, read into the store, and then only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.client import Client
from app.tenant.desk import Desk
from tests.servers.google_analytics import Analytics
from tests.servers.salesforce import Salesforce


@pytest.fixture
def org() -> Iterator[Salesforce]:
    made = Salesforce(page=40)
    made.add("Contact", *(person(n) for n in range(100)))
    made.add("Asset", *(machine(n) for n in range(30)))
    yield made
    made.close()


@pytest.fixture
def analytics() -> Iterator[Analytics]:
    made = Analytics()
    made.rows = [
        {"date": day(d), "pagePath": f"/{p}", "sessionSource": "direct", "sessions": 5 + p, "activeUsers": 2}
        for d in range(1, 13)
        for p in range(4)
    ]
    yield made
    made.close()


def person(number: int, minute: int | None = None, **further: Any) -> dict[str, Any]:
    stamp = f"2026-01-01T{(minute or number) // 60:02}:{(minute or number) % 60:02}:00.000Z"
    return {
        "Id": f"003{number:012d}AAA", "FirstName": f"Ana{number}", "LastName": "Example", "Email": f"ana{number}@example.com",
        "Title": "CISO", "MailingCity": "Berlin", "LastModifiedDate": stamp, "SystemModstamp": stamp, **further,
    }  # fmt: skip


def machine(number: int) -> dict[str, Any]:
    stamp = f"2026-01-01T00:{number:02}:00.000Z"
    return {
        "Id": f"02i{number:012d}AAA", "Name": f"web{number}.example.com", "SerialNumber": f"S{number}",
        "Status": "Installed", "LastModifiedDate": stamp, "SystemModstamp": stamp,
    }  # fmt: skip


def day(ago: int) -> str:
    return f"{datetime.now(UTC).date() - timedelta(days=ago):%Y%m%d}"


def connect(
    client: Client, desk: Desk, connector: str, config: dict[str, Any], target: str
) -> tuple[str, str]:
    """The source and a pipeline with the best suggestion."""
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    made = client.create_source(connector=connector, config=config, name=connector)
    assert "PRIVATE KEY" not in made.model_dump_json()
    assert client.check_source(made.source.id).ok
    suggested = client.suggest(made.source.id, target).suggestions[0]
    saved = client.create_pipeline(name=connector, source=made.source.id, mappings=[suggested.mapping])
    return made.source.id, saved.pipeline.id


@pytest.mark.parametrize("transfer", ["query", "bulk"])
def test_contacts_of_salesforce_are_read_whole_and_then_only_those_that_changed(
    client: Client, desk: Desk, org: Salesforce, transfer: str
) -> None:
    config = org.config(object="Contact", transfer=transfer, page_size=40, overlap=0)
    source, pipeline = connect(client, desk, "salesforce", config, "contact")
    offered = client.browse_connection("salesforce", config)
    assert (offered.setting, offered.choosing, offered.places[0].name) == ("object", "fields", "Contact")
    assert "Email" in [column.name for column in offered.places[0].columns]
    preview = client.source_preview(source, 50)
    assert {"Id", "Email", "LastName"} <= set(preview.fields)
    assert len(preview.rows) == 40

    first = client.wait_run(client.start_run(pipeline).run).ledger
    assert (first.read, first.inserted) == (100, 100)
    org.add("Contact", person(7, 1400, Title="CEO"), person(200, 1401))
    again = client.wait_run(client.start_run(pipeline).run).ledger
    assert (again.read, again.updated, again.inserted, again.unchanged) == (3, 1, 1, 1)
    assert client.records("contact").total == 101


@pytest.mark.parametrize("transfer", ["query", "bulk"])
def test_a_run_that_broke_off_loses_nothing_and_doubles_nothing(
    client: Client, desk: Desk, org: Salesforce, transfer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.web.TRIES", 1)
    config = org.config(object="Contact", transfer=transfer, page_size=40)
    _, pipeline = connect(client, desk, "salesforce", config, "contact")
    third = ("-80", "locator=28")  # as each way names its place
    org.trouble = lambda method, path: (503, {}, b"") if path.endswith(third) else None
    assert client.wait_run(client.start_run(pipeline).run).state == "failed"
    org.trouble = lambda method, path: None
    client.wait_run(client.start_run(pipeline).run)
    assert client.records("contact").total == 100
    assert client.wait_run(client.start_run(pipeline).run).ledger.inserted == 0


def test_assets_of_salesforce_are_mapped(client: Client, desk: Desk, org: Salesforce) -> None:
    _, pipeline = connect(client, desk, "salesforce", org.config(object="Asset"), "asset")
    ledger = client.wait_run(client.start_run(pipeline).run).ledger
    assert (ledger.read, ledger.inserted) == (30, 30)


def test_figures_of_google_analytics_are_read_by_day_and_late_ones_are_put_right(
    client: Client, desk: Desk, analytics: Analytics
) -> None:
    config = analytics.config(since=f"{datetime.now(UTC).date() - timedelta(days=12)}", page_size=25)
    source, pipeline = connect(client, desk, "google_analytics", config, "web-metric")
    offered = client.browse_connection("google_analytics", config)
    assert (offered.setting, [place.name for place in offered.places]) == ("", ["dimensions", "metrics"])
    assert {"date", "pagePath", "sessions"} <= set(client.source_preview(source, 5).fields)

    first = client.wait_run(client.start_run(pipeline).run).ledger
    assert (first.read, first.inserted) == (48, 48)
    analytics.rows.append({"date": day(2), "pagePath": "/0", "sessionSource": "direct", "sessions": 90})
    again = client.wait_run(client.start_run(pipeline).run).ledger
    assert (again.read, again.updated, again.unchanged) == (12, 1, 11)
