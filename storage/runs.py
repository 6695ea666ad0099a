"""Runs: what was asked, how far it came, how it ended; and taking back what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.ledger import OUTCOMES, Ledger
from engine.ports import Cursor, Segment
from storage import presence, records, waiting
from storage.definitions import NotFound
from storage.store import Store


@dataclass(frozen=True)
class Run:
    """One run: what it was asked (`body`), its state, its ledger, and what it found.

    `state` is running, finished, failed, cancelled or undone. A run that is `running` when the store
    is opened was interrupted, and goes on from `resume`.
    """

    run: int
    pipeline: str
    version: int
    kind: str
    state: str
    started: datetime
    finished: datetime | None
    started_by: str
    body: dict[str, Any]
    error: dict[str, Any] | None
    stages: dict[str, Any]
    notes: list[str]
    ledger: Ledger


@dataclass(frozen=True)
class Resume:
    """From where an interrupted run goes on: chunks already committed by segment, rows and batches so far."""

    chunks: Mapping[int, int] = field(default_factory=dict)
    batches: int = 0
    position: int = 0


@dataclass(frozen=True)
class Figures:
    """What a pipeline's runs come to: how many finished, which of those do not balance, the start of the
    newest, and the records they put into the store.
    """

    finished: int
    unbalanced: tuple[int, ...]
    newest: datetime | None
    kept: int


def begin(
    store: Store, pipeline: str, version: int, kind: str, body: dict[str, Any], by: str, now: datetime
) -> int:
    """Enter a new run in the books and return its number."""
    with store.transaction() as cursor:
        number = cursor.execute("SELECT coalesce(max(run), 0) + 1 FROM store.spire.runs").fetchall()[0][0]
        cursor.execute(
            "INSERT INTO store.spire.runs VALUES (?, ?, ?, ?, 'running', ?, NULL, ?, ?, NULL, NULL, NULL)",
            [number, pipeline, version, kind, now, by, json.dumps(body)],
        )
        return int(number)


def end(
    store: Store,
    run: int,
    state: str,
    now: datetime,
    *,
    error: dict[str, Any] | None = None,
    stages: dict[str, Any] | None = None,
    notes: list[str] | None = None,
) -> None:
    """Say how a run ended."""
    with store.transaction() as cursor:
        cursor.execute(
            "UPDATE store.spire.runs SET state = ?, finished = ?, error = ?, stages = ?, notes = ? WHERE run = ?",
            [state, now, json.dumps(error) if error else None, json.dumps(stages or {}),
             json.dumps(notes or []), run],
        )  # fmt: skip
        cursor.execute("DELETE FROM store.spire.met WHERE run = ?", [run])


_RUN = f"""
    SELECT r.run, pipeline, version, kind, state, started, finished, started_by, body, error, stages, notes,
        coalesce(b.read, 0), {", ".join(f"coalesce(b.{o}, 0)" for o in OUTCOMES)}
    FROM store.spire.runs r LEFT JOIN (
        SELECT run, sum(read) AS read, {", ".join(f"sum({o}) AS {o}" for o in OUTCOMES)}
        FROM store.spire.batches GROUP BY run
    ) b ON b.run = r.run
