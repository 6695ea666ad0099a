"""The Chromium that tests drive: found, never downloaded by Playwright."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.process import Unavailable

ROOT = Path(__file__).resolve().parents[2]
# Quiet: no look-ups or updates of its own, so every connection is one a page of ours asked for.
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Its sandbox needs root's help or user namespaces, which a test machine may lack. It sees our pages only.
    "--no-sandbox",
]


def find() -> Path:
    """The browser's program: $SPIRE_TEST_CHROMIUM, a private one, or the system's."""
    named = os.environ.get("SPIRE_TEST_CHROMIUM")
    if named:
        return Path(named)
    record = ROOT / ".cache" / "chromium" / "program"
    if record.exists():
        program = Path(record.read_text().strip())
        if program.exists():
            return program
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise Unavailable("no Chromium on this machine; `make test-setup` installs one")
