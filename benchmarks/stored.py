"""What a load costs against stores of different sizes: the same file, with 0, 10 and 50 million records known before.

The known records are put where a load looks for them (`seen`), by SQL; loading them would take an hour and
measure nothing else. CPU seconds are compared, because machines are shared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.tenant.open import open_desk
from app.worker import inherited
from benchmarks.generate import generate
from benchmarks.ingest import HERE, KEY
from benchmarks.measure import run
from engine.targets import TARGETS
from storage import records
from storage.keyring import derive

ROOT = HERE.parent
STEP = 2_000_000


def fill(desk: Desk, known: int) -> None:
    """Make the store believe that it knows so many indicators."""
    with desk.store.transaction() as cursor:
        records.ensure(cursor, TARGETS["indicator"])
    for first in range(0, known, STEP):
        with desk.store.transaction() as cursor:
            cursor.execute(
                "INSERT INTO store.seen.indicator SELECT hash('key' || i), hash('content' || i), i, "
                f"1735689600000000 + i * 1000 FROM range({first}, {min(known, first + STEP)}) r(i)"
            )
    desk.store.checkpoint()


def load(path: Path, known: int) -> dict[str, float]:
    """CPU and wall seconds of loading the file, and the longest a commit took."""
    with tempfile.TemporaryDirectory(prefix="spire-bench-") as name:
        folder = Path(name)
        grant = Grant(
            tenant="bench",
            key=KEY,
            check=derive(KEY, "bench").check,
            folder=folder / "tenants" / "bench",
            socket=folder / "socket",
        )
        desk = open_desk(grant)
        fill(desk, known)
        mapping = (HERE / "indicator-stix.yaml").read_text()
        with Client.on_app(app_on(desk), user="bench") as client:
            wall, cpu = time.perf_counter(), time.process_time()
            started = client.ingest(path, mapping=mapping, wait=0)
            ended = client.wait_run(started.run)
            took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            begun = time.perf_counter()
            desk.store.checkpoint()
            took["checkpoint"] = time.perf_counter() - begun
        desk.store.close()
    return {**took, "kept": float(ended.ledger.inserted + ended.ledger.updated)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--known", type=int, nargs="+", default=[0, 10_000_000, 50_000_000])
    parser.add_argument("--one", type=int, help="only this one, in this process")
    options = parser.parse_args()
    path = generate(ROOT / ".cache" / "benchmarks", options.records, "ndjson", 42)
    if options.one is not None:
        print(json.dumps(load(path, options.one)))
        return
    base = 0.0
    print("| known before | CPU s | against the first | wall s | checkpoint s | peak memory, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for known in options.known:
        measured = run(
            [
                sys.executable,
                "-m",
                "benchmarks.stored",
                "--records",
                str(options.records),
                "--one",
                str(known),
            ],
            inherited(os.environ),
        )
        took = measured.answer
        base = base or took["cpu"]
        print(
            f"| {known:,} | {took['cpu']:.1f} | {took['cpu'] / base:.2f} | {took['wall']:.1f} | "
            f"{took['checkpoint']:.2f} | {measured.peak_mb:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