"""


def get(cursor: DuckDBPyConnection, run: int) -> Run:
    """One run; NotFound where there is none of that number."""
    found = cursor.execute(f"{_RUN} WHERE r.run = ?", [run]).fetchall()
    if not found:
        raise NotFound(f"run {run}.")
    return _as_run(found[0])


def recent(
    cursor: DuckDBPyConnection,
    *,
    pipeline: str | None = None,
    state: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Run]:
    """Runs, newest first; `since` is the earliest start, in UTC."""
    asked = {
        "pipeline = ?": pipeline, "state = ?": state, "kind = ?": kind, "started >= ?": since, "r.run < ?": before
    }  # fmt: skip
    where = [condition for condition, value in asked.items() if value is not None]
    rows = cursor.execute(
        f"{_RUN} WHERE {' AND '.join(where) or 'true'} ORDER BY r.run DESC LIMIT {int(limit)}",
        [value for value in asked.values() if value is not None],
    ).fetchall()
    return [_as_run(row) for row in rows]


def last_of_each(cursor: DuckDBPyConnection) -> list[Run]:
    """The newest run of every pipeline, replays left out."""
    newest = "r.run IN (SELECT max(run) FROM store.spire.runs WHERE kind = 'run' GROUP BY pipeline)"
    return [_as_run(row) for row in cursor.execute(f"{_RUN} WHERE {newest}").fetchall()]


def figures(cursor: DuckDBPyConnection) -> dict[str, Figures]:
    """The figures of every pipeline that ever ran."""
    parts = " + ".join(f"sum({outcome})" for outcome in OUTCOMES)
    rows = cursor.execute(
        f"""
        SELECT pipeline, count(*) FILTER (state = 'finished'),
            coalesce(list(r.run) FILTER (state = 'finished' AND NOT coalesce(balanced, true)), []),
            max(started) FILTER (state = 'finished' AND kind = 'run'),
            coalesce(sum(inserted) FILTER (state <> 'undone'), 0)
        FROM store.spire.runs r LEFT JOIN (
            SELECT run, sum(read) = {parts} AS balanced, sum(inserted) AS inserted
            FROM store.spire.batches GROUP BY run
        ) b ON b.run = r.run
        WHERE kind IN ('run', 'replay') GROUP BY pipeline
        """
    ).fetchall()
    return {row[0]: Figures(int(row[1]), tuple(row[2]), row[3], int(row[4])) for row in rows}


def _as_run(row: tuple[Any, ...]) -> Run:
    body, error, stages, notes = (json.loads(x) if x else None for x in row[8:12])
    counts = [int(x) for x in row[12:]]
    return Run(*[*row[:8], body, error, stages or {}, notes or [], Ledger(*counts)])


def findings(cursor: DuckDBPyConnection, run: int) -> list[dict[str, Any]]:
    """How many rows each rule caught in a run, the most first."""
    rows = cursor.execute(
        "SELECT mapping, rule, field, severity, message, sum(rows) FROM store.spire.findings WHERE run = ? "
        "GROUP BY ALL ORDER BY 6 DESC, 2",
        [run],
    ).fetchall()
    names = ("mapping", "rule", "field", "severity", "message", "rows")
    return [dict(zip(names, (*row[:5], int(row[5])), strict=True)) for row in rows]


def tell(store: Store, run: int, told: str, now: datetime) -> None:
    """Write a line into a run's log."""
    with store.transaction(batch=True) as cursor:
        cursor.execute("INSERT INTO store.spire.events VALUES (?, ?, ?)", [run, now, told])


def told(cursor: DuckDBPyConnection, run: int) -> list[tuple[datetime, str]]:
    """What a run's log was told, in order."""
    return cursor.execute(
        "SELECT moment, told FROM store.spire.events WHERE run = ? ORDER BY moment, rowid", [run]
    ).fetchall()


@dataclass(frozen=True)
class BatchEntry:
    """A batch as it stands in the books: when it was committed, and its ledger."""

    batch: int
    moment: datetime
    ledger: Ledger


def batches(cursor: DuckDBPyConnection, run: int) -> list[BatchEntry]:
    """The batches of a run, in order."""
    rows = cursor.execute(
        f"SELECT batch, moment, read, {', '.join(OUTCOMES)} FROM store.spire.batches WHERE run = ? ORDER BY batch",
        [run],
    ).fetchall()
    return [BatchEntry(row[0], row[1], Ledger(*map(int, row[2:]))) for row in rows]


def resume(cursor: DuckDBPyConnection, run: int) -> Resume:
    """How far a run has committed."""
    rows = cursor.execute(
        "SELECT segment, chunks, batch, position FROM store.spire.batches WHERE run = ? ORDER BY batch", [run]
    ).fetchall()
    if not rows:
        return Resume()
    chunks: dict[int, int] = {}
    for segment, done, _, _ in rows:
        chunks[segment] = done
    last = rows[-1][0]
    # A segment before the last one committed is done with, however many chunks it had.
    done_with = {s: (n if s == last else 1 << 62) for s, n in chunks.items()}
    for segment in range(last):
        done_with[segment] = 1 << 62
    return Resume(done_with, rows[-1][2] + 1, rows[-1][3])


def add_segment(store: Store, run: int, number: int, segment: Segment, after: Cursor | None) -> None:
    """Note which sealed payload is segment `number` of a run, and the source's cursor after it."""
    with store.transaction(batch=True) as cursor:
        cursor.execute("DELETE FROM store.spire.segments WHERE run = ? AND number = ?", [run, number])
        cursor.execute(
            "INSERT INTO store.spire.segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [run, number, segment.run, segment.number, segment.name, segment.size, segment.sha256,
             None if after is None else json.dumps(after)],
        )  # fmt: skip


def segments(cursor: DuckDBPyConnection, run: int) -> list[tuple[Segment, Cursor | None]]:
    """The sealed payloads of a run in order, each with the source's cursor after it."""
    rows = cursor.execute(
        "SELECT place, place_number, name, size, sha256, cursor FROM store.spire.segments WHERE run = ? "
        "ORDER BY number",
        [run],
    ).fetchall()
    return [(Segment(*row[:5]), json.loads(row[5]) if row[5] else None) for row in rows]


