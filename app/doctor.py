"""The doctor: what this installation needs, looked at one by one, each with what to do."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.settings import Settings
from engine.errors import SpireError

LEAST_DISK = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, and what to do where it isn't well."""

    name: str
    ok: bool
    detail: str
    action: str = ""


def examine(chosen: Settings) -> Iterator[Finding]:
    """Every finding in turn. Nothing is made or changed but a temporary store in memory's file system."""
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("Python", _python),
        ("DuckDB", _database),
        ("memory files", _memory_files),
        ("data folder", _data_folder),
        ("root key", _root_key),
        ("control database", _control),
        ("disk", _disk),
        ("port", _port),
        ("clock", _clock),
        ("credentials", _credentials),
        ("workers", _workers),
    )
    for name, check in checks:
        try:
            yield check(chosen)
        except SpireError as error:
            yield Finding(name, False, f"{error.title} {error.where}".strip(), error.action)
        except OSError as error:
            yield Finding(name, False, str(error), "Check the path and who may read it.")


def _python(chosen: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info >= (3, 11)
    return Finding("Python", fits, version, "" if fits else "Use Python 3.11 or newer.")


def _database(chosen: Settings) -> Finding:
    """Make and read an encrypted store: the extension, its OpenSSL and the version are all in it."""
    import duckdb

    from storage.store import Store

    with tempfile.TemporaryDirectory(prefix="spire-doctor-") as folder:
        key = os.urandom(32)
        Store.open(Path(folder), key).close()
        Store.open(Path(folder), key).close()
    return Finding("DuckDB", True, f"{duckdb.__version__}, encrypted stores open")


def _memory_files(chosen: Settings) -> Finding:
    handle = os.memfd_create("doctor")
    os.close(handle)
    return Finding("memory files", True, "memfd works, so plaintext touches no disk")


def _data_folder(chosen: Settings) -> Finding:
    folder = chosen.data_dir
    if not folder.exists():
        return Finding("data folder", True, f"{folder} will be made at first use")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data folder", False, f"{folder} can't be written", "Own it, or set SPIRE_DATA_DIR.")
    mode = stat.S_IMODE(folder.stat().st_mode)
    shut = not mode & 0o077
    return Finding(
        "data folder", shut, f"{folder}, mode {mode:04o}", "" if shut else f"Run chmod 700 {folder}"
    )


def _root_key(chosen: Settings) -> Finding:
    from storage.kek import load_key_file

    if chosen.kek == "passphrase":
        place = chosen.passphrase_file
        ok = place is not None and place.is_file() and not place.stat().st_mode & 0o077
        return Finding(
            "root key", ok, f"passphrase in {place}", "" if ok else "Give a file only you can read."
        )
    if not chosen.key_file.exists():
        used = (chosen.data_dir / "tenants").exists()
        action = "Put it back from its backup." if used else ""
        return Finding(
            "root key", not used, f"{chosen.key_file} is not there" + ("" if used else " yet"), action
        )
    load_key_file(chosen.key_file, data=chosen.data_dir)
    return Finding(
        "root key", True, f"{chosen.key_file}, outside the data folder, mode 0600; back it up apart"
    )


def _control(chosen: Settings) -> Finding:
    from app.control import open_control

    if not chosen.database_url and not (chosen.data_dir / "control.db").exists():
        return Finding("control database", True, "will be made at first use")
    opened = open_control(chosen)
    opened.close()
    return Finding("control database", True, "opens, and the root key is its own")


def _disk(chosen: Settings) -> Finding:
    place = chosen.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    enough = free >= LEAST_DISK
    return Finding("disk", enough, f"{free / (1 << 30):,.1f} GiB free", "" if enough else "Free some space.")


def _port(chosen: Settings) -> Finding:
    where = f"{chosen.host}:{chosen.port}"
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((chosen.host, chosen.port))
        except OSError:
            if _answers(chosen):
                return Finding("port", True, f"{where}: Phantom Spire is serving there")
            return Finding("port", False, f"{where} is taken", "Stop what uses it, or set SPIRE_PORT.")
    return Finding("port", True, f"{where} is free")


def _answers(chosen: Settings) -> bool:
    import httpx

    try:
        return httpx.get(f"{chosen.url}/health", timeout=3, verify=False).status_code == 200  # noqa: S501
    except httpx.HTTPError:
        return False


def _clock(chosen: Settings) -> Finding:
    now = time.time()
    newest = max((p.stat().st_mtime for p in chosen.data_dir.glob("tenants/*/store.duckdb")), default=0.0)
    # The program's own files are older than any true time.
    sound = now > Path(__file__).stat().st_mtime - 86_400 and now > newest - 300
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    return Finding(
        "clock", sound, told, "" if sound else "Set the clock: it is behind what was written before."
    )


def _credentials(chosen: Settings) -> Finding:
    """Which tenants have credentials that have ended or will soon; which they are only the tenant knows."""
    from storage.credentials import WARN, noticed

    now = datetime.now(UTC).replace(tzinfo=None)
    told, ends = [], 0
    for folder in sorted((chosen.data_dir / "tenants").glob("*")):
        times = noticed(folder)
        ends += len(times)
        over = sum(time <= now for time in times)
        soon = sum(now < time <= now + WARN for time in times)
        parts = [f"{over} ended"] * bool(over) + [f"{soon} within {WARN.days} days"] * bool(soon)
        told += [f"{folder.name}: {', '.join(parts)}"] * bool(parts)
    if told:
        action = "Rotate them in the settings, or with spire credential rotate."
        return Finding("credentials", False, "; ".join(told), action)
    return Finding(
        "credentials", True, f"{ends} with an end, none of them soon" if ends else "none with an end"
    )


def _workers(chosen: Settings) -> Finding:
    from app.supervisor import healthy
    from app.worker import owned

    running: list[str] = []
    stuck: list[str] = []
    for folder in sorted((chosen.data_dir / "tenants").glob("*")):
        if folder.is_dir() and owned(folder):
            (running if healthy(chosen.socket_path(folder.name), folder.name) else stuck).append(folder.name)
    detail = f"{len(running)} running" + (
        f"; {', '.join(stuck)} held by a process that does not answer" if stuck else ""
    )
    return Finding("workers", not stuck, detail, "Wait for it, or end that process." if stuck else "")
