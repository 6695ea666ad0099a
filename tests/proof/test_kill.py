"""kill -9 at any moment loses nothing and doubles nothing, and leaves nothing in the clear."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client
from app.wire import NoAnswer
from engine.errors import Retry
from tests.proof.serving import ROOT, Installation, installation, patiently, until

MARKER = "PLANTEDMARKER"
ROWS = 60_000
SEED = int(os.environ.get("SPIRE_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
# Three kills a load: a worker that keeps dying is started again ever more slowly.
WORKER, GATEWAY, BOTH = "worker", "gateway", "both at once"
LOADS = [
    (WORKER, GATEWAY, WORKER),
    (GATEWAY, WORKER, WORKER),
    (WORKER, WORKER, BOTH),
    (WORKER, WORKER, GATEWAY),
    (BOTH, WORKER, WORKER),
    (WORKER, GATEWAY, WORKER),
    (WORKER, WORKER),
]


def feed(rows: int) -> bytes:
    """Indicators with broken lines, words for numbers, repeats, and contents that change underway."""
    lines = ["indicator,type,first_seen,confidence,tlp,notes"]
    for i in range(rows):
        n = i if i % 20 else i // 2
        sure = "high" if i % 50 == 7 else str(i % 101)
        lines.append(
            f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255},ip,2024-03-{1 + n % 28:02},{sure},AMBER,{MARKER}-{n}"
        )
        if i % 97 == 3:
            lines.append(f"{MARKER} broken line")
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True)
class Table:
    """All that a tenant holds after a load, in a form that can be compared."""

    records: list[bytes]
    versions: list[Any]
    rejects: list[Any]
    books: list[Any]


def table(client: Client) -> Table:
    """The records sorted, every version with its place, every reject with its bytes, every run's ledger."""
    asked = {
        "versions": "SELECT count(*), count(DISTINCT _seq), sum(hash(v)::HUGEINT) FROM versions.indicator v",
        "rejects": "SELECT count(*), count(DISTINCT (segment, line)), "
        "sum(hash(run, segment, line, raw, rule, reason, checks, state)::HUGEINT) FROM rejects",
        "books": "SELECT run, sum(read), sum(inserted), sum(updated), sum(unchanged), sum(duplicate), "
        "sum(rejected), sum(filtered) FROM batches GROUP BY run ORDER BY run",
    }
    records = b"".join(patiently(lambda: list(client.export("indicator", format="csv")))).splitlines()
    found = {name: patiently(lambda sql=sql: client.query(sql, limit=1000)).rows for name, sql in asked.items()}
    return Table(sorted(records), **found)


def sealed(client: Client, data: bytes) -> str:
    """The identifier of an uploaded payload."""
    sent = patiently(lambda: client.upload_stream(io.BytesIO(data), "feed.csv", size=len(data)))
    return str(sent.payload)


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    with installation() as made:
        yield made


@pytest.fixture(scope="module")
def payload() -> bytes:
    return feed(ROWS)


@pytest.fixture(scope="module")
def undisturbed(place: Installation, payload: bytes) -> Table:
    """What the load gives where nobody disturbs it."""
    with place.tenant("calm") as client:
        done = client.ingest_payload(sealed(client, payload), target="indicator", wait=120)
        assert done.state == "finished"
        assert done.balanced
        return table(client)


def killed(place: Installation, what: str, tenant: str) -> None:
    """kill -9, and start again what nobody else starts."""
    if what == WORKER:
        place.kill_worker(tenant)
    else:
        if what == BOTH:
            place.process.send_signal(19)  # stopped first, so that it can't heal the worker
            place.kill_worker(tenant)
        place.kill()


def reached(client: Client, run: int, rows: int) -> bool:
    """Wait until the run has committed so many rows; whether it is still under way then."""
    while True:
        found = patiently(lambda: client.run(run))
        if found.state != "running" or found.ledger.read >= rows:
            return bool(found.state == "running")
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_kills_end_in_the_same_table_as_an_undisturbed_load(
    place: Installation, payload: bytes, undisturbed: Table
) -> None:
    print(f"SPIRE_TEST_SEED={SEED}")
    dice, began, kills = random.Random(SEED), time.monotonic(), 0
    for number, load in enumerate(LOADS):
        tenant = f"storm{number}"
        with place.tenant(tenant) as client:
            sent = sealed(client, payload)
            run = client.ingest_payload(sent, target="indicator", wait=0).run
            for what, point in zip(load, sorted(dice.sample(range(int(ROWS * 0.8)), len(load))), strict=True):
                under_way = reached(client, run, point)
                time.sleep(dice.random() * 0.12)
                print(f"{tenant}: {what} killed after row {point}, {'' if under_way else 'not '}under way")
                killed(place, what, tenant)
                assert under_way
                kills += 1
                assert place.holding(MARKER) == []
                if what != WORKER:
                    place.start()
            done = patiently(lambda: client.wait_run(run, timeout=60), 90)
            assert (done.state, done.ledger.balanced) == ("finished", True), done.error
            assert table(client) == undisturbed
    assert kills == 20
    assert place.holding(MARKER) == []
    print(f"{kills} kills in {time.monotonic() - began:.0f} seconds")
