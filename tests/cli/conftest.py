"""The real program as a person starts it, on an installation of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Spire:
    """The command `spire` with a data folder and a key file of its own."""

    home: Path

    def __call__(self, *arguments: str | Path, text: str = "", **variables: str) -> Answer:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SPIRE_")},
            "SPIRE_DATA_DIR": str(self.home / "data"),
            "SPIRE_KEY_FILE": str(self.home / "keys" / "root.key"),
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *map(str, arguments)],
            cwd=ROOT, env=environment, input=text, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)


class Inside(Spire):
    """The same program called in this process, which spares its start."""

    def __call__(self, *arguments: str | Path, text: str = "", **variables: str) -> Answer:
        from app.cli import chosen, main

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(chosen, "_flags", {})
            patch.setattr(sys, "stdin", io.StringIO(text))
            for name, value in {
                "SPIRE_DATA_DIR": str(self.home / "data"),
                "SPIRE_KEY_FILE": str(self.home / "keys" / "root.key"),
                **variables,
            }.items():
                patch.setenv(name, value)
            try:
                main([str(each) for each in arguments])
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One installation for a module's tests, made by the first command."""
    return tmp_path_factory.mktemp("installation")


@pytest.fixture(scope="module")
def spire(home: Path) -> Spire:
    """The program as a process."""
    return Spire(home)


@pytest.fixture(scope="module")
def inside(home: Path) -> Spire:
    """The program in this process, on the same installation."""
    return Inside(home)
