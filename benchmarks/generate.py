"""Seeded STIX 2.1 indicators, about 760 bytes each: 2 % dirty, 5 % exact repeats of an earlier one.

Record i depends on the seed and on i alone, so a longer file starts with a shorter one, and what a
correct load must find is known beforehand (`expect`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

DIRTY, REPEATED = 0.02, 0.05
BLOCK = 50_000
FORMATS = {"ndjson": "indicators.ndjson", "bundle": "bundle.json", "csv": "indicators.csv"}
COLUMNS = "id,ioc_type,value,pattern,confidence,labels,created,modified,valid_from,tlp,source,phase"

FAMILIES = [
    "emotet",
    "qakbot",
    "cobalt-strike",
    "redline",
    "lokibot",
    "agent-tesla",
    "formbook",
    "remcos",
    "icedid",
    "asyncrat",
    "njrat",
    "raccoon",
    "vidar",
    "dridex",
    "trickbot",
]
PHASES = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "defense-evasion",
    "command-and-control",
    "exfiltration",
    "impact",
]
TYPES = [
    "malicious-activity",
    "anomalous-activity",
    "attribution",
    "compromised",
    "anonymization",
    "benign",
    "unknown",
]
SOURCES = [
    "feed-a",
    "feed-b",
    "feed-c",
    "feed-d",
    "sandbox",
    "honeypot",
    "internal-soc",
    "vendor-a",
    "vendor-b",
]
TLDS = ["com", "net", "org", "info", "ru", "cn", "top", "xyz", "biz", "io"]
TLPS = (
    ("white", "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"),
    ("green", "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"),
    ("amber", "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"),
    ("red", "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"),
)
PATTERNS = {
    "ipv4": "[ipv4-addr:value = '{}']",
    "domain": "[domain-name:value = '{}']",
    "url": "[url:value = '{}']",
    "sha256": "[file:hashes.'SHA-256' = '{}']",
}
EPOCH, SPAN = 1_735_689_600_000, 220 * 86_400_000  # 2025-01-01, and how many milliseconds records spread over


@dataclass(frozen=True)
class Expected:
    """What a load that loses nothing finds in the file."""

    read: int
    rejected: int
    repeated: int

    @property
    def kept(self) -> int:
        """Different good records."""
        return self.read - self.rejected - self.repeated


def draw(seed: int, field: int, rows: Words) -> Words:
    """64 random bits for each row: splitmix64 of seed, field and row number."""
    with np.errstate(over="ignore"):
        start = np.uint64((seed * 0xA0761D6478BD642F + field * 0xD1342543DE82EF95) % 2**64)
        z = rows * np.uint64(0x9E3779B97F4A7C15) + start
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def share(seed: int, field: int, rows: Words) -> npt.NDArray[np.float64]:
    """A number from 0 to 1 for each row."""
    return draw(seed, field, rows) / 2.0**64


def fates(seed: int, rows: Words) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which rows are dirty and which repeat an earlier one. The first is neither."""
    fate = share(seed, 0, rows)
    first = rows == 0
    return (fate < DIRTY) & ~first, (fate >= DIRTY) & (fate < DIRTY + REPEATED) & ~first


def origins(seed: int, rows: Words) -> Words:
    """The row whose content stands at each row: itself, or the earlier good one that it repeats."""
    _, repeats = fates(seed, rows)
    origin = np.where(repeats, (share(seed, 1, rows) * rows).astype(np.uint64), rows)
    while True:
        dirty, again = fates(seed, origin)
        wrong = repeats & (dirty | again)
        if not wrong.any():
            return origin
        origin = origin - wrong.astype(np.uint64)


def expect(records: int, seed: int = 42) -> Expected:
    """What is in the file of that many records, counted without writing it."""
    dirty, repeats = fates(seed, np.arange(records, dtype=np.uint64))
    return Expected(records, int(dirty.sum()), int(repeats.sum()))


def uuids(seed: int, field: int, rows: Words) -> list[str]:
    """A UUIDv4 for each row."""
    digits = (
        np.column_stack((draw(seed, field, rows), draw(seed, field + 1, rows))).astype(">u8").tobytes().hex()
    )
    cut = (digits[at : at + 32] for at in range(0, len(digits), 32))
    return [f"{d[:8]}-{d[8:12]}-4{d[13:16]}-a{d[17:20]}-{d[20:]}" for d in cut]


