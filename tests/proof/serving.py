"""An installation of its own for a test: a real gateway on a free port with real workers, to be harmed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.client import Client
from app.wire import NoAnswer
from engine.errors import Retry
from tests.app.conftest import ROOT, Served, free_port

READY = 60.0


@dataclass
class Installation(Served):
    """A gateway's process with its data, temporary files and log in one folder that can be searched."""

    module: str = "tests.proof.serve"
    admin: str = ""

    def start(self, setup: bool = True) -> None:
        """Start it and wait until it says where it is. `setup` is of no matter: the log tells."""
        assert self.log is not None
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT, env=os.environ | self.env, stdout=log, stderr=log, text=True,
            )  # fmt: skip
        until(lambda: "Phantom Spire is at" in self._said(before) or self.process.poll() is not None, READY)
        self.printed = self._said(before).splitlines()
        assert self.process.poll() is None, "\n".join(self.printed[-5:])
        self.url = f"http://127.0.0.1:{self.env['SPIRE_PORT']}"

    def _said(self, since: int) -> str:
        assert self.log is not None
        return self.log.read_bytes()[since:].decode(errors="replace")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def tenant(self, id: str, *, make: bool = True) -> Client:
        """The API of a tenant, made first, asked with a key of its administrator."""
        with self.client(cookie=self.admin) as http:
            if make:
                http.post("/api/v1/tenants", json={"id": id, "name": id}).raise_for_status()
        return Client.over_https(self.url, self.key(id, "administrator"), id)

    def key(self, tenant: str | None, role: str) -> str:
        """A new API key."""
        with self.client(cookie=self.admin) as http:
            asked = {"name": f"{tenant} {role}", "tenant": tenant, "role": role}
            return str(http.post("/api/v1/api-keys", json=asked).raise_for_status().json()["key"])

    def socket(self, tenant: str) -> Path:
        return self.data / "run" / f"{tenant}.sock"

    def worker(self, tenant: str) -> int | None:
        """The process id of the tenant's worker; None where it does not answer."""
        transport = httpx.HTTPTransport(uds=str(self.socket(tenant)))
        with httpx.Client(transport=transport, timeout=2) as http:
            try:
                return int(http.get("http://worker/health").json()["pid"])
            except (httpx.TransportError, FileNotFoundError):
                return None

    def kill_worker(self, tenant: str) -> None:
        """kill -9, and wait until the process is gone."""
        pid = self.worker(tenant)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            until(lambda: self.worker(tenant) != pid)

    def kill(self) -> None:
        """kill -9 of the gateway."""
        self.process.kill()
        self.process.wait()

    def holding(self, marker: str) -> list[str]:
        """The files of data, temporary folder and log that hold the marker."""
        found, sought = [], marker.encode()
        for path in self.folder.rglob("*"):
            try:
                if path.is_file() and sought in path.read_bytes():
                    found.append(str(path.relative_to(self.folder)))
            except FileNotFoundError:
                continue
        return found


@contextmanager
def installation(module: str = "tests.proof.serve", **settings: Any) -> Iterator[Installation]:
    """A served installation with its first administrator; stopped and cleared away afterwards."""
    # Short, so that its sockets lie in the data folder.
    folder = Path(tempfile.mkdtemp(prefix="sp", dir="/tmp"))
    (folder / "tmp").mkdir()
    env = {
        "SPIRE_DATA_DIR": str(folder / "data"),
        "SPIRE_KEY_FILE": str(folder / "root.key"),
        "SPIRE_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder / "tmp"),
    } | {f"SPIRE_{name.upper()}": str(value) for name, value in settings.items()}
    made = Installation(folder, env, log=folder / "log", module=module)
    try:
        made.start()
        made.admin = made.set_up()
        yield made
    finally:
        if made.process.poll() is None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def until(holds: Callable[[], object], seconds: float = 30.0, pause: float = 0.05) -> None:
    """Wait until it holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)


def patiently(ask: Callable[[], Any], seconds: float = 40.0) -> Any:
    """What `ask` gives, asked again as long as the server says to try again or does not answer."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (Retry, NoAnswer):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
