"""What a large upload through the browser's own drop zone costs in memory. By hand: `python -m benchmarks.upload`.

It starts the product and Chromium, sends a file of that many GB through the page as a person would, and looks
at the memory of the gateway and of the tenant's worker all the while. The file is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.measure import tree
from tests.browser.conftest import drop, enter
from tests.browser.serving import serving
from tests.servers import chromium

# What the page sends at a time, and some room for what is on its way.
MOST_GROWN_MB = 150
LINE = "2026-03-01T10:00:00Z,198.51.100.7,login.example.net,85,seen by the mail gateway,TLP:GREEN\n"


@dataclass
class Watched:
    """Resident memory of each process in MB: before, and the most while the file was sent and once it was read."""

    before: dict[str, float]
    sending: dict[str, float] = field(default_factory=dict)
    reading: dict[str, float] = field(default_factory=dict)

    def look(self, phase: dict[str, float]) -> None:
        for name, now in resident().items():
            phase[name] = round(max(phase.get(name, 0.0), now), 1)

    def grown(self) -> dict[str, float]:
        """By how much each grew at most while the file was sent."""
        return {name: round(self.sending[name] - before, 1) for name, before in self.before.items()}


def resident() -> dict[str, float]:
    """MB of the product's processes below this one: the gateway, and all workers together."""
    found = {"gateway": 0.0, "worker": 0.0}
    for pid in tree(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        name = "gateway" if "app.cli" in command else "worker" if "app.worker" in command else ""
        if name:
            found[name] += (
                next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024
            )
    return {name: round(mb, 1) for name, mb in found.items()}


def written(path: Path, size: int) -> None:
    """A CSV of about this size."""
    block = (LINE * 10_000).encode()
    with path.open("wb") as file:
        file.write(b"seen,address,host,confidence,note,tlp\n")
        while file.tell() < size:
            file.write(block)


def sent(page: Page, watched: Watched, most: float) -> tuple[float, float]:
    """Look at memory until the file is received, then until its source is shown; the seconds of each."""
    began, received = time.perf_counter(), 0.0
    uploads = page.get_by_role("list", name="Uploads")
    uploads.wait_for()
    while time.perf_counter() - began < most:
        watched.look(watched.reading if received else watched.sending)
        if not received and not uploads.is_visible():
            received = time.perf_counter() - began
        # Its profile comes last.
        if received and page.get_by_role("button", name="Profile all rows").count():
            return received, time.perf_counter() - began - received
        page.wait_for_timeout(100)
    raise TimeoutError("the file was not received in time")


def measure(gigabytes: float) -> dict[str, Any]:
    """Send a file of that size; what it took."""
    with tempfile.TemporaryDirectory() as folder, serving() as served, sync_playwright() as playwright:
        served.set_up()
        path = Path(folder) / "large.csv"
        written(path, int(gigabytes * 1e9))
        browser = playwright.chromium.launch(executable_path=str(chromium.find()), args=chromium.ARGUMENTS)
        page = browser.new_page()
        enter(page, served)
        # A small file first: the worker is up, and everything is loaded that an upload needs.
        small = Path(folder) / "small.csv"
        small.write_text("seen,address\n" + "2026-01-01,192.0.2.1\n" * 50)
        page.goto(f"{served.url}/sources")
        drop(page, small)
        page.get_by_role("heading", level=1).filter(has_text="small.csv").wait_for()
        page.goto(f"{served.url}/sources")
        page.get_by_role("table", name="Sources").wait_for()
        watched = Watched(resident())
        drop(page, path)
        receiving, showing = sent(page, watched, 900)
        browser.close()
        return {
            "gigabytes": gigabytes,
            "seconds": {"received": round(receiving, 1), "then shown": round(showing, 1)},
            "mb": {"before": watched.before, "most while sent": watched.sending, "most once read": watched.reading},
            "grown_while_sent_mb": watched.grown(),
        }  # fmt: skip


def main() -> None:
    """Measure, and end with an error where memory grew with the file."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--gigabytes", type=float, default=2.0)
    found = measure(asked.parse_args().gigabytes)
    print(json.dumps(found, indent=1))
    if max(found["grown_while_sent_mb"].values()) > MOST_GROWN_MB:
        raise SystemExit(f"memory grew by more than {MOST_GROWN_MB} MB")


if __name__ == "__main__":
    main()
