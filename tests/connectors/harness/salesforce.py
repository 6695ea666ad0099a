"""An organisation that keeps to Salesforce's contract, in pages by query; TLS all the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.connectors.harness import COUNT, LARGE, RECORDS, UNHEARD, WEB, Ground, Kind, Served, record
from tests.servers.salesforce import Reply, Salesforce

SPEAKS = "tcp"
KINDS = frozenset[Kind]({"some", "empty", "broken", "lying", "large"})
PATIENCE = WEB
SIZE = 4
STAMP = "2026-01-{:02d}T00:00:00.000Z"


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    with closing(Salesforce(page=SIZE, announce=-8 if kind == "lying" else 0)) as org:
        org.objects["Thing__c"] = []
        org.add(
            "Thing__c",
            *(
                {
                    "Id": f"a01{n:015d}",
                    "Name": record(n),
                    "More__c": UNHEARD,
                    "SystemModstamp": STAMP.format(n),
                }
                for n in range(1, COUNT + 1)
                if kind != "empty"
            ),
        )
        sound = [kind != "broken"]

        def trouble(method: str, path: str) -> Reply | None:
            if kind == "large" and "/query/" in path:
                return 200, {}, _filler(0 if "?q=" in path else int(path.rpartition("-")[2]))
            if not sound[0] and path.endswith(f"-{SIZE}"):
                return 200, {}, b'{"totalSize": 12, "records": [{"Id'
            return None

        org.trouble = trouble
        yield Served(
            lambda port: org.config(login=f"https://127.0.0.1:{port}", object="Thing__c", overlap=0),
            org.port,
            records=frozenset() if kind == "empty" else RECORDS,
            plain=lambda data: json.loads(data)["records"],  # a locator is made anew each time
            mend=lambda: sound.__setitem__(0, True),
            secret=org.private_key.splitlines()[2],
        )


def _filler(number: int) -> bytes:
    more = number + 1 < LARGE >> 20
    held = {"Id": str(number), "Filler__c": "x" * (1 << 20), "SystemModstamp": STAMP.format(1)}
    following = {"nextRecordsUrl": f"/services/data/v62.0/query/01g-{number + 1}"} if more else {}
    return json.dumps({"totalSize": LARGE >> 20, "done": not more, **following, "records": [held]}).encode()
