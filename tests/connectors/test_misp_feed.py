"""A MISP feed comes whole, and after that only events that are new or changed, whatever their dates say."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import check, misp_feed, payloads_of
from connectors.formats import sniff
from connectors.misp_feed import NoFeed, NotWhole
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.web import Web

HERE = ("127.0.0.1",)


class Feed:
    """A feed on a small web server, made of events."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.manifest: dict[str, dict[str, Any]] = {}

    def put(self, event: dict[str, Any], **entry: Any) -> str:
        uuid = str(event["Event"]["uuid"])
        self.manifest[uuid] = {"timestamp": str(event["Event"].get("timestamp", "0")), **entry}
        self.web.files[f"/feed/{uuid}.json"] = json.dumps(event).encode()
        self.web.files["/feed/manifest.json"] = json.dumps(self.manifest).encode()
        return uuid

    def source(self, **config: Any) -> Source:
        url = f"{self.web.address}/feed"
        return Source(id="m", name="m", connector="misp_feed", config={"url": url, **config})


def event(number: int, timestamp: int, **more: Any) -> dict[str, Any]:
    uuid = f"{number:08d}-0000-4000-8000-000000000000"
    value = {"uuid": uuid, "info": f"Event {number}", "timestamp": str(timestamp), **more}
    return {"Event": {**value, "Attribute": [{"type": "ip-dst", "value": f"192.0.2.{number}", "uuid": uuid}]}}


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web()
    yield found
    found.close()


@pytest.fixture
def feed(web: Web) -> Feed:
    made = Feed(web)
    for number in range(1, 8):
        made.put(event(number, 1000 + number // 3))
    return made


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[str], Cursor | None]]:
    """The uuids of each payload's events, and the cursor after it."""
    return [
        ([json.loads(line)["Event"]["uuid"] for line in payload.stream.read().splitlines()], payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def uuids(from_: Source, since: Cursor | None = None) -> list[str]:
    return [uuid for found, _ in taken(from_, since) for uuid in found]


def test_every_event_comes_once_and_from_every_cursor_the_rest(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misp_feed, "PAYLOAD_BYTES", 400)
    pages = taken(feed.source())
    assert len(pages) > 2
    everything = [uuid for found, _ in pages for uuid in found]
    assert sorted(everything) == sorted(feed.manifest)
    for number, (_, cursor) in enumerate(pages):
        assert [u for found, _ in pages[: number + 1] for u in found] + uuids(
            feed.source(), cursor
        ) == everything


def test_a_changed_event_comes_again_and_an_old_one_published_late_comes(feed: Feed) -> None:
    [(_, cursor)] = taken(feed.source())
    assert uuids(feed.source(), cursor) == []
    changed = feed.put(event(3, 2000))
    late = feed.put(event(9, 1))
    assert set(uuids(feed.source(), cursor)) == {changed, late}


def test_an_event_not_written_yet_stops_the_reading_before_it(feed: Feed) -> None:
    feed.manifest["00000099-0000-4000-8000-000000000000"] = {"timestamp": "1"}
    feed.web.files["/feed/manifest.json"] = json.dumps(feed.manifest).encode()
    with pytest.raises(NotWhole):
        taken(feed.source())


def test_tags_and_organisations_choose(feed: Feed) -> None:
    tagged = feed.put(event(20, 5), Tag=[{"name": "tlp:clear"}], Orgc={"name": "CERT", "uuid": "u"})
    assert uuids(feed.source(tags=["TLP:Clear"])) == [tagged]
    assert uuids(feed.source(organisations=["cert"])) == [tagged]


def test_a_manifest_leads_nowhere_but_to_its_own_files(feed: Feed) -> None:
    feed.manifest["../../secret"] = {"timestamp": "1"}
    feed.web.files["/feed/manifest.json"] = json.dumps(feed.manifest).encode()
    assert "../../secret" not in uuids(feed.source())
    assert not [path for path, _ in feed.web.asked if "secret" in path]


def test_what_is_no_feed_is_named_and_a_check_says_where(feed: Feed) -> None:
    assert [stage.ok for stage in check(feed.source(), HERE)] == [True, True, True]
    feed.web.files["/feed/manifest.json"] = b"<html>"
    with pytest.raises(NoFeed):
        taken(feed.source())
    last = list(check(feed.source(), HERE))[-1]
    assert (last.name, last.ok) == ("manifest", False)


def test_real_events_in_one_payload_are_read_as_misp(web: Web, shared_data: Path) -> None:
    feed = Feed(web)
    for path in sorted((shared_data / "pymisp" / "tests").glob("*.json")):
        loaded = json.loads(path.read_text())
        if isinstance(loaded, dict) and isinstance(loaded.get("Event"), dict) and loaded["Event"].get("uuid"):
            feed.put(loaded)
    assert feed.manifest
    [payload] = payloads_of(feed.source(), None, HERE)
    assert sniff(io.BytesIO(payload.stream.read()), payload.name).format == "misp"
