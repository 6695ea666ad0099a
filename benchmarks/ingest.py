"""The whole path through the product: `spire ingest` into a new tenant, as anybody would call it.

It seals, stages, maps twelve fields, checks ten rules, finds duplicates, and commits records, rejects,
cursor and ledger into the encrypted store.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import Expected
from benchmarks.measure import Failed, Measured, run

HERE = Path(__file__).resolve().parent
SPIRE = Path(sys.executable).with_name("spire")


@dataclass(frozen=True)
class Home:
    """A data folder and a key file outside it, of this benchmark alone."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """Environment that keeps `spire` inside this folder."""
        return {
            "SPIRE_DATA_DIR": str(self.folder / "data"),
            "SPIRE_KEY_FILE": str(self.folder / "key"),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_RUNTIME_DIR": "",
        }


def ingest(path: Path, home: Home) -> Measured:
    """Load the file with the benchmark's own mapping."""
    mapping = HERE / ("indicator-csv.yaml" if path.suffix == ".csv" else "indicator-stix.yaml")
    return run([SPIRE, "ingest", path, "--mapping", mapping, "--json"], env=home.env)


def seconds(measured: Measured) -> float:
    """What the load itself took, where the ledger says so, else the whole command's time."""
    return float(measured.answer.get("seconds") or measured.wall)


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
