"""Chronicle: a run's log, told from what its books hold, so that it costs the store next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.tenant.schemas.runs import Finding
from storage.runs import BatchEntry, Run

# A long run has thousands of batches; the first and the last say how it went.
SHOWN = 40
Line = tuple[datetime, str]


def chronicle(
    run: Run, batches: Sequence[BatchEntry], told: Sequence[Line], findings: Sequence[Finding]
) -> list[Line]:
    """What happened in a run, in order of time, in UTC."""
    what = {"replay": "Replay", "run": "Run"}.get(run.kind, run.kind)
    begun = f"{what} {run.run} of {run.pipeline}, version {run.version}, started by {run.started_by or 'the schedule'}."
    lines: list[Line] = [(run.started, begun), *told]
    for entry in _some(batches):
        lines.append(entry)
    lines.sort(key=lambda line: line[0])
    if run.finished is not None:
        lines += [(run.finished, _caught(found)) for found in findings]
        lines += [(run.finished, note) for note in run.notes]
        lines.append((run.finished, _end(run)))
    return [(at.replace(tzinfo=UTC), text) for at, text in lines]


def _some(batches: Sequence[BatchEntry]) -> list[Line]:
    lines = [(entry.moment, _batch(entry)) for entry in batches]
    if len(lines) <= SHOWN:
        return lines
    half = SHOWN // 2
    left_out = len(lines) - 2 * half
    gap = (lines[half][0], f"{left_out:,} more batches, committed one after the other.")
    return [*lines[:half], gap, *lines[-half:]]


def _batch(entry: BatchEntry) -> str:
    parts = [
        f"{count:,} {name}" for name, count in entry.ledger.as_dict().items() if name != "read" and count
    ]
    return f"Batch {entry.batch + 1} committed: {entry.ledger.read:,} read = {' + '.join(parts) or '0'}."


def _caught(found: Finding) -> str:
    where = f" ({found.field})" if found.field else ""
    done = {"warn": "noted", "quarantine": "sent to quarantine"}.get(found.severity, "caught")
    return f"Rule “{found.message}”{where}: {found.rows:,} rows {done}."


def _end(run: Run) -> str:
    if run.error:
        told = [str(run.error[k]) for k in ("title", "where", "action") if run.error.get(k)]
        return f"Ended as {run.state}. {' '.join(told)}"
    books = "the books balance" if run.ledger.balanced else "the books do not balance"
    return f"Ended as {run.state}; {books}."
