"""An organisation with contacts, ten of which share each stamp."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.salesforce import RECORDS, contact
from tests.servers.salesforce import Salesforce


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Iterator[Salesforce]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    made = Salesforce(page=10)
    # Every fifth minute ten records share a stamp: pages end between them.
    made.add("Contact", *(contact(n, n // 10 * 5) for n in range(RECORDS)))
    yield made
    made.close()