def cursor_of(cursor: DuckDBPyConnection, pipeline: str) -> Cursor | None:
    """Where the source of a pipeline was left by its last committed payload."""
    row = cursor.execute(
        "SELECT cursor FROM store.spire.cursors WHERE pipeline = ? ORDER BY moment DESC, run DESC LIMIT 1",
        [pipeline],
    ).fetchone()
    return json.loads(row[0]) if row else None


def cursor_before(cursor: DuckDBPyConnection, pipeline: str, run: int) -> Cursor | None:
    """Where the source of a pipeline stood by runs other than this one: where an undo leads back to."""
    row = cursor.execute(
        "SELECT cursor FROM store.spire.cursors WHERE pipeline = ? AND run <> ? "
        "ORDER BY moment DESC, run DESC LIMIT 1",
        [pipeline, run],
    ).fetchone()
    return json.loads(row[0]) if row else None


def moves_cursor(cursor: DuckDBPyConnection, run: int) -> bool:
    """Whether a run left a cursor, which an undo would take back."""
    found = cursor.execute("SELECT 1 FROM store.spire.cursors WHERE run = ? LIMIT 1", [run]).fetchone()
    return found is not None


def keep_cursor(store: Store, pipeline: str, reached: Cursor, run: int, now: datetime) -> None:
    """Keep the cursor after a payload that held no rows, and so committed no batch."""
    with store.transaction(batch=True) as cursor:
        cursor.execute(
            "INSERT INTO store.spire.cursors VALUES (?, ?, ?, ?)", [pipeline, json.dumps(reached), run, now]
        )


@dataclass(frozen=True)
class Written:
    """What a run wrote of one target model, and what undoing it would do there.

    `versions` would go; of `restored` records an older version would be the latest again, and `gone`
    records would be there no more.
    """

    target: str
    versions: int
    restored: int
    gone: int


def written(cursor: DuckDBPyConnection, run: int) -> list[Written]:
    """What a run wrote, by target model; those it wrote nothing of are left out."""
    found = (records.would_undo(cursor, target, run) for target in records.kept_targets(cursor))
    return [Written(*each) for each in found if each[1]]


def reject_counts(cursor: DuckDBPyConnection, run: int) -> tuple[int, int]:
    """How many open rejects of a run an undo would close, and how many it closed would be open again."""
    row = cursor.execute(
        "SELECT count(*) FILTER (run = $run AND state IN ('open', 'repeated')), "
        "count(*) FILTER (replay = $run AND state IN ('replayed', 'repeated')) FROM store.spire.rejects",
        {"run": run},
    ).fetchall()[0]
    return int(row[0]), int(row[1])


def take_back(store: Store, run: int, now: datetime) -> int:
    """Remove the records a failed run wrote and bring back what they replaced; its rejects stay to be looked at.

    It is failed from the same moment on, so that no restart goes on with what is gone.
    """
    with store.transaction() as cursor:
        cursor.execute("UPDATE store.spire.runs SET state = 'failed', finished = ? WHERE run = ?", [now, run])
        return _take_back(cursor, run)


def undo(store: Store, run: int, now: datetime) -> int:
    """Remove what a run wrote and bring back what it replaced; the cursor goes back too. Returns versions removed.

    Rejects of the run are closed; rejects it replayed or repeated are open again. All of it or none. When the run
    ended stays as it was, so that what it took is still told right.
    """
    with store.transaction() as cursor:
        removed = _take_back(cursor, run)
        cursor.execute(
            "UPDATE store.spire.rejects SET state = 'undone' WHERE run = ? AND state IN ('open', 'repeated')",
            [run],
        )
        cursor.execute(
            "UPDATE store.spire.rejects SET state = 'open', replay = NULL WHERE replay = ? AND state IN ('replayed', 'repeated')",
            [run],
        )
        cursor.execute(
            "UPDATE store.spire.runs SET state = 'undone', finished = coalesce(finished, ?) WHERE run = ?",
            [now, run],
        )
        return removed


def _take_back(cursor: DuckDBPyConnection, run: int) -> int:
    waiting.leaving(cursor, run)
    removed = sum(records.undo(cursor, target, run) for target in records.kept_targets(cursor))
    waiting.left(cursor, run)
    presence.forget(cursor, run)
    cursor.execute("DELETE FROM store.spire.cursors WHERE run = ?", [run])
    return removed
