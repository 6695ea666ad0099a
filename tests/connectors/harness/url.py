"""One file at a web address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.connectors.harness import SECRET, WEB, Ground, Kind, Served
from tests.connectors.harness.folder import files
from tests.connectors.web import Web

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE = WEB


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    with closing(Web()) as web:
        web.files["/a.csv"] = b"".join(files(kind).values())
        yield Served(
            lambda port: {"url": f"http://127.0.0.1:{port}/a.csv", "header": "Auth-Key", "secret": SECRET},
            web.port,
            **({"records": frozenset()} if kind == "empty" else {}),
        )
