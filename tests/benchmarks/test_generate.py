"""The benchmark's files hold exactly what their expected ledger says."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.generate import expect, generate
from benchmarks.ingest import verify
from benchmarks.measure import Failed

RECORDS = 3000


def dirty(indicator: dict[str, object]) -> bool:
    return (
        "pattern" not in indicator
        or indicator["confidence"] == 140
        or "13-45" in str(indicator["valid_from"])
    )


def test_the_lines_hold_as_many_dirty_and_repeated_records_as_expected(tmp_path: Path) -> None:
    lines = generate(tmp_path, RECORDS, "ndjson").read_text().splitlines()
    good = Counter(line for line in lines if not dirty(json.loads(line)))
    expected = expect(RECORDS)
    assert len(lines) == expected.read
    assert len(lines) - good.total() == expected.rejected > 0
    assert good.total() - len(good) == expected.repeated > 0
    assert len(good) == expected.kept
    assert 700 < len("\n".join(lines)) / RECORDS < 800


def test_the_three_forms_hold_the_same_records(tmp_path: Path) -> None:
    lines = generate(tmp_path, RECORDS, "ndjson").read_text().splitlines()
    bundle = json.loads(generate(tmp_path, RECORDS, "bundle").read_text())
    with generate(tmp_path, RECORDS, "csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert bundle["objects"] == [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [json.loads(line)["id"] for line in lines]


def test_a_longer_file_starts_with_a_shorter_one_and_another_seed_gives_another(tmp_path: Path) -> None:
    short, long, other = (
        generate(tmp_path, records, "ndjson", seed).read_text()
        for records, seed in ((500, 42), (RECORDS, 42), (500, 43))
    )
    assert long.startswith(short)
    assert not set(other.splitlines()) & set(short.splitlines())


def test_a_load_that_lost_a_row_does_not_count() -> None:
    expected = expect(RECORDS)
    ledger = {
        "read": expected.read, "inserted": expected.kept, "updated": 0, "unchanged": 0,
        "duplicate": expected.repeated, "rejected": expected.rejected, "filtered": 0, "balanced": True,
    }  # fmt: skip
    verify(ledger, expected)
    with pytest.raises(Failed):
        verify({**ledger, "inserted": expected.kept - 1}, expected)
