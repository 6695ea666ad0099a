"""A MISP feed comes whole, and after that only events that are new or changed, whatever their dates say."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

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
        self.web.tags["/feed/manifest.json"] = (
            f'"{hashlib.sha256(self.web.files["/feed/manifest.json"]).hexdigest()}"'
        )
        return uuid

    def source(self, **config: Any) -> Source:
        url = f"{self.web.url}/feed"
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


def test_what_the_server_says_is_unchanged_is_not_fetched_again_unless_the_choice_changed(feed: Feed) -> None:
    [(_, cursor)] = taken(feed.source())
    feed.web.asked.clear()
    assert uuids(feed.source(), cursor) == []
    [(path, headers)] = feed.web.asked
    assert (path, headers["if-none-match"]) == ("/feed/manifest.json", feed.web.tags["/feed/manifest.json"])
    feed.web.asked.clear()
    assert uuids(feed.source(organisations=["nobody"]), cursor) == []
    assert "if-none-match" not in feed.web.asked[0][1]


def test_a_cursor_in_the_middle_of_a_feed_never_says_that_all_of_it_was_read(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misp_feed, "PAYLOAD_BYTES", 400)
    pages = taken(feed.source())
    assert all("manifest" not in (cursor or {}) for _, cursor in pages[:-1])
    assert "manifest" in (pages[-1][1] or {})


def test_an_event_whose_values_changed_unannounced_comes_where_hashes_are_looked_at(feed: Feed) -> None:
    def hashes(changed: str = "") -> bytes:
        lines = [f"{hashlib.md5(f'{u}{u == changed}'.encode()).hexdigest()},{u}" for u in feed.manifest]
        return "\n".join(lines).encode()

    feed.web.files["/feed/hashes.csv"] = hashes()
    server = feed.source(hashes=True)
    [(_, cursor)] = taken(server)
    feed.web.files["/feed/hashes.csv"] = b"\n".join(reversed(hashes().splitlines()))
    assert uuids(server, cursor) == []
    changed = sorted(feed.manifest)[3]
    feed.web.files["/feed/hashes.csv"] = hashes(changed)
    assert uuids(server, cursor) == [changed]
    del feed.web.files["/feed/hashes.csv"]
    assert set(uuids(server)) == set(feed.manifest)


CSV = b"""# Feed of a friend\r
first;second;third\r
"203.0.113.9";"a;b";evil.example\r
\r
198.51.100.3;ignored;\r
# the end\r
"""


def values(
    web: Web, kind: str, body: bytes, since: Cursor | None = None, **config: Any
) -> list[dict[str, Any]]:
    web.files["/list"] = body
    told = {"url": f"{web.url}/list", "kind": kind, **config}
    source = Source(id="m", name="m", connector="misp_feed", config=told)
    assert [stage.ok for stage in check(source, HERE)] == [True, True]
    return [
        json.loads(line) for p in payloads_of(source, since, HERE) for line in p.stream.read().splitlines()
    ]


def test_the_columns_misps_settings_name_hold_a_csv_feeds_values(web: Web) -> None:
    found = values(web, "csv", CSV, value="1,3", delimiter=";", exclude="/^FIRST/i")
    assert [(row["value"], row["line"]) for row in found] == [
        ("203.0.113.9", 3), ("evil.example", 3), ("198.51.100.3", 5)
    ]  # fmt: skip
    assert found[0]["text"] == '"203.0.113.9";"a;b";evil.example'


def test_every_value_of_a_free_text_feed_is_a_row_with_its_line(web: Web) -> None:
    text = b"# c\nseen hxxp://bad[.]example/x from 2001:db8::7, c2.evil.example\n203.0.113.0/24\nno value \xff here\n"
    found = values(web, "freetext", text)
    assert [(row["value"], row["line"]) for row in found] == [
        ("hxxp://bad[.]example/x", 2), ("2001:db8::7", 2), ("c2.evil.example", 2), ("203.0.113.0/24", 3)
    ]  # fmt: skip
    shape = sniff(io.BytesIO(b"\n".join(json.dumps(row).encode() for row in found)), "values-1.ndjson")
    assert {field.name for field in shape.fields} == {"value", "line", "text"}


def test_a_list_is_read_again_only_when_it_changed_and_its_cursor_comes_last(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misp_feed, "PAYLOAD_BYTES", 60)
    web.files["/list"] = CSV
    config = {"url": f"{web.url}/list", "kind": "csv", "delimiter": ";"}
    source = Source(id="m", name="m", connector="misp_feed", config=config)
    cursors = [payload.cursor for payload in payloads_of(source, None, HERE)]
    assert len(cursors) > 1
    assert cursors[:-1] == [None] * (len(cursors) - 1)
    assert list(payloads_of(source, cursors[-1], HERE)) == []
    other = source.model_copy(update={"config": {**config, "value": "2"}})
    assert list(payloads_of(other, cursors[-1], HERE))


def test_a_line_of_any_length_takes_bounded_memory(web: Web) -> None:
    long = b"x" * 200_000 + b" 203.0.113.1\n203.0.113.2\n"
    assert [row["value"] for row in values(web, "freetext", long)] == ["203.0.113.2"]


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"value": "0"}, {"value": "a"}, {"exclude": "("}, {"delimiter": ""}):
        with pytest.raises(ValidationError):
            misp_feed.Config(url="https://feed.example/list", kind="csv", **wrong)  # type: ignore[arg-type]
