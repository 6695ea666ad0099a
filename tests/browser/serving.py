"""The whole product in a process of its own, as `spire serve` starts it, with a home and data of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.servers.process import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"


@dataclass
class Served:
    """A running product: where it is, its one-time set-up link, and what it printed."""

    url: str
    link: str
    printed: list[str] = field(default_factory=list)
    cookie: str = ""

    def http(self, cookie: str = "") -> httpx.Client:
        """A browser's way to the API: its cookie and its Origin."""
        return httpx.Client(
            base_url=self.url,
            cookies={"spire": cookie or self.cookie},
            headers={"origin": self.url},
            timeout=60,
        )

    def set_up(self) -> None:
        """Make the first administrator, ada, where a test is about something else."""
        token = self.link.partition("token=")[2]
        form = {"token": token, "login": "ada", "name": "Ada", "password": PASSWORD, "again": PASSWORD}
        answer = httpx.post(f"{self.url}/setup", data=form, headers={"origin": self.url}, timeout=60)
        assert answer.status_code == 303, answer.text
        self.cookie = answer.cookies["spire"]

    def sign_in(self, login: str) -> str:
        """A cookie, as the form gives it."""
        form = {"login": login, "password": PASSWORD}
        answer = httpx.post(f"{self.url}/auth/login", data=form, headers={"origin": self.url}, timeout=60)
        assert answer.status_code == 303, answer.text
        return answer.cookies["spire"]

    def add_person(self, login: str, role: str) -> None:
        """An account with a role in the first tenant."""
        body = {"login": login, "name": login.title(), "password": PASSWORD, "tenants": {"default": role}}
        with self.http() as http:
            assert http.post("/api/v1/users", json=body).status_code == 201


@contextmanager
def serving(**settings: str) -> Iterator[Served]:
    """Start it on a free port with these settings (SPIRE_…), give it once it answers, and end it."""
    folder = Path(tempfile.mkdtemp(prefix="sb"))
    (folder / "home").mkdir()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", "from app.cli import main; main()", "serve"],
        cwd=ROOT,
        env=os.environ
        | {"HOME": str(folder / "home"), "SPIRE_DATA_DIR": str(folder / "data"), "SPIRE_PORT": str(port)}
        | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []
    reading = threading.Thread(target=lambda: printed.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reading.start()
    try:
        yield Served(f"http://127.0.0.1:{port}", _link(process, printed), printed)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _link(process: subprocess.Popen[str], printed: list[str]) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = re.search(r"http://\S+/setup\?token=\S+", "".join(printed))
        if found:
            return found[0]
        assert process.poll() is None, "".join(printed)
        time.sleep(0.05)
    raise AssertionError("no set-up link was printed:\n" + "".join(printed))
