"""A real TAXII server with objects of ATT&CK; a small one of our own where it must misbehave."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.connectors.harness import COUNT, LARGE, SECRET, UNHEARD, WEB, Ground, Kind, Served, record
from tests.connectors.web import Web
from tests.servers import taxii
from tests.servers.process import once

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "lying", "large"})
PATIENCE = WEB
SIZE = 4


def _names(data: bytes) -> set[str]:
    return {str(each["id"]) for each in json.loads(data).get("objects", ())}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    if kind != "some":
        yield from _odd(kind)
        return
    objects = taxii.objects_from(ground.fixture("shared_data"))
    run = Path(os.environ["SPIRE_TEST_RUN"])
    url = once(run, "taxii-2.1", lambda folder: taxii.start(folder, "2.1", objects))
    yield Served(
        lambda port: {
            "url": f"http://127.0.0.1:{port}/root/", "username": taxii.ACCOUNT, "password": taxii.PASSWORD,
            "overlap": 0.001,
        },
        urlsplit(url).port or 0,
        records=frozenset(str(each["id"]) for each in objects),
        in_payload=_names,
        plain=lambda data: json.loads(data).get("objects"),  # its page marks are made anew each time
        secret=taxii.PASSWORD,
        unheard="x_mitre_",
    )  # fmt: skip


def _odd(kind: Kind) -> Iterator[Served]:
    """Pages by `next`, all added at times that grow."""
    objects = [
        {"type": "x-thing", "id": f"x-thing--{n:08d}-0000-4000-8000-000000000000", "name": record(n), "x_more": UNHEARD}
        for n in range(1, COUNT + 1)
    ]  # fmt: skip
    sound = [kind != "broken"]

    def page(query: dict[str, str]) -> bytes:
        start = int(query.get("next", "0"))
        if kind == "empty":
            return b"{}"
        if kind == "large":
            filler: Any = {**objects[0], "filler": f"{start}" + "x" * (1 << 20)}
            more = start + 1 < LARGE >> 20
            return json.dumps({"more": more, "next": str(start + 1), "objects": [filler]}).encode()
        more = start + SIZE < COUNT
        held = {
            "objects": objects[start : start + SIZE],
            **({"more": True, "next": str(start + SIZE)} if more else {}),
        }
        text = json.dumps(held | ({"total": 2} if kind == "lying" else {})).encode()
        return text if sound[0] or start != SIZE else text[: len(text) // 2]

    with closing(Web()) as web:
        web.files["/api/"] = b'{"title": "odd", "versions": ["application/taxii+json;version=2.1"]}'
        web.files["/api/collections/"] = b'{"collections": [{"id": "c1", "title": "One", "can_read": true}]}'
        web.made["/api/collections/c1/objects/"] = page
        yield Served(
            lambda port: {"url": f"http://127.0.0.1:{port}/api/", "token": SECRET},
            web.port,
            mend=lambda: sound.__setitem__(0, True),
            **({"records": frozenset()} if kind == "empty" else {}),
        )
