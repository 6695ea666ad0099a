"""The test components themselves: a browser that draws and a database that stores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from tests.conftest import missing

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_postgres_answers_and_is_a_recent_one(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        assert int(connection.exec_driver_sql("show server_version_num").scalar_one()) >= 180000
    engine.dispose()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [(1600, 900)])
def test_a_page_has_the_scheme_and_size_it_was_asked_for(page: Page, scheme: str) -> None:
    page.set_content("<title>t</title><p>text")
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    assert page.evaluate("innerWidth") == 1600


def test_a_home_of_the_run_stands_in_for_the_persons_own() -> None:
    assert Path.home().name == "home"
    assert "spire-tests-" in str(Path.home())
    assert not [n for n in os.environ if n.startswith("SPIRE_") and not n.startswith("SPIRE_TEST_")]


def test_the_public_data_is_there(shared_data: Path) -> None:
    assert (shared_data / "README.md").exists()


def test_a_missing_required_component_is_a_skip_for_a_person_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="PostgreSQL: none here"):
        missing("PostgreSQL", "none here")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="required"):
        missing("PostgreSQL", "none here")
