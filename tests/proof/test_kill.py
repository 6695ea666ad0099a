"""kill -9 at any moment loses nothing and doubles nothing, and leaves nothing in the clear."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.loading import pause
from app.tenant.open import open_desk
from app.wire import NoAnswer
from engine.errors import Retry, Stop
from storage.keyring import derive
from tests.proof.serving import ROOT, Installation, installation, patiently, until

MARKER = "PLANTEDMARKER"
ROWS = 20_000
SEED = int(os.environ.get("SPIRE_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
# Few kills a load: a worker that keeps dying is started again ever more slowly.
WORKER, GATEWAY, BOTH = "worker", "gateway", "both at once"
LOADS = [
    (WORKER, WORKER, GATEWAY, WORKER),
    (WORKER, GATEWAY, WORKER, WORKER),
    (WORKER, WORKER, BOTH, WORKER),
    (WORKER, GATEWAY, WORKER, GATEWAY),
    (BOTH, WORKER, WORKER, WORKER),
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
    found = {
        name: patiently(lambda sql=sql: client.query(sql, limit=1000)).rows for name, sql in asked.items()
    }
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
            place.process.send_signal(signal.SIGSTOP)  # so that it can't heal the worker
            place.kill_worker(tenant)
        place.kill()


def reached(client: Client, run: int, rows: int) -> bool:
    """Wait until the run has committed so many rows; whether it is still under way then."""
    while True:
        found = patiently(lambda: client.run(run))
        if found.state != "running" or found.ledger.read >= rows:
            return bool(found.state == "running")
        time.sleep(0.06)


@pytest.mark.slow
@pytest.mark.timeout(600)
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
            for what, point in zip(load, sorted(dice.sample(range(int(ROWS * 0.6)), len(load))), strict=True):
                under_way = reached(client, run, point)
                time.sleep(dice.random() * 0.12)
                print(f"{tenant}: {what} killed after row {point}, {'' if under_way else 'not '}under way")
                killed(place, what, tenant)
                assert under_way
                kills += 1
                assert place.holding(MARKER) == []
                if what != WORKER:
                    place.start()
            done = patiently(lambda run=run: client.wait_run(run, timeout=60), 90)
            assert (done.state, done.ledger.balanced) == ("finished", True), done.error
            assert table(client) == undisturbed
    assert kills == 20
    assert place.holding(MARKER) == []
    print(f"{kills} kills in {time.monotonic() - began:.0f} seconds")


def test_an_upload_cut_by_a_gateway_kill_goes_on_at_its_offset(place: Installation) -> None:
    data = random.Random(SEED).randbytes(5 << 20) + MARKER.encode() * 1000
    client = place.tenant("uploads")
    upload = patiently(lambda: client.request("POST", "/uploads", json={"name": "x.bin", "size": len(data)}))
    id = upload.json()["upload"]
    part = place.data / "tenants" / "uploads" / "raw" / id / "1.part"

    def pieces() -> Iterator[bytes]:
        for at in range(0, 4 << 20, 1 << 18):
            yield data[at : at + (1 << 18)]
        until(lambda: part.exists() and part.stat().st_size > 2 << 20)
        place.kill()
        yield data[4 << 20 :]

    with pytest.raises((NoAnswer, Retry)):
        client.request("PATCH", f"/uploads/{id}", content=pieces(), headers={"upload-offset": "0"})
    assert place.holding(MARKER) == []
    place.start()
    offset = int(patiently(lambda: client.request("HEAD", f"/uploads/{id}")).headers["upload-offset"])
    assert 1 << 20 <= offset < len(data)
    rest = {"upload-offset": str(offset)}
    patiently(lambda: client.request("PATCH", f"/uploads/{id}", content=data[offset:], headers=rest))
    done = client.request("POST", f"/uploads/{id}/finish").json()
    assert (done["size"], done["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_killed_replay_and_a_killed_undo_are_done_or_not_done(place: Installation, payload: bytes) -> None:
    print(f"SPIRE_TEST_SEED={SEED}")
    dice, small = random.Random(SEED), feed(6000)
    with place.tenant("again") as client:
        run = client.ingest_payload(sealed(client, small), target="indicator", wait=60).run
        before = table(client)
        cause = next(c for c in client.causes(run=run) if c.field == "confidence")
        total = client.query("SELECT count(*) FROM indicator").rows[0][0]
        fix = {"kind": "map", "field": "confidence", "values": {"high": "80"}}
        named = {"rule": cause.rule, "field": cause.field, "reason": cause.reason, "run": run}

        def count(sql: str) -> int:
            return int(patiently(lambda: client.query(sql)).rows[0][0])

        patiently(lambda: client.repair(named, fix, replay=False))
        for _ in range(2):
            cut(place, "again", dice, lambda: client.replay(run=run, wait=60))
            left = count(
                f"SELECT count(*) FROM rejects WHERE run = {run} AND field = 'confidence' AND state = 'open'"
            )
            assert left in (0, cause.rows)
            # Every row in quarantine or in the records, and none in both.
            assert count("SELECT count(*) FROM versions.indicator WHERE confidence = 80 AND _run > 1") == (
                0 if left else cause.rows
            )
        patiently(lambda: client.replay(run=run, wait=60))
        assert count("SELECT count(*) FROM rejects WHERE field = 'confidence' AND state = 'open'") == 0
        assert count("SELECT count(*) - count(DISTINCT id) FROM indicator") == 0

        replays = [r.run for r in client.runs().runs if r.kind == "replay" and r.state == "finished"]
        for number in [*replays, run]:
            cut(place, "again", dice, lambda number=number: client.undo_run(number))
            if patiently(lambda number=number: client.run(number)).state != "undone":
                patiently(lambda number=number: client.undo_run(number))
        assert total > 0
        assert (
            count("SELECT count(*) FROM indicator") == count("SELECT count(*) FROM versions.indicator") == 0
        )
        fresh = patiently(lambda: client.ingest_payload(sealed(client, small), target="indicator", wait=60))
        assert fresh.inserted == before.books[0][2]
        assert sorted(b"".join(client.export("indicator", format="csv")).splitlines()) == before.records
        assert place.holding(MARKER) == []


def cut(place: Installation, tenant: str, dice: random.Random, ask: Any) -> None:
    """Ask for something that changes the store, and kill the worker while it does it."""
    patiently(lambda: place.worker(tenant) or fail())
    thread = threading.Thread(target=lambda: suppressed(ask))
    thread.start()
    time.sleep(dice.random() * 0.25)
    place.kill_worker(tenant)
    thread.join()


def fail() -> None:
    raise Retry("not up yet")


def suppressed(ask: Any) -> None:
    with suppress(Retry, Stop):
        ask()


CRASH = """
import os, shutil, sys
from pathlib import Path
from app.grant import Grant
from app.tenant import loading, open, replaying
from storage import runs, store

