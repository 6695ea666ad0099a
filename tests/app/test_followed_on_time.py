"""A feed whose entries are followed is read by its schedule: news alone, with the pages it links to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.client import Client
from app.supervisor import Supervisor
from storage.control import schedules
from tests.app.tenant.test_followed_feed import MENTIONED
from tests.app.test_scheduler import Bench, bench
from tests.connectors.test_articles_followed import Site, page

__all__ = ["bench"]


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        yield made


def test_a_scheduled_run_fetches_what_is_new_and_its_page_and_a_later_one_only_that(
    bench: Bench, site: Site, tmp_path: Path
) -> None:
    # The worker is the real one here.
    settings = bench.control.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    bench.supervisor = Supervisor(settings, bench.control)
    site.put("one", page=page("It calls evil[.]example by night."))
    with Client.over_socket(bench.supervisor.socket("acme"), "acme") as client:
        config = {"url": f"{site.url}/feed.xml", "follow": True}
        source = client.create_source(connector="url", config=config, name="Blog").source
        pipeline = client.create_pipeline(name="Blog", source=source.id, mappings=[MENTIONED]).pipeline.id
        schedule = bench.keep("interval", {"seconds": 600})
        with bench.control.database.write() as session:
            schedules.change(session, "acme", schedule.id, pipeline=pipeline)

        def fire() -> None:
            async def once() -> None:
                scheduler = bench.scheduler()
                await scheduler.tick()
                await scheduler.settle()

            bench.time += timedelta(seconds=601)
            asyncio.run(once())

        def values() -> set[str]:
            return {row["value"] for row in client.records("indicator").rows}

        fire()
        assert values() == {"evil.example"}
        assert site.paths.count("/one") >= 1
        site.put("two", page=page("Now it calls worse[.]example."))
        fire()
        assert values() == {"evil.example", "worse.example"}
        assert [path for path in site.paths if path != "/feed.xml"] == ["/two"]
        fire()
        assert [path for path in site.paths if path != "/feed.xml"] == []
        history = bench.history(schedule)
        assert [one.outcome for one in history] == ["succeeded"] * 3
