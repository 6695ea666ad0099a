"""A MISP feed of a manifest and a file for each event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.connectors.harness import COUNT, LARGE, SECRET, UNHEARD, WEB, Ground, Kind, Served, record
from tests.connectors.web import Web

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE = WEB


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    filler = "x" * (1 << 20) if kind == "large" else ""
    if kind != "large":
        ground.monkeypatch.setattr("connectors.misp_feed.PAYLOAD_BYTES", 500)
    count = {"empty": 0, "large": LARGE >> 20}.get(kind, COUNT)
    manifest = {}
    with closing(Web()) as web:
        for n in range(1, count + 1):
            uuid = f"{n:08d}-0000-4000-8000-000000000000"
            manifest[uuid] = {"timestamp": str(1_600_000_000 + n)}
            event = {"uuid": uuid, "info": record(n), "x_more": UNHEARD, "filler": filler}
            web.files[f"/feed/{uuid}.json"] = json.dumps({"Event": event}, ensure_ascii=False).encode()
        whole = dict(web.files)
        if kind == "broken":
            place = "/feed/00000007-0000-4000-8000-000000000000.json"
            web.files[place] = web.files[place][:20]
        web.files["/feed/manifest.json"] = json.dumps(manifest).encode()
        yield Served(
            lambda port: {
                "url": f"http://127.0.0.1:{port}/feed/",
                "header": "Authorization",
                "secret": SECRET,
            },
            web.port,
            mend=lambda: web.files.update(whole),
            **({"records": frozenset()} if kind == "empty" else {}),
        )
