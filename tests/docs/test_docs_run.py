"""The documentation runs: blocks fenced ```sh test or ```python test, page by page, on a fresh installation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.settings import Settings
from engine.rules import OPERATORS
from engine.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)( test)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block that runs, and the lines that must be in its output (`…` stands for anything)."""

    language: str
    code: str
    output: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that run, each with the ```output block before the next one."""
    found: list[Block] = []
    for language, test, code in FENCE.findall(page.read_text()):
        if test:
            found.append(Block(language, code, ()))
        elif language == "output" and found:
            last = found.pop()
            found.append(Block(last.language, last.code, (*last.output, *code.splitlines())))
    return found


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_to_type_does_what_it_says(page: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SPIRE_DATA_DIR": str(tmp_path / "data"),
    }
    for block in blocks(page):
        command = ["sh", "-eu", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*command, block.code],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"
        for line in block.output:
            wanted = ".*".join(map(re.escape, line.strip().split("…"))).replace(r"\ ", r"\s*")
            assert re.search(wanted, done.stdout), (
                f"{line!r} is not in the output of\n{block.code}\n{done.stdout}"
            )


def test_every_link_of_a_page_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"))
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if not link.startswith("https://") and not (page.parent / link).exists()
    ]
    assert not broken


def test_operations_lists_every_setting_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    listed = re.findall(r"^\| `SPIRE_(\w+)` \|", page, re.MULTILINE)
    assert listed == [name.upper() for name in Settings.model_fields]


def test_operations_describes_each_setting_as_the_product_does() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    undescribed = [
        name
        for name, field in Settings.model_fields.items()
        if field.description and f"| {field.description} |" not in page
    ]
    assert not undescribed


def test_mapping_names_every_step_and_no_other() -> None:
    page = (ROOT / "docs" / "ingestion" / "mapping.md").read_text()
    table = page.partition("## Steps")[2].partition("\n\nThe editor")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(STEPS)


def test_rules_names_every_operator_and_no_other() -> None:
    page = (ROOT / "docs" / "ingestion" / "rules.md").read_text()
    rows = "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", rows)) == set(OPERATORS)
