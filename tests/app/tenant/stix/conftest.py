"""A tenant that reads STIX from a folder, in a place where it can be opened once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from app.tenant.desk import Desk
from tests.app.tenant.stix.loading import asked, closed, opened_at


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def desk(place: Path) -> Iterator[Desk]:
    desk = opened_at(place)
    yield desk
    closed(desk)


@pytest.fixture
def client(desk: Desk) -> Iterator[Client]:
    with asked(desk) as client:
        yield client
