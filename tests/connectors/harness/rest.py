"""A REST interface in numbered pages, with news by time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.connectors.harness import COUNT, LARGE, RECORDS, SECRET, UNHEARD, WEB, Ground, Kind, Served, record
from tests.connectors.web import Web

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "lying", "large"})
PATIENCE = WEB
SIZE = 3


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    items: list[dict[str, Any]] = [
        {"name": record(n), "modified": f"2026-01-{n:02d}T00:00:00Z", "more": {"deep": [UNHEARD, None]}}
        for n in range(1, COUNT + 1)
    ]
    sound = [kind != "broken"]

    def page(query: dict[str, str]) -> bytes:
        start, size = int(query["start"]), int(query["n"])
        if kind == "large":
            filler = [{"name": record(1), "filler": f"{start}" + "x" * (1 << 20)}]
            return json.dumps({"items": filler if start < LARGE >> 20 else []}).encode()
        held = [] if kind == "empty" else [i for i in items if i["modified"] >= query.get("since", "")]
        said = {"total": 4 if kind == "lying" else len(held), "items": held[start : start + size]}
        text = json.dumps(said, ensure_ascii=False).encode()
        return text if sound[0] or start != SIZE else text[: len(text) // 2]

    with closing(Web()) as web:
        web.made["/items"] = page
        yield Served(
            lambda port: {
                "url": f"http://127.0.0.1:{port}/items", "auth": "query", "name": "key", "secret": SECRET,
                "records": "items", "pages": "offset", "page_name": "start", "size_name": "n", "size": SIZE,
                "since_name": "since", "since_path": "modified", "overlap": 0,
            },
            web.port,
            records=frozenset() if kind == "empty" else RECORDS,
            mend=lambda: sound.__setitem__(0, True),
        )  # fmt: skip
