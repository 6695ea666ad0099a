"""An S3 server, moto's, in a process of its own on a loopback port."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path

from tests.servers.process import Running, Unavailable, free_port, launch

KEY_ID, SECRET = "AKIDOFTESTS", "s3cret-of-s3"


def start(folder: Path) -> Running:
    """Start a server without buckets."""
    if importlib.util.find_spec("moto") is None:
        raise Unavailable("the wheel moto is not installed")
    port = free_port()

    def ready() -> None:
        socket.create_connection(("127.0.0.1", port), 1).close()

    pid = launch(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        folder,
        ready=ready,
        root=True,
    )
    return Running(f"http://127.0.0.1:{port}", pid, str(folder))
