"""Sources are looked at, and read another way when a person says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.wire import MustAct, NotThere
from engine.model import Dialect


def test_a_preview_accounts_for_every_line_and_says_of_how_many(client: Client, feed: Path) -> None:
    made = client.create_source(payload=client.upload(feed).payload)
    found = client.source_preview(made.source.id, 2)

    assert (found.read, found.parsed, found.rejected) == (5, 4, 1)
    assert [row.line for row in found.rows] == [2, 3]
    assert found.rows[0].values["indicator"] == "203[.]0[.]113[.]7"
    assert found.faults[0].line == 6
    assert found.faults[0].raw == "192.0.2.44,ip,2024-03-06"
    assert found.first_lines[0].startswith("indicator,type")
    assert found.extent == "sample of 2 of 4 rows"
    assert client.source_preview(made.source.id, 100).extent == "all 4 rows"


def test_a_changed_dialect_reads_the_same_bytes_anew(client: Client) -> None:
    made = client.create_source(text="a;b\n1;2\n3;4\n", name="semi")
    wrong = client.change_source(made.source.id, dialect=Dialect(delimiter=","))
    assert wrong.source.shape is not None
    assert [f.name for f in wrong.source.shape.fields] == ["a;b"]

    right = client.change_source(made.source.id, dialect=Dialect(delimiter=";"), based_on=wrong.version)

    assert right.source.shape is not None
    assert [f.name for f in right.source.shape.fields] == ["a", "b"]
    assert right.version == 3
    with pytest.raises(MustAct, match="newer version"):
        client.change_source(made.source.id, name="other", based_on=1)


def test_a_profile_tells_what_the_values_are_whatever_the_column_is_called(client: Client) -> None:
    made = client.create_source(text="x1,x2\n203.0.113.7,1\n198.51.100.2,2\n", name="plain")
    found = client.source_profile(made.source.id, whole=True)

    assert found.profile.column("x1").type == "ipv4"
    assert found.extent == "all 2 rows"


def test_a_sample_source_is_read_by_its_connector(client: Client) -> None:
    made = client.create_source(connector="sample", config={"sample": "campaign"})
    assert made.source.shape is not None
    assert made.source.shape.mappings
    assert made.payload is not None
    assert client.check_source(made.source.id).ok
    assert {s.name for s in client.samples()} >= {"indicators", "campaign"}


def test_a_secret_is_never_shown_again_and_survives_a_change(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import connectors.url
    from engine.ports import Payload

    def read(config: connectors.url.Config, since: object, reach: object) -> list[Payload]:
        import io

        assert config.secret.get_secret_value() == "s3cr3t"
        return [Payload("feed.csv", io.BytesIO(b"a,b\n1,2\n"))]

    # The one thing replaced is the network.
    monkeypatch.setattr(connectors.url, "read", read)
    config = {"url": "https://feeds.example/x.csv", "header": "Auth-Key", "secret": "s3cr3t"}
    made = client.create_source(connector="url", config=config, name="feed")
    assert "s3cr3t" not in made.model_dump_json()

    changed = client.change_source(made.source.id, config={**made.source.config, "header": "Authorization"})

    assert changed.source.config["header"] == "Authorization"
    assert "s3cr3t" not in client.audit().model_dump_json()


def test_a_source_in_use_is_not_deleted(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    with pytest.raises(MustAct, match="still uses"):
        client.delete_source(done.source)
    client.delete_pipeline(done.pipeline)
    client.delete_source(done.source)
    with pytest.raises(NotThere):
        client.source(done.source)
    assert client.records("indicator").total == 3


def test_an_unknown_connector_or_format_names_those_there_are(client: Client) -> None:
    with pytest.raises(MustAct) as refused:
        client.create_source(connector="telepathy")
    assert "upload" in refused.value.action
    with pytest.raises(MustAct) as refused:
        client.create_source(text="a,b\n1,2\n", format="runes")
    assert "csv" in refused.value.action


def test_the_lines_of_a_text_add_up_with_what_each_was_read_as(client: Client) -> None:
    text = '# shared\nip,note\n192.0.2.1,"two\nlines"\n\n192.0.2.2\n192.0.2.3,three\n# end\n'
    made = client.create_source(text=text, name="lines")
    found = client.source_preview(made.source.id).account

    assert found is not None
    kinds = [line.read_as for line in found.first]
    assert kinds == ["comment", "header", "row", "continued", "blank", "rejected", "row", "comment"]
    assert (found.lines, found.rows, found.continued, found.rejected) == (8, 2, 1, 1)
    assert (found.header, found.comments, found.blank, found.unaccounted) == (1, 2, 1, 0)
    assert [(line.line, line.text) for line in found.odd] == [(6, "192.0.2.2")]
    assert found.whole


def test_the_lines_add_up_in_every_encoding_and_inside_gzip(client: Client) -> None:
    import gzip
    import io

    text = 'name;seen\r\n"Ä\r\nB";1\r\nÖ;2\r\n'
    for data, name in (
        (text.encode("utf-16"), "wide.csv"),
        (text.encode("cp1252"), "west.csv"),
        (gzip.compress(text.encode()), "packed.csv.gz"),
    ):
        made = client.create_source(payload=client.upload_stream(io.BytesIO(data), name).payload)
        found = client.source_preview(made.source.id).account
        assert found is not None, name
        assert (found.lines, found.rows, found.continued, found.unaccounted) == (4, 2, 1, 0), name


def test_a_figure_of_the_profile_leads_to_its_rows(client: Client) -> None:
    ips = "".join(f"192.0.2.{n},{'a' if n % 2 else ''},0{n}\n" for n in range(1, 21))
    made = client.create_source(text=f"ip,note,code\n{ips}not an address,1.9E+18,7\n", name="figures")
    id = made.source.id

    def count(**one: str) -> int:
        return client.source_rows(id, [one]).matched

    found = client.source_rows(id, [{"field": "ip", "by": "outliers"}])
    assert [(row.line, row.values["ip"]) for row in found.rows] == [(22, "not an address")]
    assert (found.matched, found.looked, found.extent) == (1, 21, "all 21 rows")
    assert count(field="note", by="empty") == 10
    assert count(field="note", by="value", value="a") == 10
    assert count(field="note", by="mangled") == 1
    assert count(field="code", by="zeros") == 20
    assert count(field="ip", by="mask", value="9.9.9.9") == 20
    both = [
        {"field": "note", "by": "value", "value": "a"},
        {"field": "ip", "by": "value", "value": "192.0.2.3"},
    ]
    assert [row.line for row in client.source_rows(id, both).rows] == [4]
    assert len(client.source_rows(id, [], offset=20, limit=5).rows) == 1
    with pytest.raises(MustAct, match="no such field"):
        count(field="nothing", by="empty")


def test_an_outline_names_what_else_could_be_read(client: Client, tmp_path: Path) -> None:
    import json
    import zipfile

    from openpyxl import Workbook

    document = {"meta": {"n": 2}, "hosts": [{"ip": "192.0.2.1"}] * 3, "hashes": [{"md5": "x"}] * 5}
    made = client.create_source(text=json.dumps(document), name="nested")
    places = {tuple(p.path or ()): p for p in client.source_outline(made.source.id).places}
    assert places["hosts",].count == 3
    assert places["hosts",].fields == ["ip"]
    assert places["hashes",].chosen
    other = client.change_source(made.source.id, options={"record_path": ["hosts"]})
    assert other.source.shape is not None
    assert [f.name for f in other.source.shape.fields] == ["ip"]

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("big.csv", "a,b\n1,2\n3,4\n5,6\n")
        archive.writestr("other.csv", "ip\n192.0.2.9\n")
    made = client.create_source(payload=client.upload(tmp_path / "two.zip").payload)
    assert [(m.name, m.chosen) for m in client.source_outline(made.source.id).members] == [
        ("big.csv", True),
        ("other.csv", False),
    ]
    client.change_source(made.source.id, options={"members": ["other.csv"]})
    assert client.source_preview(made.source.id).rows[0].values == {"ip": "192.0.2.9"}
    with pytest.raises(MustAct, match="fits"):
        client.change_source(made.source.id, options={"members": ["other.csv", "big.csv"]})

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (("Exported", None), ("host", "owner"), ("unit", "team"), ("a.example", "one")):
        sheet.append(line)
    book.save(tmp_path / "book.xlsx")
    made = client.create_source(payload=client.upload(tmp_path / "book.xlsx").payload)
    client.change_source(made.source.id, options={"header_row": 3})
    found = client.source_outline(made.source.id)
    assert (found.header_row, found.first_rows[1]) == (3, ["host", "owner"])
    kept = client.change_source(made.source.id, options={"sheet": found.sheets[0].name})
    assert kept.source.shape is not None
    assert [f.name for f in kept.source.shape.fields] == ["unit", "team"]
    bare = client.change_source(made.source.id, options={"header_row": 0})
    assert bare.source.shape is not None
    assert len(client.source_preview(made.source.id).rows) == 4


def test_only_the_chosen_types_of_a_stix_bundle_are_read(client: Client) -> None:
    made = client.create_source(connector="sample", config={"sample": "campaign"})
    types = client.source_outline(made.source.id).types
    assert len(types) > 1
    assert all(kind.chosen for kind in types)
    one = types[0]
    changed = client.change_source(made.source.id, options={"types": [one.type]})
    assert changed.source.shape is not None
    chosen = [kind.type for kind in client.source_outline(made.source.id).types if kind.chosen]
    assert chosen == [one.type]
    assert all(one.type in (m.where or "") for m in changed.source.shape.mappings)


def test_files_of_one_shape_become_one_source_and_all_of_them_are_run(client: Client, tmp_path: Path) -> None:
    made = []
    for name, n in (("one.csv", 1), ("two.csv", 2), ("three.csv", 3)):
        (tmp_path / name).write_text(f"domain,seen\nd{n}.example,2026-01-0{n}\n")
        made.append(client.create_source(payload=client.upload(tmp_path / name).payload).source.id)
    joined = client.join_sources(made, "parts").source

    assert [view.source.id for view in client.sources()] == [joined.id]
    assert joined.name == "parts"
    assert [row.values["domain"] for row in client.source_preview(joined.id).rows] == [
        "d1.example", "d2.example", "d3.example",
    ]  # fmt: skip
    assert client.source_profile(joined.id).extent == "all 3 rows"
    other = client.create_source(text="x;y\n1;2\n", name="other")
    with pytest.raises(MustAct, match="can't be read as one"):
        client.join_sources([joined.id, other.source.id])


def test_a_run_of_a_joined_source_reads_every_file(desk: Desk, tmp_path: Path) -> None:
    with Client.on_app(app_on(desk), user="eva", role="engineer") as client:
        made = []
        for n in (1, 2):
            (tmp_path / f"{n}.csv").write_text(f"domain,seen\nd{n}.example,2026-01-0{n}\n")
            made.append(client.create_source(payload=client.upload(tmp_path / f"{n}.csv").payload).source.id)
        joined = client.join_sources(made).source
        best = client.suggest(joined.id).suggestions[0]
        pipeline = client.create_pipeline(name="parts", source=joined.id, mappings=[best.mapping]).pipeline
        assert client.start_run(pipeline.id, dry_run=True, wait=30).ledger.read == 2
        run = client.start_run(pipeline.id, wait=60)
        assert (run.state, run.ledger.read, run.ledger.balanced) == ("finished", 2, True)
        assert len(run.payloads) == 2


def test_a_feed_that_comes_with_the_product_is_a_source_but_for_its_key(client: Client) -> None:
    feeds = {feed.name: feed for feed in client.feeds()}
    connectors = {connector.name: connector for connector in client.connectors()}
    assert {"otx", "urlhaus", "threatfox", "feodo", "kev", "nvd", "github"} <= set(feeds)
    for feed in feeds.values():
        asked = connectors[feed.connector].config["properties"]
        assert set(feed.config) <= set(asked)
        assert bool(feed.key) == (feed.config.get("auth") == "header")


def test_a_configuration_is_tried_before_a_source_is_made_of_it(client: Client) -> None:
    tried = client.check_connection("taxii", {"url": "http://127.0.0.1:9/", "password": "s3cr3t"})
    assert not tried.ok
    assert tried.stages[-1].action
    assert "s3cr3t" not in client.audit().model_dump_json()
    assert client.sources() == []
    assert not client.check_connection("rest", {"url": "nowhere"}).ok


def test_sources_of_one_name_made_at_once_all_come_to_be(client: Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(6) as pool:
        made = list(
            pool.map(lambda n: client.create_source(text=f"ip\n192.0.2.{n}\n", name="pasted text"), range(12))
        )
    assert len({view.source.id for view in made}) == 12
