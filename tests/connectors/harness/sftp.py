"""A folder of a real SFTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.connectors.harness import Ground, Kind, Served
from tests.connectors.harness.folder import fill
from tests.servers import sftp

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE: dict[str, float] = {"connectors.places.sftp._READ": 0.5, "connectors.places.sftp._CONNECT": 1.0}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    fill(ground.folder / "sftp", kind)
    with closing(sftp.Server(ground.folder / "sftp")) as server:
        yield Served(
            lambda port: {
                "host": "127.0.0.1", "port": port, "username": sftp.ACCOUNT, "password": sftp.PASSWORD,
                "host_key": [server.fingerprint],
            },
            server.port,
            secret=sftp.PASSWORD,
            **({"records": frozenset()} if kind == "empty" else {}),
        )  # fmt: skip
