"""A page of links on a web server."""

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
        held = files(kind)
        web.files |= {f"/in/{name}": data for name, data in held.items()}
        links = "".join(f'<a href="{name}">{name}</a>\n' for name in held)
        web.files["/in/"] = f"<html><body>{links}</body></html>".encode()
        yield Served(
            lambda port: {"url": f"http://127.0.0.1:{port}/in/", "username": "u", "secret": SECRET},
            web.port,
            **({"records": frozenset()} if kind == "empty" else {}),
        )
