"""A property that keeps to Google's contract, in windows of days and pages; TLS all the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

from tests.connectors.harness import COUNT, LARGE, RECORDS, UNHEARD, WEB, Ground, Kind, Served, record
from tests.servers.google_analytics import Analytics, Reply

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "broken", "lying", "large"})
PATIENCE = WEB


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    today = datetime.now(UTC).date()
    days = {n: today - timedelta(days=COUNT + 1 - n) for n in range(1, COUNT + 1)}
    with closing(Analytics(announce=-1 if kind == "lying" else 0, metadata={"new": UNHEARD})) as analytics:
        if kind != "empty":
            analytics.rows = [
                {"date": f"{day:%Y%m%d}", "pagePath": record(n), "sessions": n} for n, day in days.items()
            ]
        sound, page = [kind != "broken"], [0]

        def trouble(method: str, path: str) -> Reply | None:
            if not path.endswith(":runReport"):
                return None
            page[0] += 1
            if kind == "large":
                return 200, {}, _filler(page[0])
            if not sound[0] and page[0] == 3:
                return 200, {}, b'{"rowCount": 2, "rows": [{"dim'
            return None

        analytics.trouble = trouble
        whole = {"since": str(days[1]), "window_days": 4, "page_size": 2, "late_days": 1}
        if kind == "large":
            whole = {"since": str(days[COUNT]), "page_size": 1}
        yield Served(
            lambda port: analytics.config(url=f"https://127.0.0.1:{port}", spare=0, **whole),
            analytics.port,
            records=frozenset() if kind == "empty" else RECORDS,
            mend=lambda: sound.__setitem__(0, True),
            secret=json.loads(analytics.key())["private_key"].splitlines()[2],
        )


def _filler(number: int) -> bytes:
    names = {"dimensionHeaders": [{"name": "date"}, {"name": "pagePath"}], "metricHeaders": []}
    row = {"dimensionValues": [{"value": "20260101"}, {"value": "x" * (1 << 20)}]}
    return json.dumps({**names, "rows": [row] if number <= LARGE >> 20 else []}).encode()
