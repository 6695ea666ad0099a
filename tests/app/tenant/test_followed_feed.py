"""A feed as a source, its entries followed: what their pages name becomes records, once, and news alone after that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.client import Client
from app.tenant.desk import Desk
from tests.connectors.test_articles_followed import Site, page

VALUE = {"step": "json_path", "options": {"path": "$.value"}}
# Each mention a record of its own, as the guide says.
MENTIONED = {
    "target": "indicator",
    "explode": "mentions",
    "where": "mentions IS NOT NULL",
    "fields": [
        {"field": "id", "from": "mentions", "steps": [VALUE, {"step": "stix_id"}]},
        {"field": "value", "from": "mentions", "steps": [VALUE]},
        {"field": "description", "from": "mentions", "steps": [{"step": "json_path", "options": {"path": "$.context"}}]},
        {"field": "source", "from": "link"},
    ],
}  # fmt: skip
ARTICLE = {
    "name": "article",
    "title": "Article",
    "key": ["guid"],
    "fields": [{"name": name} for name in ("guid", "title", "body", "problem")],
}
WHOLE = {
    "target": "article",
    "where": "same_as IS NULL",
    "fields": [
        {"field": "guid", "from": "guid"},
        {"field": "title", "from": "title"},
        {"field": "body", "sql": "coalesce(page_text, text)"},
        {"field": "problem", "from": "page_problem"},
    ],
}


@pytest.fixture
def site(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("connectors.linked_pages.PAUSE", 0.0)
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    found = Site()
    yield found
    found.close()


def ran(client: Client, pipeline: str) -> dict[str, int]:
    """What a run made of the entries, where that is anything."""
    run = client.wait_run(client.start_run(pipeline).run)
    assert (run.state, run.ledger.balanced, run.error) == ("finished", True, None)
    counts: dict[str, Any] = run.ledger.model_dump(exclude={"balanced"})
    return {name: count for name, count in counts.items() if count}


def test_what_the_pages_of_a_feed_name_becomes_records_with_the_words_around_it(
    client: Client, site: Site
) -> None:
    site.put("one", "Short.", page=page("It calls hxxps://evil[.]example[.]com/a by night."))
    site.put("two", "Seen at 203.0.113[.]7.")
    config = {"url": f"{site.url}/feed.xml", "follow": True}
    assert client.check_connection("url", config).ok
    made = client.create_source(connector="url", config=config, name="A blog").source
    assert made.shape is not None
    assert {"mentions", "page_text", "page_problem"} <= {field.name for field in made.shape.fields}
    rows = client.source_preview(made.id).rows
    assert rows[0].values["page_text"] == "It calls hxxps://evil[.]example[.]com/a by night."
    assert rows[1].values["page_problem"] == "status 404"
    id = client.create_pipeline(name="Named", source=made.id, mappings=[MENTIONED]).pipeline.id

    assert ran(client, id) == {"read": 2, "inserted": 2}
    found = {row["value"]: row["description"] for row in client.records("indicator").rows}
    assert found == {
        "https://evil.example.com/a": "Entry one Short. It calls hxxps://evil[.]example[.]com/a by night.",
        "203.0.113.7": "Entry two Seen at 203.0.113[.]7.",
    }
    log = " ".join(line.text for line in client.run(client.runs(pipeline=id).runs[0].run).log)
    assert "feed.xml 1: 2 entries, 1 page, 1 missed" in log

    site.asked.clear()
    assert ran(client, id) == {}
    assert site.paths == ["/feed.xml"]
    site.put("three", "The same: 203.0.113[.]7.", page=page("And CVE-2026-0001."))
    assert ran(client, id) == {"read": 1, "inserted": 1}
    assert site.paths == ["/feed.xml", "/three"]
    assert client.records("indicator").total == 3
    assert "2 entries read" not in client.cursor(id).says
    assert "3 entries read, each as it was then" in client.cursor(id).says


def test_an_entry_is_told_from_another_by_its_guid_and_by_what_it_says(client: Client, site: Site) -> None:
    for guid in ("one", "two"):
        site.put(guid, f"Text of {guid}.", page=page(f"Page {guid}."))
    config = {"url": f"{site.url}/feed.xml", "follow": True}
    made = client.create_source(connector="url", config=config, name="A blog").source
    client.create_target(ARTICLE)
    id = client.create_pipeline(name="Articles", source=made.id, mappings=[WHOLE]).pipeline.id
    assert ran(client, id) == {"read": 2, "inserted": 2}

    site.put("one", "Text of one, changed.", page=page("Page one, changed."))
    assert ran(client, id) == {"read": 1, "updated": 1}
    bodies = {row["guid"]: row["body"] for row in client.records("article").rows}
    assert bodies == {"one": "Page one, changed.", "two": "Page two."}

    # The same words once more, under another guid and at another address.
    site.put("again", "Text of two.", title="Entry two", page=page("Page two."))
    assert ran(client, id) == {"read": 1, "filtered": 1}
    assert client.records("article").total == 2


def test_an_entry_whose_page_comes_late_is_brought_up_to_date(client: Client, site: Site) -> None:
    site.put("one", "Short.")
    site.said["/one"] = (500, {}, b"")
    config = {"url": f"{site.url}/feed.xml", "follow": True}
    made = client.create_source(connector="url", config=config, name="A blog").source
    client.create_target(ARTICLE)
    id = client.create_pipeline(name="Articles", source=made.id, mappings=[WHOLE]).pipeline.id
    assert ran(client, id) == {"read": 1, "inserted": 1}
    assert client.records("article").rows[0]["problem"] == "status 500"
    assert ran(client, id) == {}
    assert "1 page still to be fetched" in client.cursor(id).says
    site.put("one", "Short.", page=page("Long."))
    assert ran(client, id) == {"read": 1, "updated": 1}
    assert client.records("article").rows[0]["body"] == "Long."
    assert "still to be fetched" not in client.cursor(id).says
