"""The whole path through the product, from the first byte received to the last batch committed.

It seals, reads, stages, maps twelve fields, checks ten rules, finds duplicates, and commits records, rejects,
cursor and ledger into the encrypted store: the tenant's own API, asked in one process, so that neither starting
an interpreter nor HTTP is counted, and the memory of that process is the worker's.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.open import open_desk
from app.worker import GARBAGE, inherited
from benchmarks.generate import Expected
from benchmarks.measure import Failed, Measured, run
from storage.keyring import derive

HERE = Path(__file__).resolve().parent
KEY = bytes(range(32))


def ingest(path: Path, folder: Path) -> Measured:
    """Load the file with the benchmark's own mapping into the store below the folder, in a process of its own."""
    return run([sys.executable, "-m", "benchmarks.ingest", path, "--into", folder], inherited(os.environ))


def load(path: Path, folder: Path) -> dict[str, object]:
    """The ledger of loading the file, and the seconds it took from the first byte to the end of the run."""
    mapping = HERE / ("indicator-csv.yaml" if path.suffix == ".csv" else "indicator-stix.yaml")
    grant = Grant(
        tenant="bench",
        key=KEY,
        check=derive(KEY, "bench").check,
        folder=folder / "tenants" / "bench",
        socket=folder / "socket",
    )
    desk = open_desk(grant)
    with Client.on_app(app_on(desk), user="bench") as client:
        began = time.perf_counter()
        started = client.ingest(path, mapping=mapping.read_text(), wait=0)
        ended = client.wait_run(started.run)
        seconds = time.perf_counter() - began
    desk.store.close()
    if ended.state != "finished":
        raise Failed(f"the run ended as {ended.state}: {ended.error}")
    return {**ended.ledger.model_dump(), "seconds": seconds}


def verify(ledger: dict[str, int], expected: Expected, again: bool = False) -> None:
    """A load that is fast because it lost or invented something does not count."""
    repeated = ledger["duplicate"] + ledger["unchanged"]
    wanted = (expected.read, expected.rejected, 0 if again else expected.kept)
    found = (ledger["read"], ledger["rejected"], ledger["inserted"] + ledger["updated"])
    if (
        found != wanted
        or repeated != expected.repeated + (expected.kept if again else 0)
        or not ledger["balanced"]
    ):
        raise Failed(f"the ledger is not that of the file: {ledger}, but the file holds {expected}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    options = parser.parse_args()
    # As in a worker: all is imported, this with its first CSV, and garbage is looked for seldom.
    importlib.import_module("clevercsv")
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    print(json.dumps(load(options.path, options.into)))