def letters(seed: int, field: int, rows: Words, length: int) -> list[str]:
    """A lower-case word of that length for each row."""
    parts = [draw(seed, field + n, rows) for n in range((length + 7) // 8)]
    raw = np.column_stack(parts).view(np.uint8)[:, :length] % 36
    text = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", dtype=np.uint8)[raw].tobytes().decode()
    return [text[at : at + length] for at in range(0, len(text), length)]


def times(milliseconds: npt.NDArray[np.int64]) -> list[str]:
    """RFC 3339 in UTC with milliseconds."""
    return [text + "Z" for text in np.datetime_as_string(milliseconds.astype("datetime64[ms]")).tolist()]


def values(seed: int, rows: Words) -> list[tuple[str, str]]:
    """Kind and value for each row: 35 % IPv4, 25 % domains, 20 % URLs, 20 % SHA-256."""
    kinds = np.digitize(share(seed, 10, rows), (0.35, 0.60, 0.80)).tolist()
    octets = draw(seed, 11, rows).tolist()
    hashes = [a + b for a, b in zip(uuids(seed, 12, rows), uuids(seed, 14, rows), strict=True)]
    words, paths = letters(seed, 20, rows, 24), letters(seed, 30, rows, 26)
    out = []
    for kind, bits, digest, word, path in zip(kinds, octets, hashes, words, paths, strict=True):
        host = f"{word[: 6 + bits % 12]}.{TLDS[bits % 10]}"
        if kind == 0:
            value = f"{1 + bits % 222}.{bits >> 8 & 255}.{bits >> 16 & 255}.{1 + (bits >> 24) % 254}"
        elif kind == 1:
            value = host
        elif kind == 2:
            value = f"http://{host}/{path[:8]}/{path[8:20]}?id={path[20:]}"
        else:
            value = digest.replace("-", "")
        out.append((("ipv4", "domain", "url", "sha256")[kind], value))
    return out


def rows_of(seed: int, start: int, stop: int) -> Iterator[tuple[str, ...]]:
    """The records from start up to stop, as texts: the columns of the CSV and what else STIX needs."""
    rows = origins(seed, np.arange(start, stop, dtype=np.uint64))
    fate = share(seed, 0, rows)
    dirty, _ = fates(seed, rows)
    created = EPOCH + (share(seed, 40, rows) * SPAN).astype(np.int64)
    changed = share(seed, 41, rows)
    modified = created + np.where(changed < 0.6, 0, (changed * SPAN).astype(np.int64))
    fault = np.where(dirty, 1 + (fate * 3 / DIRTY).astype(np.int64), 0).tolist()
    columns = zip(
        uuids(seed, 50, rows),
        values(seed, rows),
        fault,
        (draw(seed, 52, rows) % np.uint64(101)).tolist(),
        draw(seed, 53, rows).tolist(),
        times(created),
        times(modified),
        letters(seed, 54, rows, 8),
        strict=True,
    )
    for uuid, (kind, value), wrong, confidence, bits, born, newer, reference in columns:
        yield (
            f"indicator--{uuid}",
            kind,
            value,
            "" if wrong == 2 else PATTERNS[kind].format(value),
            "140" if wrong == 1 else str(confidence),
            FAMILIES[bits % 15],
            born,
            newer,
            "2025-13-45T99:00:00Z" if wrong == 3 else born,
            *TLPS[bits >> 8 & 3],
            SOURCES[(bits >> 10) % 9],
            PHASES[(bits >> 16) % 9],
            TYPES[(bits >> 24) % 7],
            f"identity--00000000-0000-4000-8000-0000000000{10 + (bits >> 32) % 40}",
            reference,
        )


def as_json(row: tuple[str, ...]) -> str:
    """One STIX object on one line. No value here needs escaping."""
    (
        id_, kind, _, pattern, confidence, family, created, modified, valid_from,
        _, marking, source, phase, type_, author, reference,
    ) = row  # fmt: skip
    pattern_member = f'"pattern":"{pattern}",' if pattern else ""
    return (
        f'{{"type":"indicator","spec_version":"2.1","id":"{id_}","created_by_ref":"{author}",'
        f'"created":"{created}","modified":"{modified}","name":"{family} {kind}",'
        f'"indicator_types":["{type_}"],{pattern_member}"pattern_type":"stix","valid_from":"{valid_from}",'
        f'"kill_chain_phases":[{{"kill_chain_name":"mitre-attack","phase_name":"{phase}"}}],'
        f'"labels":["{family}","{source}"],"confidence":{confidence},'
        f'"external_references":[{{"source_name":"{source}",'
        f'"url":"https://{source}.example/r/{reference}","external_id":"{reference}"}}],'
        f'"object_marking_refs":["{marking}"]}}'
    )


def as_csv(row: tuple[str, ...]) -> str:
    """One line of the CSV."""
    (
        id_,
        kind,
        value,
        pattern,
        confidence,
        family,
        created,
        modified,
        valid_from,
        tlp,
        _,
        source,
        phase,
        *_,
    ) = row
    return (
        f"{id_},{kind},{value},{pattern},{confidence},{family};{source},"
        f"{created},{modified},{valid_from},{tlp},{source},{phase}"
    )


def generate(folder: Path, records: int, form: str, seed: int = 42) -> Path:
    """Write the file of that form unless it is there, and return its path."""
    path = folder / f"{seed}-{records}" / FORMATS[form]
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="ascii", newline="") as out:
        if form == "csv":
            out.write(COLUMNS + "\n")
        if form == "bundle":
            out.write('{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","objects":[\n')
        write, separator, end = (as_csv, "\n", "\n") if form == "csv" else (as_json, "\n", "\n")
        if form == "bundle":
            separator, end = ",\n", ""
        for start in range(0, records, BLOCK):
            stop = min(start + BLOCK, records)
            out.write(separator.join(map(write, rows_of(seed, start, stop))))
            out.write(separator if stop < records else end)
        if form == "bundle":
            out.write("\n]}\n")
    unfinished.rename(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--forms", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    options = parser.parse_args()
    for form in options.forms:
        path = generate(options.folder, options.records, form, options.seed)
        print(path, f"{path.stat().st_size / options.records:.0f} B a record")
    print(expect(options.records, options.seed))


if __name__ == "__main__":
    main()