folder, what = Path(sys.argv[1]), sys.argv[2]

def grant():
    from storage.keyring import derive
    key = bytes(range(32))
    return Grant(tenant="acme", key=key, check=derive(key, "acme").check, folder=folder / "work/tenants/acme",
        socket=folder / "s", audit_level="minimal")

def work(desk):
    if what == "replay":
        number = replaying.replay(desk, [r for (r,) in desk.store.cursor().execute(
            "SELECT id FROM store.spire.rejects WHERE state = 'open'").fetchall()], by="ana")
        loading.wait(desk, number)
    elif what == "strict":
        loading.wait(desk, loading.start_run(desk, "strict", by="ana"))
    else:
        runs.undo(desk.store, 1, desk.now())

def dying(at):
    'The connection, ending this process at its n-th COMMIT: before it where at is even, after it where odd.'
    seen = 0
    plain = store.Store.cursor
    class Cursor:
        def __init__(self, inner): self.inner = inner
        def __getattr__(self, name): return getattr(self.inner, name)
        def __enter__(self): return self
        def __exit__(self, *_): self.inner.close()
        def execute(self, sql, *more):
            nonlocal seen
            if sql != "COMMIT": return self.inner.execute(sql, *more)
            seen += 1
            if at == 2 * seen - 2: os.kill(os.getpid(), 9)
            self.inner.execute(sql)
            if at == 2 * seen - 1: os.kill(os.getpid(), 9)
    store.Store.cursor = lambda self: Cursor(plain(self))

