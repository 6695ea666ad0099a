"""Sources are looked at, and read another way when a person says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import Client
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
