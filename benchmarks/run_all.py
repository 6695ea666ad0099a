"""Every figure of docs/benchmarks.md in one run: rounds interleaved, medians, and ratios to the limit.

Machines differ and are shared, so trust the ratios: what is compared ran in turns on the same files.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.generate import FORMATS, expect, generate
from benchmarks.ingest import ingest, verify
from benchmarks.measure import Measured, run

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
# A bundle is one JSON value, which DuckDB alone cannot stream: its limit is that of the same lines.
LIMIT_OF = {"ndjson": "ndjson", "csv": "csv", "bundle": "ndjson"}


@dataclass
class Figure:
    """What the rounds of one contender gave."""

    rates: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)

    def add(self, records: int, took: float, measured: Measured) -> None:
        self.rates.append(records / took)
        self.peaks.append(measured.peak_mb)
        self.shared.append(measured.shared_mb)

    @property
    def rate(self) -> float:
        return median(self.rates)


Figures = dict[tuple[str, str], Figure]


def one_round(figures: Figures, files: dict[str, Path], records: int, seed: int) -> None:
    """The limit and ours on every form, ours twice into the same store."""
    for form, path in files.items():
        if form in LIMIT_OF.values():
            limit = run([sys.executable, "-m", "benchmarks.limit", path])
            figures["limit", form].add(records, limit.answer["seconds"], limit)
        with tempfile.TemporaryDirectory(prefix="spire-bench-") as folder:
            for name, again in (("spire", False), ("spire, again", True)):
                ours = ingest(path, Path(folder))
                verify(ours.answer, expect(records, seed), again)
                figures[name, form].add(records, ours.answer["seconds"], ours)


def peer_round(figures: Figures, path: Path, records: int, seed: int) -> None:
    """dlt two ways, and ours, on one smaller file."""
    for way in ("contract", "arrow"):
        peer = run([PEERS, ROOT / "benchmarks" / "peers.py", way, path])
        figures[f"dlt {way}", "peer"].add(records, peer.answer["seconds"], peer)
    with tempfile.TemporaryDirectory(prefix="spire-bench-") as folder:
        ours = ingest(path, Path(folder))
        verify(ours.answer, expect(records, seed))
        figures["spire", "peer"].add(records, ours.answer["seconds"], ours)


def table(figures: Figures) -> list[str]:
    """The figures as a Markdown table."""
    lines = [
        "| file | what | records/s | against the limit | peak memory, MB | shared memory, MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for (name, form), figure in sorted(
        figures.items(), key=lambda item: (list(LIMIT_OF).index(item[0][1]), item[0])
    ):
        ratio = figure.rate / figures["limit", LIMIT_OF[form]].rate
        lines.append(
            f"| {form} | {name} | {figure.rate:,.0f} | {ratio:.2f} | {max(figure.peaks):,.0f} | {max(figure.shared):,.0f} |"
        )
    return lines


def peer_table(figures: Figures) -> list[str]:
    """Ours against the others on the same file."""
    ours = figures["spire", "peer"].rate
    lines = ["| what | records/s | spire is faster by | peak memory, MB |", "|---|---:|---:|---:|"]
    for (name, _), figure in figures.items():
        lines.append(
            f"| {name} | {figure.rate:,.0f} | {ours / figure.rate:.1f} × | {max(figure.peaks):,.0f} |"
        )
    return lines


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def write(text: str) -> None:
    """Put the figures between the marks of docs/benchmarks.md."""
    page = ROOT / "docs" / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--forms", nargs="+", choices=FORMATS, default=["ndjson", "csv", "bundle"])
    parser.add_argument("--peers", action="store_true", help="also dlt; `make bench-peers` installs it")
    parser.add_argument("--peer-records", type=int, default=1_000_000, help="five minutes a round")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    folder = ROOT / ".cache" / "benchmarks"
    figures: Figures = defaultdict(Figure)
    peers: Figures = defaultdict(Figure)
    files = {form: generate(folder, options.records, form, options.seed) for form in options.forms}
    for turn in range(options.rounds):
        one_round(figures, files, options.records, options.seed)
        if options.peers:
            peer_file = generate(folder, options.peer_records, "ndjson", options.seed)
            peer_round(peers, peer_file, options.peer_records, options.seed)
        print(f"round {turn + 1} of {options.rounds} done", file=sys.stderr)
    lines = [
        f"{options.records:,} records, medians of {options.rounds} rounds; {machine()}.",
        "",
        *table(figures),
    ]
    if peers:
        lines += ["", f"On one file of {options.peer_records:,} records:", "", *peer_table(peers)]
    print("\n".join(lines))
    if options.write:
        write("\n".join(lines))


if __name__ == "__main__":
    main()