for at in range(40):
    shutil.rmtree(folder / "work", ignore_errors=True)
    shutil.copytree(folder / "data", folder / "work")
    child = os.fork()
    if not child:
        desk = open.open_desk(grant())
        dying(at)
        work(desk)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    child = os.fork()
    if not child:
        desk = open.open_desk(grant())
        for number in loading.resume_interrupted(desk):
            loading.wait(desk, number)
        ask = lambda sql: desk.store.cursor().execute(sql).fetchall()
        told = ask("SELECT count(*) FROM store.records.indicator") + ask(
            "SELECT count(*) FROM store.spire.rejects WHERE state = 'open'") + ask(
            "SELECT count(*) FROM store.spire.runs WHERE state = 'running'")
        print(at, *[n for (n,) in told], flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        break
    assert os.waitstatus_to_exitcode(status) == -9, status
"""


FIRST = b"indicator,type,first_seen\n192.0.2.1,ip,2024-03-01\n"


@contextmanager
def prepared(folder: Path) -> Iterator[Client]:
    """A tenant in this process, of the key that the dying processes know; closed when left."""
    key = bytes(range(32))
    place = folder / "data" / "tenants" / "acme"
    check = derive(key, "acme").check
    desk = open_desk(Grant(tenant="acme", key=key, check=check, folder=place, socket=folder / "s"))
    try:
        with Client.on_app(app_on(desk)) as client:
            yield client
    finally:
        pause(desk)
        desk.store.close()


def crashed(folder: Path, what: str) -> list[tuple[int, ...]]:
    """Die at every commit in turn: (at which, records, open rejects, runs under way) after the restart."""
    ran = subprocess.run(
        [sys.executable, "-c", CRASH, str(folder), what], capture_output=True, text=True, cwd=ROOT, check=False
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    points = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    print(points)
    return points


@pytest.mark.parametrize("what", ["replay", "undo"])
def test_a_death_at_any_commit_leaves_it_wholly_done_or_wholly_undone(tmp_path: Path, what: str) -> None:
    with prepared(tmp_path) as client:
        done = client.ingest_payload(sealed(client, feed(400)), target="indicator", wait=60)
        # Half of what failed is repaired: the replay keeps some and rejects the others again.
        rejects = client.rejects(run=done.run, limit=1000).rejects
        for reject in [r for r in rejects if r.field == "confidence"]:
            client.change_reject(reject.id, fields={"confidence": "80"})
    kept = done.inserted
    repaired = sum(r.field == "confidence" for r in rejects)
    points = crashed(tmp_path, what)
    assert len(points) >= (3 if what == "undo" else 7)
    undone = (kept, len(rejects), 0)
    finished = (kept + repaired, len(rejects) - repaired, 0) if what == "replay" else (0, 0, 0)
    assert {point[1:] for point in points} <= {undone, finished}
    assert points[0][1:] == undone
    assert points[-1][1:] == finished


def test_a_load_that_breaks_its_threshold_leaves_no_record_whenever_it_dies(tmp_path: Path) -> None:
    with prepared(tmp_path) as client:
        source = client.create_source(payload=sealed(client, feed(400)), name="strict")
        mapping = client.suggest(source.source.id, "indicator").suggestions[0].mapping
        client.create_pipeline(
            id="strict", name="strict", source=source.source.id, mappings=[mapping], error_threshold=0.01
        )
        assert (
            client.ingest_payload(sealed(client, FIRST), target="indicator", source="first", wait=60).inserted
            == 1
        )
    points = crashed(tmp_path, "strict")
    assert len(points) >= 9
    assert {(kept, running) for _, kept, _, running in points} == {(1, 0)}
