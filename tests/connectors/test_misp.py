"""A MISP instance's events come whole and once, whatever it does meanwhile, and are pushed to nobody more."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from connectors import CONNECTORS, check, misp, misp_search, payloads_of
from connectors.addresses import NotAllowed
from connectors.formats import sniff
from connectors.misp import Config
from connectors.misp_search import NoMisp, NotWhole, Unfollowable
from connectors.web import Fetched, Turned
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.misp_instance import KEY, NOW, Instance
from tests.servers.loopback import Loopback, answering

HERE = ("127.0.0.1",)


def event(number: int, at: int, **more: Any) -> dict[str, Any]:
    uuid = f"{number:08d}-0000-4000-8000-000000000000"
    known = {"uuid": uuid, "info": f"Event {number}", "timestamp": str(at), "publish_timestamp": str(at)}
    attribute = {
        "type": "ip-dst",
        "category": "Network activity",
        "value": f"192.0.2.{number % 250}",
        "uuid": uuid,
    }
    return {**known, "published": True, "threat_level_id": "1", "Attribute": [attribute], **more}


def source(url: str, **config: Any) -> Source:
    return Source(
        id="m", name="m", connector="misp", config={"url": url, "key": KEY, "page_size": 4, **config}
    )


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[str], Cursor | None]]:
    """The uuids of each payload's events, and the cursor after it."""
    return [
        ([each["Event"]["uuid"] for each in json.loads(payload.stream.read())["response"]], payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def uuids(from_: Source, since: Cursor | None = None) -> list[str]:
    return [uuid for found, _ in taken(from_, since) for uuid in found]


@pytest.fixture(scope="module")
def unheard() -> Iterator[Instance]:
    made = Instance()
    yield made
    made.close()


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    # Three events to a second, so that a page of four ends in the middle of one.
    for number in range(1, 15):
        made.put(event(number, 1000 + number // 3))
    yield made
    made.close()


@pytest.mark.parametrize("sorts", [True, False])
def test_every_event_comes_once_and_from_every_cursor_the_rest(instance: Instance, sorts: bool) -> None:
    instance.sorts = sorts
    server = source(instance.url, overlap=0)
    pages = taken(server)
    assert len(pages) > 2
    assert sorted(uuid for found, _ in pages for uuid in found) == sorted(instance.events)
    for number, (_, cursor) in enumerate(pages):
        before = {uuid for found, _ in pages[: number + 1] for uuid in found}
        assert before | set(uuids(server, cursor)) == set(instance.events)


def test_more_events_of_one_second_than_a_page_holds_all_come(instance: Instance) -> None:
    for number in range(20, 33):
        instance.put(event(number, 5000))
    instance.put(event(40, 6000))
    assert sorted(uuids(source(instance.url))) == sorted(instance.events)


@pytest.mark.parametrize("sorts", [True, False])
def test_an_event_edited_while_pages_are_read_pushes_none_out_of_sight(
    instance: Instance, sorts: bool
) -> None:
    instance.sorts = sorts

    def edit(number: int) -> None:
        # After the second full page one that was read already moves to the end, and all others move up.
        if number == 6:
            first = next(iter(instance.events))
            moved = instance.events.pop(first)
            instance.put({**moved, "timestamp": "9000", "publish_timestamp": "9000"})

    instance.before = edit
    assert set(uuids(source(instance.url))) == set(instance.events)


def test_a_round_begins_where_the_last_one_ended_and_a_little_before(instance: Instance) -> None:
    server = source(instance.url, overlap=2)
    cursor = taken(server)[-1][1]
    assert cursor == {"follow": "published", "at": 1004}
    changed = instance.put(event(3, 2000))
    old = instance.put(event(50, 1003))
    again = uuids(server, cursor)
    assert {changed, old} <= set(again)
    assert len(again) < len(instance.events)


def test_a_time_set_ahead_of_the_instances_clock_does_not_hide_what_comes_before_it(
    instance: Instance,
) -> None:
    instance.put(event(60, NOW + 90_000))
    server = source(instance.url)
    cursor = taken(server)[-1][1]
    assert cursor == {"follow": "published", "at": NOW}
    later = instance.put(event(61, NOW + 5))
    assert later in uuids(server, cursor)


def test_unpublished_events_come_only_by_their_last_change(instance: Instance) -> None:
    draft = instance.put(event(70, 3000, published=False, publish_timestamp="0"))
    assert draft not in uuids(source(instance.url))
    assert draft in uuids(source(instance.url, follow="changed"))
    assert set(uuids(source(instance.url, follow="changed"), {"follow": "published", "at": 9_999})) == set(
        instance.events
    )


def test_organisations_tags_and_levels_choose_even_where_an_instance_does_not_heed_them(
    instance: Instance,
) -> None:
    cert = instance.put(event(80, 3000, Orgc={"name": "CERT", "uuid": "u"}, threat_level_id="3"))
    tagged = instance.put(event(81, 3000, Tag=[{"name": "tlp:green"}, {"name": "type:OSINT"}]))
    asked: dict[str, dict[str, Any]] = {
        cert: {"organisations": ["CERT"]},
        tagged: {"tags": ["type:%"]},
    }
    for uuid, config in asked.items():
        assert uuids(source(instance.url, **config)) == [uuid]
    assert uuids(source(instance.url, threat_levels=["Low"])) == [cert]
    assert tagged not in uuids(source(instance.url, without_tags=["tlp:green"]))
    whole = Instance()
    whole.events = instance.events
    search = whole.search
    whole.search = lambda query: search(
        {key: query[key] for key in ("limit", "page", "order") if key in query}
    )  # type: ignore[method-assign]
    assert uuids(source(whole.url, organisations=["CERT"])) == [cert]
    assert uuids(source(whole.url, tags=["type:%"])) == [tagged]
    whole.close()


def test_deleted_and_only_detecting_attributes_are_asked_for_in_misps_words(instance: Instance) -> None:
    taken(source(instance.url, to_ids=True, warninglists=True))
    assert instance.searches[-1].items() >= {"deleted": [0, 1], "to_ids": 1, "enforceWarninglist": 1}.items()


def test_an_event_keeps_its_bytes_and_what_nobody_knows_of_it(instance: Instance) -> None:
    odd = {**event(90, 4000), "x_future": {"deep": [1, 2.50, "ü"]}}
    instance.put(odd)
    [payload] = payloads_of(source(instance.url, since="1970-01-01T01:06:40Z"), None, HERE)
    body = payload.stream.read()
    assert json.dumps(odd, ensure_ascii=False).encode() in body
    assert sniff(io.BytesIO(body), payload.name).format == "misp"


def test_a_page_too_large_is_asked_for_in_smaller_ones(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.put(event(91, 1001, comment="x" * 3000))
    monkeypatch.setattr(misp_search, "PAGE_BYTES", 4000)
    assert sorted(uuids(source(instance.url, page_size=50))) == sorted(instance.events)


def test_an_instance_that_always_gives_the_same_page_is_not_taken_for_read(instance: Instance) -> None:
    instance.sorts = instance.heeds_page = False
    with pytest.raises(Unfollowable):
        taken(source(instance.url))


def test_a_busy_instance_is_asked_again_and_a_torn_answer_is_no_event(instance: Instance) -> None:
    instance.before = lambda number: (429, {"retry-after": "0"}, b"") if number == 2 else None
    assert sorted(uuids(source(instance.url))) == sorted(instance.events)
    torn = b'{"response": [{"Event": {"uuid": "u", "info'
    instance.before = lambda number: (200, {"content-length": str(len(torn))}, torn)
    with pytest.raises(NotWhole):
        taken(source(instance.url))
    instance.before = lambda number: (200, {}, b"<html>Sign in</html>")
    with pytest.raises(NoMisp):
        taken(source(instance.url))


def test_the_key_goes_to_its_own_host_only_and_is_in_no_message(instance: Instance) -> None:
    other = Instance()
    turning = Loopback(answering(lambda asked: (302, {"location": other.url + asked.target}, b"")))
    url = turning.url
    with pytest.raises(Turned) as raised:
        taken(source(url))
    stages = list(check(source(url), HERE))
    assert (stages[-1].name, stages[-1].ok) == ("key", False)
    assert KEY not in other.keys
    assert KEY not in f"{raised.value} {stages} {Config(url=url, key=KEY)!r}"
    turning.close()
    other.close()


def test_a_private_address_is_refused_until_it_is_allowed(instance: Instance) -> None:
    with pytest.raises(NotAllowed):
        list(payloads_of(source(instance.url), None))
    assert [(s.name, s.ok) for s in check(source(instance.url))] == [("name", False)]
    assert not instance.keys


def test_a_check_goes_from_the_name_to_the_first_event(instance: Instance) -> None:
    stages = list(check(source(instance.url), HERE))
    assert [(stage.name, stage.ok) for stage in stages] == [
        (name, True) for name in ("name", "TLS", "key", "permission", "version", "first event")
    ]
    assert "is an address" in stages[0].detail
    # It holds, but a key that goes in clear is nothing to be quiet about.
    assert "goes in clear" in stages[1].detail
    assert "https" in stages[1].action
    assert "Sync user" in stages[2].detail
    refused = list(check(source(instance.url, key="wrong"), HERE))[-1]
    assert (refused.name, refused.ok) == ("key", False)
    assert "expired" in refused.action


class Straight:
    """The way to an instance without a network between, for as many tries as a property wants."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def fetch(self, url: str, headers: Any, content: bytes, *, most: int) -> Fetched:
        status, value = self.instance.answer("/events/restSearch", json.loads(content))
        return Fetched(status, httpx.Headers({"date": formatdate(NOW)}), json.dumps(value).encode(), url)


@settings(max_examples=60, deadline=None)
@given(
    times=some.lists(some.integers(1, 12), max_size=25),
    size=some.integers(1, 6),
    sorts=some.booleans(),
    cut=some.integers(0, 12),
)
def test_however_times_lie_nothing_is_missed_and_each_version_comes_once(
    unheard: Instance, times: list[int], size: int, sorts: bool, cut: int
) -> None:
    unheard.sorts = sorts
    unheard.events = {}
    for number, at in enumerate(times):
        unheard.put(event(number, at))
    server = source(unheard.url, page_size=size, overlap=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(misp, "_web", lambda config, reach: Straight(unheard))
        found = uuids(server)
        assert sorted(found) == sorted(unheard.events)
        since: Cursor = {"follow": "published", "at": cut}
        late = {uuid for uuid, each in unheard.events.items() if int(each["timestamp"]) >= cut}
        assert set(uuids(server, since)) == late


def test_it_says_that_it_reads_news_and_is_a_sink() -> None:
    assert CONNECTORS["misp"].capabilities == {"incremental", "write"}
