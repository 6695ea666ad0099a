"""STIX through the product: releases of ATT&CK one after the other, and what is named before it is there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.client import Client
from app.tenant.schemas.objects import RunChanges
from app.tenant.schemas.runs import RunDetail
from tests.app.tenant.stix.loading import (
    Item,
    asked,
    bundle,
    closed,
    exported,
    loaded,
    malware,
    opened_at,
    watching,
)

ID = re.compile(r'"([a-z][a-z0-9-]*--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"')


# ── two releases of ATT&CK ───────────────────────────────────────────────────────────────────────────


@dataclass
class Loaded:
    """17.1 and then 18.1 in the place of the same file: what they hold, and what their runs did."""

    client: Client
    objects: dict[str, dict[str, Item]]
    runs: dict[str, RunDetail] = field(default_factory=dict)
    changes: dict[str, RunChanges] = field(default_factory=dict)
    exports: dict[str, dict[str, Item]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def attack(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("attack")
    releases = {v: shared_data / "attack-stix-data" / f"ics-attack-{v}.json" for v in ("17.1", "18.1")}
    desk = opened_at(folder)
    with asked(desk) as client:
        found = Loaded(
            client,
            {v: {o["id"]: o for o in json.loads(p.read_text())["objects"]} for v, p in releases.items()},
        )
        pipeline = ""
        for version, path in releases.items():
            shutil.copyfile(path, folder / "box" / "ics-attack.json")
            pipeline = pipeline or watching(client, folder / "box")
            run = client.start_run(pipeline, wait=120)
            found.runs[version] = run
            found.changes[version] = client.run_changes(run.run, 500)
            found.exports[version] = {o["id"]: o for o in exported(client)}
        yield found
    closed(desk)


def test_the_second_release_gives_exactly_its_new_changed_and_unchanged_objects(attack: Loaded) -> None:
    old, new = attack.objects["17.1"], attack.objects["18.1"]
    both = old.keys() & new.keys()
    changed = {id for id in both if old[id] != new[id]}
    first, second = (attack.runs[v].ledger for v in ("17.1", "18.1"))
    assert (first.read, first.inserted) == (1651, 1651)
    assert (second.read, second.inserted, second.updated, second.unchanged) == (
        1826, len(new.keys() - old.keys()), len(changed), len(both - changed)
    )  # fmt: skip
    assert (second.inserted, second.updated, second.unchanged) == (413, 147, 1266)


def test_what_changed_without_a_new_version_and_what_vanished_unrevoked_is_named(attack: Loaded) -> None:
    old, new = attack.objects["17.1"], attack.objects["18.1"]
    same = {i for i in old.keys() & new.keys() if old[i].get("modified") == new[i].get("modified")}
    altered = {id for id in same if old[id] != new[id]}
    gone = old.keys() - new.keys()
    assert (len(same), len(altered), len(gone)) == (1336, 70, 238)
    told = {change.kind: change for change in attack.changes["18.1"].changes}
    assert {one.id for one in told["altered"].records} == altered
    assert {one.id for one in told["gone"].records} == gone
    assert (told["altered"].count, told["gone"].count) == (70, 238)
    # None of them is revoked, in this release or the one before; what is revoked was so already.
    assert not any(old[id].get("revoked") for id in gone)
    assert set(told) == {"altered", "gone"}


def test_revocations_are_told_when_they_come_and_only_then(attack: Loaded) -> None:
    revoked = {o["id"] for o in attack.objects["17.1"].values() if o.get("revoked")}
    assert len(revoked) == 2
    told = {change.kind: change for change in attack.changes["17.1"].changes}
    assert {one.id for one in told["revoked"].records} == revoked
    assert set(told) == {"revoked"}


def test_exporting_a_release_gives_back_every_object_equal(attack: Loaded) -> None:
    assert attack.exports["17.1"] == attack.objects["17.1"]
    # What is gone from the source stays in the store.
    assert attack.exports["18.1"] == attack.objects["17.1"] | attack.objects["18.1"]


def test_a_record_says_that_its_source_no_longer_has_it(attack: Loaded) -> None:
    told = {change.kind: change for change in attack.changes["18.1"].changes}
    one = told["gone"].records[0]
    found = attack.client.record(one.target, one.key)
    [gone] = found.about.gone_from
    assert (gone.payload, gone.run) == ("ics-attack.json", attack.runs["18.1"].run)
    assert len(found.versions) == 1
    altered = told["altered"].records[0]
    versions = attack.client.record(altered.target, altered.key).versions
    assert [v.altered for v in versions] == [True, False]
    assert versions[0].values["modified"] == versions[1].values["modified"]


def test_nothing_in_a_whole_release_waits_for_what_is_in_it(attack: Loaded) -> None:
    new = attack.objects["18.1"]
    named = {ref for o in new.values() for ref in ID.findall(json.dumps(o))}
    assert named <= new.keys()
    assert attack.client.waiting().total == 0


# ── what a source no longer has ──────────────────────────────────────────────────────────────────────


def uses(number: int, source: str, target: str) -> Item:
    return {
        "type": "relationship", "spec_version": "2.1", "relationship_type": "uses", "source_ref": source,
        "target_ref": target, "id": f"relationship--{number:08d}-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip


def kinds(client: Client, run: int) -> dict[str, set[str]]:
    return {c.kind: {one.id for one in c.records} for c in client.run_changes(run).changes}


def test_objects_are_gone_only_after_a_whole_reading_and_come_back(client: Client, place: Path) -> None:
    box, objects = place / "box", [malware(n) for n in range(4)]
    ids = [o["id"] for o in objects]
    bundle(box / "feed.json", *objects)
    pipeline = watching(client, box)
    source = client.pipeline(pipeline).pipeline.source

    def run() -> dict[str, set[str]]:
        return kinds(client, loaded(client, pipeline).run)

    assert run() == {}
    bundle(box / "feed.json", *objects[:3])
    assert run() == {}, "nobody said that this source gives all it holds"
    client.change_source(source, options={"complete": True})
    bundle(box / "feed.json", *objects[:3], malware(9))
    assert run() == {}, "what it held at its first whole reading"
    bundle(box / "feed.json", *objects[:2])
    assert run() == {"gone": {ids[2], malware(9)["id"]}}
    text = json.dumps({"type": "bundle", "objects": [objects[0]]}).replace("]}", ', {"type": "malware" 5}]}')
    (box / "feed.json").write_text(text)
    found = loaded(client, pipeline)
    assert kinds(client, found.run) == {}
    assert any("can't be told" in note for note in found.notes)
    bundle(box / "feed.json", *objects[:3])
    assert run() == {"back": {ids[2]}}
    assert len(exported(client, "malware")) == 5


def test_undoing_a_run_takes_back_what_it_said_was_gone(client: Client, place: Path) -> None:
    box, objects = place / "box", [malware(n) for n in range(3)]
    bundle(box / "feed.json", *objects)
    pipeline = watching(client, box)
    client.change_source(client.pipeline(pipeline).pipeline.source, options={"complete": True})
    loaded(client, pipeline)
    bundle(box / "feed.json", *objects[:2])
    second = loaded(client, pipeline)
    assert kinds(client, second.run) == {"gone": {objects[2]["id"]}}
    client.undo_run(second.run)
    assert kinds(client, second.run) == {}
    key = next(r["_id"] for r in client.records("malware").rows if r["id"] == objects[2]["id"])
    assert client.record("malware", key).about.gone_from == []


# ── what is named and not here ───────────────────────────────────────────────────────────────────────


def test_a_reference_waits_across_feeds_and_restarts_until_its_object_comes(place: Path) -> None:
    first, second = place / "box" / "one", place / "box" / "two"
    relation = uses(1, malware(1)["id"], malware(2)["id"])
    desk = opened_at(place)
    first.mkdir()
    second.mkdir()
    bundle(first / "a.json", relation, malware(1))
    with asked(desk) as client:
        run = loaded(client, watching(client, first, "one"))
        assert kinds(client, run.run) == {"waiting": {relation["id"]}}
        [told] = client.waiting().ids
        assert (told.ref, told.records) == (malware(2)["id"], 1)
        assert [one.id for one in told.first] == [relation["id"]]
    closed(desk)

    desk = opened_at(place)
    bundle(second / "b.json", malware(2))
    with asked(desk) as client:
        assert client.waiting().total == 1
        other = loaded(client, watching(client, second, "two"))
        assert kinds(client, other.run) == {"settled": {relation["id"]}}
        assert client.waiting().total == 0
        assert kinds(client, run.run) == {}
        # Taken back, it is waited for again.
        client.undo_run(other.run)
        assert [each.ref for each in client.waiting().ids] == [malware(2)["id"]]
        key = client.records("relationship").rows[0]["_id"]
        assert client.record("relationship", key).about.waits_for == [malware(2)["id"]]
    closed(desk)


def test_what_was_there_all_along_is_waited_for_once_it_is_taken_back(client: Client, place: Path) -> None:
    first, second = place / "box" / "one", place / "box" / "two"
    first.mkdir()
    second.mkdir()
    bundle(first / "a.json", malware(2))
    bundle(second / "b.json", uses(1, malware(2)["id"], malware(2)["id"]))
    run = loaded(client, watching(client, first, "one"))
    loaded(client, watching(client, second, "two"))
    assert client.waiting().total == 0
    client.undo_run(run.run)
    assert [each.ref for each in client.waiting().ids] == [malware(2)["id"]]


def test_references_wait_however_deep_they_stand_and_standard_markings_do_not(
    client: Client, place: Path
) -> None:
    def ref(kind: str, number: int) -> str:
        return f"{kind}--{number:08d}-0000-4000-8000-000000000000"

    tlp = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
    one = malware(
        1,
        created_by_ref=ref("identity", 1),
        object_marking_refs=[tlp],
        granular_markings=[{"marking_ref": ref("marking-definition", 2), "selectors": ["name"]}],
        extensions={ref("extension-definition", 3): {"extension_type": "property-extension", "deep": [{"x_ref": ref("x-new", 4)}]}},
        description="No reference: tool--00000000-0000-4000-8000-000000000000 in a text.",
    )  # fmt: skip
    bundle(place / "box" / "a.json", one)
    loaded(client, watching(client, place / "box"))
    assert {each.ref for each in client.waiting().ids} == {
        ref("identity", 1), ref("marking-definition", 2), ref("extension-definition", 3), ref("x-new", 4)
    }  # fmt: skip


def test_a_newer_version_that_names_nothing_waits_for_nothing(client: Client, place: Path) -> None:
    box = place / "box"
    bundle(box / "a.json", malware(1, created_by_ref=f"identity--{1:08d}-0000-4000-8000-000000000000"))
    pipeline = watching(client, box)
    loaded(client, pipeline)
    assert client.waiting().total == 1
    bundle(box / "a.json", malware(1, modified="2026-02-01T00:00:00.000Z"))
    loaded(client, pipeline)
    assert client.waiting().total == 0
