"""A tenant of its own for each test: a real store, landing zone and API, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.tenant.loading import pause
from app.tenant.open import open_desk
from storage.keyring import derive


@pytest.fixture
def grant(tmp_path: Path) -> Grant:
    """What a worker would be given."""
    key = os.urandom(32)
    folder = tmp_path / "data" / "tenants" / "acme"
    check = derive(key, "acme").check
    return Grant(
        tenant="acme", key=key, check=check, folder=folder, socket=tmp_path / "s", audit_level="comprehensive"
    )


@pytest.fixture
def desk(grant: Grant) -> Iterator[Desk]:
    """The open tenant."""
    desk = open_desk(grant)
    yield desk
    pause(desk)
    desk.store.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[Client]:
    """The tenant's API, asked as an analyst called ana."""
    with Client.on_app(app_on(desk), user="ana", role="analyst") as client:
        yield client


FEED = """indicator,type,first_seen,confidence,tlp,notes
203[.]0[.]113[.]7,ip,2024-03-01,85,AMBER,"=HYPERLINK(""http://x"")"
hxxps://login[.]example[.]com/reset,url,2024-03-02T08:15:00Z,70,green,phishing page
44d88612fea8a8f36de82e1278abb02f,md5,2024-02-27,90,clear,test file
198.51.100.9,ip,2024-03-03,high,green,a word for a number
192.0.2.44,ip,2024-03-06
"""


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """Five lines of indicators: three good, one with a word for a number, one too short."""
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    return path
