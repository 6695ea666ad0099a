"""A TAXII server as a source: read into the store, and after that only what is new."""

from __future__ import annotations

from app.client import Client
from app.tenant.desk import Desk
from tests.servers.taxii import ACCOUNT, PASSWORD, TOGETHER, Taxii


def test_a_collection_is_read_whole_and_then_only_what_is_new(
    client: Client, desk: Desk, taxii_server: Taxii
) -> None:
    desk.settings = desk.settings.model_copy(update={"url_allow": ("127.0.0.1",)})
    config = {"url": taxii_server.url, "username": ACCOUNT, "password": PASSWORD, "overlap": 1}
    made = client.create_source(connector="taxii", config=config, name="A server")
    assert client.check_source(made.source.id).ok
    assert PASSWORD not in made.model_dump_json()
    assert made.source.shape is not None
    saved = client.create_pipeline(
        name="A server", source=made.source.id, mappings=made.source.shape.mappings
    )

    first = client.wait_run(client.start_run(saved.pipeline.id).run).ledger
    assert (first.read, first.inserted) == (len(taxii_server.objects), len(taxii_server.objects))
    again = client.wait_run(client.start_run(saved.pipeline.id).run).ledger
    assert again.read == again.unchanged
    assert again.read <= TOGETHER
