"""Drift as it is kept: what is known of a pipeline's source, and how each run's source differed from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from engine.drift import Finding
from engine.drift_look import Look

# Of so many payloads it is remembered that they were looked at: the same bytes again are no news.
PAYLOADS = 200


@dataclass(frozen=True)
class Known:
    """What is known of the source a pipeline's version was written for, learned from so many runs.

    `payloads` are the SHA-256 digests of what it was learned from.
    """

    pipeline: str
    version: int
    look: Look
    payloads: tuple[str, ...] = ()
    runs: int = 0


@dataclass(frozen=True)
class Drift:
    """How a run's source differed. `state` is open, accepted, dismissed, or superseded by a later run's."""

    run: int
    pipeline: str
    version: int
    findings: tuple[Finding, ...]
    look: Look
    state: str
    who: str
    at: datetime


def known(cursor: DuckDBPyConnection, pipeline: str, version: int) -> Known | None:
    """What is known for a version of a pipeline, or else for the one before it."""
    row = cursor.execute(
        "SELECT pipeline, version, look, payloads, runs FROM store.spire.looks WHERE pipeline = ? AND version <= ? "
        "ORDER BY version DESC, moment DESC LIMIT 1",
        [pipeline, version],
    ).fetchone()
    if row is None:
        return None
    return Known(row[0], row[1], Look.model_validate_json(row[2]), tuple(json.loads(row[3])), row[4])


def keep_known(cursor: DuckDBPyConnection, what: Known, at: datetime) -> None:
    """Keep what is known, in place of what was known for that version."""
    cursor.execute(
        "DELETE FROM store.spire.looks WHERE pipeline = ? AND version = ?", [what.pipeline, what.version]
    )
    cursor.execute(
        "INSERT INTO store.spire.looks VALUES (?, ?, ?, ?, ?, ?)",
        [what.pipeline, what.version, what.look.model_dump_json(), json.dumps(what.payloads[-PAYLOADS:]),
         what.runs, at],
    )  # fmt: skip


def keep(cursor: DuckDBPyConnection, found: Drift) -> None:
    """Enter what a run found; what earlier runs found and nobody answered is superseded by it."""
    cursor.execute(
        "UPDATE store.spire.drifts SET state = 'superseded' WHERE pipeline = ? AND run <> ? AND state = 'open'",
        [found.pipeline, found.run],
    )
    cursor.execute("DELETE FROM store.spire.drifts WHERE run = ?", [found.run])
    cursor.execute(
        "INSERT INTO store.spire.drifts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [found.run, found.pipeline, found.version, json.dumps([f.model_dump() for f in found.findings]),
         found.look.model_dump_json(), found.state, found.who, found.at],
    )  # fmt: skip


def of_run(cursor: DuckDBPyConnection, run: int) -> Drift | None:
    """What a run found; None where its source was as expected."""
    found = _read(cursor, "run = ?", [run])
    return found[0] if found else None


def latest(cursor: DuckDBPyConnection, pipeline: str) -> Drift | None:
    """The newest drift of a pipeline that nobody has answered yet."""
    found = _read(cursor, "pipeline = ? AND state = 'open' ORDER BY run DESC LIMIT 1", [pipeline])
    return found[0] if found else None


def settle(cursor: DuckDBPyConnection, pipeline: str, state: str, who: str, at: datetime) -> None:
    """Answer what is open for a pipeline: accepted, dismissed, or superseded."""
    cursor.execute(
        "UPDATE store.spire.drifts SET state = ?, who = ?, moment = ? WHERE pipeline = ? AND state = 'open'",
        [state, who, at, pipeline],
    )


def _read(cursor: DuckDBPyConnection, condition: str, values: Sequence[object]) -> list[Drift]:
    rows = cursor.execute(
        "SELECT run, pipeline, version, findings, look, state, who, moment FROM store.spire.drifts "
        f"WHERE {condition}",
        list(values),
    ).fetchall()
    return [
        Drift(
            row[0], row[1], row[2], tuple(Finding.model_validate(each) for each in json.loads(row[3])),
            Look.model_validate_json(row[4]), *row[5:],
        )
        for row in rows
    ]  # fmt: skip
