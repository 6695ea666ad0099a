"""The lock files hold what pyproject.toml asks for, by hash, and name no index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-test.lock")


def pins(name: str) -> dict[str, set[str]]:
    """Package → versions, which may be several with markers for different Pythons."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE
    ):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def asked(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(("lock", "extras"), [(LOCKS[0], ("build",)), (LOCKS[1], ("build", "test"))])
def test_the_lock_satisfies_everything_pyproject_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    have = pins(lock)
    wrong = [
        str(wanted)
        for wanted in asked(*extras)
        if not any(
            wanted.specifier.contains(v, prereleases=True)
            for v in have.get(canonicalize_name(wanted.name), ())
        )
    ]
    assert not wrong, f"run `make lock`: {wrong}"


def test_tests_run_against_the_very_versions_that_people_get() -> None:
    runtime, test = (pins(lock) for lock in LOCKS)
    assert {name: test.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_pins_every_file_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)
