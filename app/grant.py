"""What a worker is given, once, over the pipe its parent made: one tenant, its key, its limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


class Activity:
    """Knows whether a worker has something to do. Thread-safe.

    `requests` come and go; `work` is a run: while one is under way a marker file stands in the tenant's
    folder, so that after a crash the gateway knows which workers to start again.
    """

    def __init__(self, marker: Path | None = None) -> None:
        self._marker = marker
        self._lock = threading.Lock()
        self._open = 0
        self._working = 0
        self._paused = False
        self._last = time.monotonic()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it lasts."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                self._last = time.monotonic()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count a run while it lasts. A crash and a pause leave the marker; every other end removes it."""
        with self._lock:
            self._working += 1
            if self._marker is not None:
                self._marker.touch(mode=0o600)
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                self._last = time.monotonic()
                if self._working == 0 and not self._paused and self._marker is not None:
                    with suppress(FileNotFoundError):
                        self._marker.unlink()

    def pause(self) -> None:
        """From now on runs end only to be resumed, so the marker stays for the next worker."""
        with self._lock:
            self._paused = True

    def idle(self) -> float:
        """Seconds since anything was done; 0 while something is."""
        with self._lock:
            return 0.0 if self._open or self._working else time.monotonic() - self._last


@dataclass(frozen=True)
class Grant:
    """Everything a worker may know. `key` is the tenant's key and never appears in a repr; with `check` it
    opens the key ring (`storage.keyring.open_ring(key, tenant, check)`).

    `environment` holds the values of variables that are credentials of this tenant, `vault` the settings of the vault.
    `stopping` is set by SIGTERM: finish the batch under way, commit it, and start no other.
    """

    tenant: str
    key: bytes = field(repr=False)
    check: bytes = field(repr=False)
    folder: Path
    socket: Path
    memory: int = 1 << 30
    threads: int = 2
    idle: float = 900.0
    audit_level: str = "standard"
    upload_limit: int = 64 << 30
    url_allow: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    vault: dict[str, str] = field(default_factory=dict)
    log_level: str = "info"
    app: str = "app.tenant.api:create_app"
    stopping: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
    activity: Activity = field(default_factory=Activity, repr=False, compare=False)

    def to_json(self) -> bytes:
        """One line for the pipe."""
        plain = {k: v for k, v in vars(self).items() if k not in {"stopping", "activity"}}
        plain |= {"key": self.key.hex(), "check": self.check.hex()}
        plain |= {"folder": str(self.folder), "socket": str(self.socket)}
        return json.dumps(plain).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> Grant:
        """The grant a parent wrote. ValueError where the line is not one."""
        plain = json.loads(line)
        folder = Path(plain["folder"])
        plain |= {
            "key": bytes.fromhex(plain["key"]),
            "check": bytes.fromhex(plain["check"]),
            "folder": folder,
            "socket": Path(plain["socket"]),
            "url_allow": tuple(plain["url_allow"]),
            "folders": tuple(plain["folders"]),
        }
        return cls(**plain, activity=Activity(working_marker(folder)))


def working_marker(folder: Path) -> Path:
    """The file that stands in a tenant's folder while a run is under way."""
    return folder / "working"
