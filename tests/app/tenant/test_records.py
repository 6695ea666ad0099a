"""Records are browsed, traced to their line, and asked in SQL that can do nothing else."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from app.client import Client
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.wire import MustAct, NotThere
from storage import explorer


def test_records_are_filtered_searched_and_paged(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)

    assert client.records("indicator", search="phishing").rows[0]["value_type"] == "url"
    page = client.records("indicator", order="value", limit=2)
    assert (len(page.rows), page.total, page.extent) == (2, 3, "sample of 2 of 3 rows")
    rest = client.records("indicator", order="value", limit=2, offset=2)
    assert sorted(r["value"] for r in (*page.rows, *rest.rows)) == [
        r["value"] for r in (*page.rows, *rest.rows)
    ]
    with pytest.raises(NotThere):
        client.records("indicator", where=["colour=red"])
    with pytest.raises(NotThere):
        client.records("nonsense")


def test_a_record_leads_to_its_file_line_run_and_mapping(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    row = client.records("indicator", where=["value_type=md5"]).rows[0]

    found = client.lineage("indicator", row["_id"])

    assert (found.origin.payload, found.origin.line, found.origin.run) == ("feed.csv", 4, done.run)
    assert found.origin.raw == "44d88612fea8a8f36de82e1278abb02f,md5,2024-02-27,90,clear,test file"
    assert found.origin.mapping == client.pipeline(done.pipeline).mapping_versions[0]
    value = next(f for f in found.fields if f.field == "value")
    assert value.sources["indicator"] == "44d88612fea8a8f36de82e1278abb02f"


def test_every_version_of_a_record_is_kept_with_its_origin(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    feed.write_text(feed.read_text().replace("test file", "the test file"))
    client.ingest(feed, wait=60)
    row = client.records("indicator", where=["value_type=md5"]).rows[0]

    versions = client.record("indicator", row["_id"]).versions

    assert [v.values["description"] for v in versions] == ["the test file", "test file"]
    assert [v.latest for v in versions] == [True, False]
    assert [v.origin.run for v in versions if v.origin] == [2, 1]


def test_a_query_reads_records_and_books_and_nothing_else(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)

    found = client.query("SELECT value_type, count(*) AS n FROM indicator GROUP BY 1 ORDER BY 1")
    assert (found.columns, found.rows) == (["value_type", "n"], [["ipv4", 1], ["md5", 1], ["url", 1]])
    assert client.query("SELECT 1 AS x FROM range(50)", 10).truncated
    for sql in (
        "DELETE FROM indicator", "SELECT * FROM read_text('/etc/passwd')", "ATTACH 'x'", "SELECT 1; SELECT 2",
        "SELECT * FROM store.spire.definitions", "SELECT * FROM duckdb_secrets()", "COPY indicator TO '/tmp/x'",
    ):  # fmt: skip
        with pytest.raises(MustAct):
            client.query(sql)


def test_a_query_that_takes_too_long_is_stopped(client: Client) -> None:
    with pytest.raises(MustAct, match="too long"):
        client.query(
            "SELECT count(*) FROM range(100000) a, range(1000000) b WHERE a.range * b.range = 7", timeout=0.3
        )


def test_a_defanged_value_finds_the_plain_one_and_facets_follow(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)

    found = client.facets("indicator", search="hxxps://login[.]example")
    assert found.total == 1
    assert client.records("indicator", search="hxxps://login[.]example[.]com/reset", match="whole").total == 1
    assert client.records("indicator", search="login", match="whole").total == 0

    every = client.facets("indicator")
    kinds = next(f for f in every.facets if f.field == "value_type")
    assert {v.value: v.count for v in kinds.values} == {"ipv4": 1, "md5": 1, "url": 1}
    strong = next(f for f in every.facets if f.field == "confidence").values[0]
    assert (strong.label, strong.count) == ("high (70–100)", 3)
    two = ["value_type=ipv4", "value_type=md5"]
    assert client.records("indicator", where=two).total == 2
    assert client.facets("indicator", where=[*two, "tlp=AMBER"]).total == 1


def test_records_over_time_fill_the_days_between(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)

    line = client.facets("indicator", time="first_seen").timeline

    assert line is not None
    assert (line.unit, [bar.count for bar in line.bars]) == ("day", [1, 0, 0, 1, 1])
    span = f"first_seen={line.bars[3].start:%Y-%m-%d}..{line.bars[4].start:%Y-%m-%d}"
    assert [r["value_type"] for r in client.records("indicator", where=[span]).rows] == ["ipv4"]
    with pytest.raises(MustAct, match="can't be read"):
        client.records("indicator", where=["first_seen=soon..later"])


BUNDLE = {
    "type": "bundle",
    "id": "bundle--00000000-0000-4000-8000-000000000001",
    "objects": [
        {"type": "malware", "spec_version": "2.1", "id": "malware--11111111-1111-4111-8111-111111111111",
         "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z", "name": "Grey", "is_family": True},
        {"type": "indicator", "spec_version": "2.1", "id": "indicator--22222222-2222-4222-8222-222222222222",
         "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z", "valid_from": "2024-01-01T00:00:00Z",
         "pattern": "[ipv4-addr:value = '203.0.113.7']", "pattern_type": "stix"},
        {"type": "relationship", "spec_version": "2.1", "id": "relationship--33333333-3333-4333-8333-333333333333",
         "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z", "relationship_type": "indicates",
         "source_ref": "indicator--22222222-2222-4222-8222-222222222222",
         "target_ref": "malware--11111111-1111-4111-8111-111111111111"},
        {"type": "sighting", "spec_version": "2.1", "id": "sighting--44444444-4444-4444-8444-444444444444",
         "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z", "count": 7,
         "first_seen": "2024-02-01T00:00:00Z", "last_seen": "2024-02-09T00:00:00Z",
         "sighting_of_ref": "indicator--22222222-2222-4222-8222-222222222222"},
    ],
}  # fmt: skip


def test_a_record_knows_what_it_is_related_to_and_how_often_it_was_seen(
    client: Client, feed: Path, tmp_path: Path
) -> None:
    (tmp_path / "b.json").write_text(json.dumps(BUNDLE))
    client.ingest(tmp_path / "b.json", wait=60)
    client.ingest(feed, wait=60)
    row = next(
        r
        for r in client.records("indicator", search="203.0.113.7").rows
        if r["id"].startswith("indicator--2222")
    )

    found = client.relations("indicator", row["_id"])

    told = {(r.label, r.way, r.target, r.name) for r in found.relations}
    assert ("indicates", "out", "malware", "Grey") in told
    # The same address came in a feed, without any reference to the STIX indicator.
    assert ("same value", "same", "indicator", "203.0.113.7") in told
    assert found.sightings is not None
    assert (found.sightings.reports, found.sightings.times) == (1, 7)
    back = client.relations("malware", client.records("malware").rows[0]["_id"])
    assert [(r.label, r.way, r.name) for r in back.relations] == [("indicates", "in", "203.0.113.7")]


def test_misp_attributes_know_their_object_and_its_references(client: Client, tmp_path: Path) -> None:
    attribute = {"uuid": "55555555-5555-4555-8555-555555555555", "type": "ip-dst", "category": "Network activity",
                 "to_ids": True, "value": "198.51.100.7", "timestamp": "1700000000"}  # fmt: skip
    inside = attribute | {
        "uuid": "66666666-6666-4666-8666-666666666666",
        "value": "198.51.100.8",
        "object_relation": "ip",
    }
    thing = {"uuid": "77777777-7777-4777-8777-777777777777", "name": "ip-port", "meta-category": "network",
             "timestamp": "1700000000", "Attribute": [inside],
             "ObjectReference": [{"referenced_uuid": attribute["uuid"], "relationship_type": "connects-to"}]}  # fmt: skip
    event = {"uuid": "88888888-8888-4888-8888-888888888888", "info": "An event", "date": "2024-01-01",
             "timestamp": "1700000000", "Attribute": [attribute], "Object": [thing]}  # fmt: skip
    (tmp_path / "e.json").write_text(json.dumps({"Event": event}))
    client.ingest(tmp_path / "e.json", wait=60)

    def ways(value: str) -> set[tuple[str, str, str]]:
        row = client.records("indicator", where=[f"value={value}"]).rows[0]
        return {(r.label, r.way, r.target) for r in client.relations("indicator", row["_id"]).relations}

    assert ways("198.51.100.7") == {("event", "out", "report"), ("connects-to", "in", "stix-object")}
    assert ways("198.51.100.8") == {("event", "out", "report"), ("ip of", "out", "stix-object")}


def test_a_record_shows_its_values_so_that_nobody_clicks_on_them(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    row = client.records("indicator", where=["value_type=url"]).rows[0]
    assert client.record("indicator", row["_id"]).defanged["value"] == "hxxps://login[.]example[.]com/reset"


def test_a_built_in_model_without_records_is_an_empty_table(client: Client) -> None:
    found = client.query("SELECT name FROM malware")
    assert (found.columns, found.types, found.rows) == (["name"], ["VARCHAR"], [])


def test_a_wrong_query_says_where(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    with pytest.raises(MustAct) as refused:
        client.query("SELECT value,\n  confidense\nFROM indicator")
    assert refused.value.position == {"line": 2, "column": 3, "length": 10}
    assert "confidence" in refused.value.action


def test_queries_are_remembered_for_each_person_and_saved_for_all(
    client: Client, desk: Desk, feed: Path
) -> None:
    client.ingest(feed, wait=60)
    sql = "SELECT value_type, count(*) AS n FROM indicator GROUP BY 1 ORDER BY 1"
    asked = client.query(sql, keep=True).asked
    client.query(sql, keep=True)
    client.query("SELECT 2", keep=True)
    with pytest.raises(MustAct):
        client.query("SELECT nothing FROM indicator", keep=True)

    history = client.query_history()
    assert [(q.sql, q.outcome) for q in history] == [
        ("SELECT nothing FROM indicator", "refused"), ("SELECT 2", "done"), (sql, "done"),
    ]  # fmt: skip
    assert asked is not None
    with Client.on_app(app_on(desk), user="bob", role="viewer") as bob:
        assert bob.query_history() == []
        with pytest.raises(NotThere):
            b"".join(bob.export_query(history[-1].id))
        client.save_query("Kinds", sql)
        client.save_query("Kinds", sql + " DESC")
        client.save_query("种类", sql)
        saved = bob.saved_queries()
    assert [(q.name, q.version, q.author) for q in saved] == [("Kinds", 2, "ana"), ("种类", 1, "ana")]
    client.delete_query(saved[0].id)
    assert [q.name for q in client.saved_queries()] == ["种类"]

    csv = b"".join(client.export_query(history[-1].id)).decode()
    assert csv.splitlines() == ["value_type,n", "ipv4,1", "md5,1", "url,1"]
    assert pq.read_table(io.BytesIO(b"".join(client.export_query(history[-1].id, "parquet")))).num_rows == 3
    assert json.loads(b"".join(client.export_query(history[-1].id, "json")))[0] == {
        "value_type": "ipv4",
        "n": 1,
    }
    client.forget_queries()
    assert client.query_history() == []


def test_a_query_under_way_is_cancelled_by_its_asker_alone(client: Client, desk: Desk) -> None:
    endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b"
    with ThreadPoolExecutor() as pool, Client.on_app(app_on(desk), user="bob", role="viewer") as bob:
        asking = pool.submit(lambda: client.query(endless, name="mine", keep=True))
        time.sleep(0.3)
        assert not bob.cancel_query("mine").cancelled
        with Client.on_app(app_on(desk), user="ana", role="analyst") as again:
            while not again.cancel_query("mine").cancelled:
                time.sleep(0.05)
        with pytest.raises(MustAct, match="cancelled"):
            asking.result(20)
    assert client.query_history()[0].outcome == "cancelled"


def test_the_tables_a_query_may_read_are_told_with_their_columns(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    found = {table.name: table for table in client.tables()}
    assert found["indicator"].rows == 3
    assert ("confidence", "BIGINT") in [(c.name, c.type) for c in found["indicator"].columns]
    assert found["rejects"].rows is None


def test_a_choice_is_kept_for_the_person_who_made_it(client: Client, desk: Desk) -> None:
    client.prefer("columns-indicator", ["value", "tlp"])
    assert client.preference("columns-indicator") == ["value", "tlp"]
    with Client.on_app(app_on(desk), user="bob", role="viewer") as bob:
        assert bob.preference("columns-indicator") is None
    client.prefer("columns-indicator", None)
    assert client.preference("columns-indicator") is None


def test_a_read_that_needs_too_much_memory_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise duckdb.OutOfMemoryException("failed to pin block")

    monkeypatch.setattr(explorer, "browse", broken)
    with pytest.raises(MustAct, match="memory") as refused:
        client.records("indicator")
    assert "SPIRE_WORKER_MEMORY" in refused.value.action
