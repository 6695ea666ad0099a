"""Against a real MISP server: keys, permissions, pages, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import httpx

from connectors import check, payloads_of
from connectors.misp import Config, write
from connectors.registry import Reach
from engine.model import Source
from engine.ports import Cursor, Delivered, Gone, Outgoing
from engine.targets import TARGETS
from tests.servers.misp import READING, Misp

HERE = ("127.0.0.1",)


def source(server: Misp, **config: Any) -> Source:
    # It takes one word for deleted attributes where MISP takes two, and heeds no filter at all.
    told = {"url": server.url, "key": server.key, "deleted": False, "page_size": 5, **config}
    return Source(id="m", name="m", connector="misp", config=told)


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[list[str], Cursor | None]]:
    return [
        ([each["Event"]["uuid"] for each in json.loads(payload.stream.read())["response"]], payload.cursor)
        for payload in payloads_of(from_, since, HERE)
    ]


def test_every_event_of_a_real_server_comes_once_and_from_every_cursor_the_rest(misp_server: Misp) -> None:
    server = source(misp_server, follow="changed", overlap=0)
    pages = taken(server)
    found = [uuid for uuids, _ in pages for uuid in uuids]
    assert set(misp_server.events) <= set(found)
    assert len(found) == len(set(found))
    assert len(pages) > 1
    for number, (_, cursor) in enumerate(pages):
        before = {uuid for uuids, _ in pages[: number + 1] for uuid in uuids}
        assert before | {uuid for uuids, _ in taken(server, cursor) for uuid in uuids} >= set(found)


def test_published_events_alone_come_even_where_the_server_gives_all(misp_server: Misp) -> None:
    found = {uuid for uuids, _ in taken(source(misp_server)) for uuid in uuids}
    assert found & set(misp_server.events) <= set(misp_server.events[::3])


def test_a_check_names_the_version_and_whether_it_may_be_pushed_to(misp_server: Misp) -> None:
    stages = {stage.name: stage for stage in check(source(misp_server), HERE)}
    assert all(stage.ok for stage in stages.values()), stages
    assert list(stages) == ["name", "TLS", "key", "permission", "version", "first event"]
    assert "site_admin" in stages["key"].detail
    assert "push" in stages["permission"].detail
    reading = {stage.name: stage for stage in check(source(misp_server, key=READING), HERE)}
    assert "may not push" in reading["permission"].detail


def test_a_wrong_key_stops_at_the_key_and_is_not_repeated(misp_server: Misp) -> None:
    wrong = "wrong" * 8
    last = list(check(source(misp_server, key=wrong), HERE))[-1]
    assert (last.name, last.ok) == ("key", False)
    assert wrong not in f"{last}"


def pushed(server: Misp, event: dict[str, Any]) -> list[Delivered]:
    told = {"Event": event, "records": {a["uuid"]: [f"indicator--{a['uuid']}"] for a in event["Attribute"]}}
    outgoing = Outgoing(TARGETS["indicator"], ("id",), events=lambda: iter([told]))
    return list(write(Config(url=server.url, key=server.key), outgoing, Reach(HERE)))


def test_what_a_real_server_leaves_out_of_an_event_or_refuses_is_said_of_each_record(
    misp_server: Misp,
) -> None:
    attribute = {"uuid": "00000001-2222-4222-8222-222222222222", "type": "domain", "value": "a.example"}
    event = {
        "uuid": "00000000-2222-4222-8222-222222222222", "info": "Pushed", "distribution": "0",
        "Attribute": [{**attribute, "category": "Network activity"}],
    }  # fmt: skip
    # This server adds the event and drops what came inside it: nothing is said to be there that is not.
    [made] = pushed(misp_server, event)
    assert (made.sent, [each.id for each in made.refused]) == (0, [f"indicator--{attribute['uuid']}"])
    found = {uuid for uuids, _ in taken(source(misp_server, follow="changed")) for uuid in uuids}
    assert event["uuid"] in found
    # It edits by PUT alone, which PyMISP does not use either.
    [again] = pushed(misp_server, event)
    assert again.refused[0].why.startswith("status 405")


def test_a_sighting_reaches_the_attribute_of_its_value_on_a_real_server(misp_server: Misp) -> None:
    headers = {"authorization": misp_server.key, "accept": "application/json"}
    with httpx.Client(base_url=misp_server.url, headers=headers, timeout=30) as client:
        told = {"type": "domain", "category": "Network activity", "value": "sighted.example", "to_ids": True}
        client.post(f"/attributes/{misp_server.events[0]}", json=told).raise_for_status()
        sighting = {"type": "0", "date_sighting": "1767225600", "source": ""}
        wanted = [
            {"Sighting": sighting, "attribute": "", "value": value, "records": {"": [value]}}
            for value in ("sighted.example", "unknown.example")
        ]
        outgoing = Outgoing(TARGETS["sighting"], ("id",), events=lambda: iter(wanted))
        taken = list(write(Config(url=misp_server.url, key=misp_server.key), outgoing, Reach(HERE)))
        assert [(each.sent, len(each.refused)) for each in taken] == [(1, 0), (0, 1)]
        assert len(client.get(f"/sightings/{misp_server.events[0]}").raise_for_status().json()) == 1


def test_an_attribute_that_is_gone_is_deleted_softly_on_a_real_server(misp_server: Misp) -> None:
    headers = {"authorization": misp_server.key, "accept": "application/json"}
    with httpx.Client(base_url=misp_server.url, headers=headers, timeout=30) as client:
        told = {
            "type": "domain",
            "category": "Network activity",
            "value": "withdrawn.example",
            "to_ids": True,
        }
        event = misp_server.events[1]
        made = client.post(f"/attributes/{event}", json=told).raise_for_status().json()["Attribute"]
        there = [{"event": event, "uuid": uuid} for uuid in (made["uuid"], event)]
        gone = tuple(Gone(str(n), json.dumps(each)) for n, each in enumerate(there))
        outgoing = Outgoing(TARGETS["indicator"], ("id",), gone=gone)
        config = Config(url=misp_server.url, key=misp_server.key)
        # What is not there any more is as good as deleted.
        assert list(write(config, outgoing, Reach(HERE))) == [Delivered(2)]
        assert (
            client.get(f"/attributes/{made['id']}").raise_for_status().json()["Attribute"]["deleted"] is True
        )
        reading = Config(url=misp_server.url, key=READING)
        assert not any(each.refused for each in write(reading, outgoing, Reach(HERE)))
