"""Run a command and learn how long it took and how much memory its processes held at most."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """The command's last line of JSON, its wall time, and peak resident memory in MB.

    `peak_mb` is the largest single process of its tree. `shared_mb` is how much the machine's shared
    memory grew meanwhile: a memfd is in no process's resident memory.
    """

    answer: dict[str, Any]
    wall: float
    peak_mb: float
    shared_mb: float


class Failed(Exception):
    """A measured command ended with an error; the message is the end of what it said."""


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Measured:
    """Run to the end, looking at the process tree twenty times a second."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        shared, grown, peaks = _shared_kb(), 0, {0: 0}
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        while process.poll() is None:
            for pid in tree(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), _peak_kb(pid))
            grown = max(grown, _shared_kb() - shared)
            time.sleep(0.05)
        wall = time.perf_counter() - began
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    if process.returncode:
        raise Failed(
            f"{command[0]} … ended with {process.returncode}: {texts[1][-1500:] or texts[0][-1500:]}"
        )
    return Measured(_answer(texts[0]), wall, max(peaks.values()) / 1024, grown / 1024)


def _answer(text: str) -> dict[str, Any]:
    """The JSON object that ends the output, on one line or over several."""
    for start in sorted({0, text.rfind("\n{") + 1, text.rstrip().rfind("\n") + 1}):
        try:
            found = json.loads(text[start:])
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    raise Failed(f"no JSON object in: {text[-500:]}")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    pids = [pid]
    for parent in pids:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                pids.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
    return pids


def _peak_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _shared_kb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Shmem:"))
