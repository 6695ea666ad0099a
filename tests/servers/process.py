"""The life of a test server: a free port, a process without root, one start per test run, one stop."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

NOBODY = 65534


@dataclass(frozen=True)
class Running:
    """A server that answers: where it is, the process to stop, and its folder to remove."""

    url: str
    pid: int
    folder: str


class Unavailable(Exception):
    """A test component that cannot run on this machine; the message says why."""


def free_port() -> int:
    """A loopback TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged() -> dict[str, object]:
    """Arguments to Popen that drop root, which several servers refuse; nothing where we are not root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def hand_over(folder: Path) -> None:
    """Give a folder and all in it to the account that `unprivileged` runs as."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def launch(
    command: Sequence[str | Path],
    folder: Path,
    *,
    ready: Callable[[], object],
    env: dict[str, str] | None = None,
    seconds: float = 60,
    root: bool = False,
) -> int:
    """Start a server in the background and return its pid once `ready` no longer raises.

    `root` keeps root where we have it: for a server in our own environment, which nobody else may read. Its output
    goes to `log` in its folder, whose end is in the error where it dies or stays silent.
    """
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **({} if root else unprivileged()),  # type: ignore[call-overload]
        )
    deadline = time.monotonic() + seconds
    while True:
        try:
            ready()
            return process.pid
        except Exception as error:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(
                    f"{command[0]} did not start ({error}): {log.read_text()[-2000:]}"
                ) from error
            time.sleep(0.02)


def once(run: Path, name: str, start: Callable[[Path], Running]) -> str:
    """The URL of the server of that name in this test run, started by whoever asks first."""
    record = run / f"{name}.json"
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            folder = run / name
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
            record.write_text(json.dumps(asdict(start(folder))))
        url: str = json.loads(record.read_text())["url"]
        return url


def stop(running: Running) -> None:
    """Kill one server that a test started for itself."""
    _signal(running.pid, signal.SIGKILL)


def stop_all(run: Path, seconds: float = 10) -> None:
    """Stop every server that `once` started in this test run and remove their folders."""
    pids = [json.loads(record.read_text())["pid"] for record in run.glob("*.json")]
    for pid in pids:
        # PostgreSQL waits for nobody at the first, and MariaDB heeds the second alone.
        _signal(pid, signal.SIGINT)
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        _signal(pid, signal.SIGKILL)
    shutil.rmtree(run, ignore_errors=True)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
