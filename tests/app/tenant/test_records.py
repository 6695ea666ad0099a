"""Records are browsed, traced to their line, and asked in SQL that can do nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.wire import MustAct, NotThere


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
