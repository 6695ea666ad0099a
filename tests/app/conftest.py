"""A real gateway in a process of its own, with accounts of every role, for the tests of this folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
ADMIN = "ada"


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A gateway's process: its address, what it printed, and how to talk to it."""

    folder: Path
    env: dict[str, str]
    process: subprocess.Popen[str] = field(init=False)
    url: str = ""
    printed: list[str] = field(default_factory=list)
    verify: ssl.SSLContext | bool = True
    log: Path | None = None

    def start(self, setup: bool = True) -> None:
        """Start it and wait until it says where it is, and the set-up link if one is due."""
        errors = self.log.open("w") if self.log is not None else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.app.serve_stub"],
            cwd=ROOT, env=os.environ | self.env, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        self.printed = []
        for _ in range(2 if setup else 1):
            line = self.process.stdout.readline() if self.process.stdout else ""
            assert line, "the gateway did not start"
            self.printed.append(line.strip())
        self.url = self.printed[0].rsplit(" ", 1)[1]

    def stop(self, sig: int = signal.SIGTERM) -> float:
        """End it; gives how long that took."""
        began = time.monotonic()
        self.process.send_signal(sig)
        self.process.wait(30)
        return time.monotonic() - began

    @property
    def token(self) -> str:
        """The set-up link's token, as printed."""
        found = re.search(r"/setup\?token=(\S+)", " ".join(self.printed))
        assert found
        return found[1]

    def client(self, key: str = "", cookie: str = "") -> httpx.Client:
        """A client with an API key, or a browser's cookie and Origin, or neither."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        cookies = {"spire": cookie} if cookie else {}
        if cookie:
            headers["origin"] = self.url
        return httpx.Client(
            base_url=self.url, headers=headers, cookies=cookies, timeout=60, verify=self.verify
        )

    def sign_in(self, login: str = ADMIN, password: str = PASSWORD) -> str:
        """A cookie, as the form gives it."""
        with self.client() as http:
            form = {"login": login, "password": password}
            answer = http.post("/auth/login", data=form, headers={"origin": self.url})
            assert answer.status_code == 303, answer.text
            return answer.cookies["spire"]

    def set_up(self) -> str:
        """Make the first administrator; their cookie."""
        with self.client() as http:
            form = {
                "token": self.token,
                "login": ADMIN,
                "name": "Ada",
                "password": PASSWORD,
                "again": PASSWORD,
            }
            answer = http.post("/setup", data=form, headers={"origin": self.url})
            assert answer.status_code == 303, answer.text
            return answer.cookies["spire"]


def make(folder: Path, **settings: str) -> Served:
    """A gateway that is not started yet, with its data in `folder`."""
    env = {
        "SPIRE_DATA_DIR": str(folder / "data"),
        "SPIRE_KEY_FILE": str(folder / "root.key"),
        "SPIRE_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
    }
    return Served(folder, env | {f"SPIRE_{name.upper()}": value for name, value in settings.items()})


@pytest.fixture
def unserved() -> Iterator[Served]:
    """A gateway to start oneself; ended and cleared away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sp"))
    served = make(folder)
    yield served
    if served.process.poll() is None:
        served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class House:
    """A served gateway with an administrator and an API key of every role in the tenant `default`."""

    served: Served
    admin: str
    keys: dict[str, str]


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """One gateway for every test that does not stop it."""
    folder = Path(tempfile.mkdtemp(prefix="sp"))
    served = make(folder)
    served.start()
    try:
        admin = served.set_up()
        keys = {}
        with served.client(cookie=admin) as http:
            http.post("/api/v1/tenants", json={"id": "other", "name": "Another"}).raise_for_status()
            for role in ("viewer", "analyst", "engineer", "administrator", "auditor"):
                asked = {"name": role, "tenant": "default", "role": role}
                keys[role] = http.post("/api/v1/api-keys", json=asked).raise_for_status().json()["key"]
            for role in ("administrator", "auditor"):
                asked = {"name": role, "role": role}
                made = http.post("/api/v1/api-keys", json=asked).raise_for_status().json()
                keys[f"installation-{role}"] = made["key"]
        yield House(served, admin, keys)
    finally:
        served.stop()
        shutil.rmtree(folder, ignore_errors=True)
