"""A small MISP instance: the real server in our tests heeds no filters, and has tests of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.connectors.harness import COUNT, LARGE, SECRET, UNHEARD, WEB, Ground, Kind, Served, record
from tests.connectors.misp_instance import Instance

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "lying", "large"})
PATIENCE = WEB


def _event(number: int, filler: str) -> dict[str, Any]:
    uuid, at = f"{number:08d}-0000-4000-8000-000000000000", str(1_600_000_000 + number)
    told = {"uuid": uuid, "info": record(number), "timestamp": at, "publish_timestamp": at, "published": True}
    return {**told, "Attribute": [], "x_more": UNHEARD, "filler": filler}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    count = {"empty": 0, "large": LARGE >> 20}.get(kind, COUNT)
    filler = "x" * (1 << 20) if kind == "large" else ""
    with closing(Instance()) as instance:
        instance.key = SECRET
        for number in range(1, count + 1):
            instance.put(_event(number, filler))
        torn = [kind == "broken"]
        answer = instance.odd

        def odd(query: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
            found = instance.search(query) if torn[0] else []
            if not any(event["info"] == record(7) for event in found):
                return answer(query)
            whole = json.dumps({"response": [{"Event": event} for event in found]}).encode()
            return 200, {}, whole[: len(whole) // 2]

        instance.odd = odd  # type: ignore[method-assign]
        yield Served(
            lambda port: {"url": f"http://127.0.0.1:{port}", "key": SECRET, "page_size": 2, "overlap": 0},
            urlsplit(instance.url).port or 0,
            mend=lambda: torn.__setitem__(0, False),
            **({"records": frozenset()} if kind == "empty" else {}),
        )
