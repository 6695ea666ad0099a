"""Schedules do their work with no browser open, and go on after the server was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from tests.proof.serving import Installation, installation, patiently, until

FEED = "indicator,type,first_seen,notes\n"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inbox")


@pytest.fixture(scope="module")
def place(inbox: Path) -> Iterator[Installation]:
    with installation("tests.proof.serve", folders=inbox) as made:
        yield made


def drop(inbox: Path, name: str, *hosts: int) -> None:
    """A file appears in the folder whole, as a careful sender leaves it."""
    lines = "".join(f"203.0.113.{host},ip,2024-03-01,from {name}\n" for host in hosts)
    (inbox / f".{name}").write_text(FEED + lines)
    (inbox / f".{name}").rename(inbox / name)


def pipeline(client: Client, folder: Path, id: str, pattern: str) -> str:
    """A pipeline that reads the folder."""
    config = {"path": str(folder), "pattern": pattern, "settle_seconds": 0}
    source = client.create_source(id=f"{id}-files", name=id, connector="folder", config=config)
    mapping = client.suggest(source.source.id, "indicator").suggestions[0].mapping
    made = client.create_pipeline(id=id, name=id, source=source.source.id, mappings=[mapping])
    return str(made.pipeline.id)


def schedule(place: Installation, tenant: str, **asked: Any) -> str:
    with place.client(cookie=place.admin) as http:
        made = http.post("/api/v1/schedules", params={"tenant": tenant}, json=asked)
        return str(made.raise_for_status().json()["id"])


def firings(place: Installation, tenant: str, id: str) -> list[dict[str, Any]]:
    with place.client(cookie=place.admin) as http:
        found = http.get(f"/api/v1/schedules/{id}/firings", params={"tenant": tenant})
        return list(found.raise_for_status().json())


def values(client: Client) -> set[str]:
    rows = patiently(lambda: client.records("indicator", limit=100)).rows
    return {str(row["value"]).rsplit(".", 1)[1] for row in rows}


def test_an_interval_fires_with_no_browser_open_and_goes_on_after_a_kill(
    place: Installation, inbox: Path
) -> None:
    with place.tenant("hourly") as client:
        drop(inbox, "a1.csv", 1, 2)
        made = pipeline(client, inbox, "hourly", "a*.csv")
        id = schedule(place, "hourly", pipeline=made, trigger="interval", spec={"seconds": 10})
        until(lambda: [f for f in firings(place, "hourly", id) if f["outcome"] == "succeeded"], 60, 0.5)
        assert values(client) == {"1", "2"}
        first = client.runs().runs[-1]
        assert first.started_by == f"schedule:{id}"

        before = len(client.runs().runs)
        place.kill()
        drop(inbox, "a2.csv", 2, 3)
        place.start()
        until(lambda: values(client) == {"1", "2", "3"}, 60, 0.5)
        assert len(client.runs().runs) > before
        assert all(run.ledger.balanced for run in client.runs().runs)
        # The same two files, read once each: nothing came twice.
        assert sum(run.ledger.inserted for run in client.runs().runs) == 3
        due = [f["due"] for f in firings(place, "hourly", id)]
        assert len(due) == len(set(due))
        with place.client(cookie=place.admin) as http:
            http.delete(f"/api/v1/schedules/{id}", params={"tenant": "hourly"}).raise_for_status()


def test_a_file_that_arrives_is_loaded_also_one_that_came_while_the_server_was_down(
    place: Installation, inbox: Path
) -> None:
    with place.tenant("arrivals") as client:
        drop(inbox, "b0.csv", 10)
        made = pipeline(client, inbox, "arrivals", "b*.csv")
        spec = {"folder": str(inbox), "pattern": "b*.csv", "every": 1}
        id = schedule(place, "arrivals", pipeline=made, trigger="arrival", spec=spec)
        drop(inbox, "b1.csv", 11)
        until(lambda: {"10", "11"} <= values(client), 60, 0.5)
        until(lambda: {f["outcome"] for f in firings(place, "arrivals", id)} == {"succeeded"}, 30, 0.5)
        fired = len(firings(place, "arrivals", id))

        place.stop()
        drop(inbox, "b2.csv", 12)
        place.start()
        until(lambda: values(client) == {"10", "11", "12"}, 60, 0.5)
        until(lambda: len(firings(place, "arrivals", id)) == fired + 1, 30, 0.5)
        assert sum(run.ledger.inserted for run in client.runs().runs) == 3
