"""Runs: their books, and the commit that puts records, rejects, cursor and ledger down together."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.compile import Plan
from engine.errors import Stop
from engine.ledger import OUTCOMES, Ledger
from engine.model import Severity, SourceField
from engine.ports import Cursor, Segment
from engine.run import Batch, Placed
from engine.scan import identifier
from storage import quarantine, records, staging, uniqueness
from storage.definitions import NotFound
from storage.records import RUN_BITS, Arrival, Kept
from storage.staging import Staged
from storage.store import Store


class RuleFailedTheRun(Stop):
    """A rule that fails the run was broken, so this batch was not kept."""


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
    before: int | None = None,
    limit: int = 50,
) -> list[Run]:
    """Runs, newest first."""
    rows = cursor.execute(
        f"{_RUN} WHERE (? IS NULL OR pipeline = ?) AND (? IS NULL OR state = ?) AND (? IS NULL OR r.run < ?) "
        f"ORDER BY r.run DESC LIMIT {int(limit)}",
        [pipeline, pipeline, state, state, before, before],
    ).fetchall()
    return [_as_run(row) for row in rows]


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
    with store.transaction() as cursor:
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


class RunBooks:
    """Stages and commits the chunks of one run: the store's side of `engine.run`.

    With `dry` nothing is kept: the same plan and the same sorting into outcomes, and no commit.
    `cursors` gives, by segment, the source's cursor once that segment is through; it commits with the
    segment's last batch. `origin` overrides the segment of rows, for a replay of rows of older runs.
    """

    def __init__(
        self,
        store: Store,
        run: int,
        pipeline: str,
        plan: Plan,
        fields: Mapping[str, SourceField],
        *,
        now: Callable[[], datetime],
        dry: bool = False,
        cursors: Callable[[int, int], Cursor | None] = lambda segment, chunk: None,
    ) -> None:
        self.store, self.run, self.pipeline, self.plan, self.fields = store, run, pipeline, plan, fields
        self.now, self.dry, self.cursors = now, dry, cursors
        self.conflicting = 0
        self.newest: dict[str, datetime] = {}
        self.examples: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._own = threading.local()

    def stage(self, placed: Placed) -> Staged:
        name = f"r{self.run}_{placed.segment}_{placed.number}{'_dry' if self.dry else ''}"
        return staging.stage(self._cursor(), self.plan, self.fields, placed.chunk, name)

    def rows(self, staged: Staged) -> int:
        return staged.rows

    def commit(self, batch: Batch[Staged]) -> Ledger:
        """Records, rejects, findings, cursor and ledger together, or none of them."""
        arrivals = self._arrivals(batch)
        try:
            uniqueness.mark(self._cursor(), arrivals)
            with self.store.transaction() as cursor:
                return self._commit(cursor, batch, arrivals)
        finally:
            for _, staged in batch.chunks:
                staging.discard(self._cursor(), staged)

    def close(self) -> None:
        """Drop what a dry run noted."""
        if self.dry:
            for branch in self.plan.branches:
                note = records.shelf(self._cursor(), branch.target, self._dry_name).note
                self._cursor().execute(f"DROP TABLE IF EXISTS {note}")

    @property
    def _dry_name(self) -> str:
        return f"dry{self.run}"

    def _cursor(self) -> DuckDBPyConnection:
        if not hasattr(self._own, "cursor"):
            self._own.cursor = self.store.cursor()
        return self._own.cursor

    def _arrivals(self, batch: Batch[Staged]) -> list[Arrival]:
        base, arrivals = (self.run << RUN_BITS) + batch.position, []
        for place, staged in batch.chunks:
            for branch in staged.branches:
                arrivals.append(Arrival(staged, branch, base, place.segment))
                base += branch.rows
        return arrivals

    def _commit(self, cursor: DuckDBPyConnection, batch: Batch[Staged], arrivals: list[Arrival]) -> Ledger:
        at = self.now()
        self._find(cursor, batch.number, arrivals)
        self._watch(cursor, arrivals)
        rejected = 0
        mapping = self.plan.branches[0].version if len(self.plan.branches) == 1 else ""
        if self.dry:
            rejected += sum(len(staged.chunk.faults) for _, staged in batch.chunks)
            rejected += sum(len(staging.ordinals(cursor, a.branch, a.branch.blocked)[0]) for a in arrivals)
        else:
            for place, staged in batch.chunks:
                rejected += quarantine.put_faults(
                    cursor, self.run, self.pipeline, mapping, place.segment, staged.chunk, at
                )
            for a in arrivals:
                rejected += quarantine.put_rows(
                    cursor, self.run, self.pipeline, a.segment, a.staged, a.branch, at
                )
        kept = self._keep(cursor, arrivals)
        ledger = Ledger(
            read=sum(staged.chunk.read for _, staged in batch.chunks),
            inserted=kept.inserted, updated=kept.updated, unchanged=kept.unchanged,
            duplicate=kept.duplicate, rejected=rejected,
            filtered=sum(staged.filtered for _, staged in batch.chunks),
        ).checked()  # fmt: skip
        if not self.dry:
            self._enter(cursor, batch, ledger, at)
        return ledger

    def _keep(self, cursor: DuckDBPyConnection, arrivals: list[Arrival]) -> Kept:
        by_target: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            by_target[arrival.branch.branch.target.name].append(arrival)
        total = Kept()
        for group in by_target.values():
            target = group[0].branch.branch.target
            on = records.shelf(cursor, target, self._dry_name if self.dry else "")
            kept = records.keep(cursor, self.run, target, group, on)
            if self.dry:
                self._show(cursor, group)
            total = Kept(**{k: v + getattr(kept, k) for k, v in asdict(total).items()})
        self.conflicting += total.conflicting
        return total

    def _watch(self, cursor: DuckDBPyConnection, arrivals: list[Arrival]) -> None:
        """Remember the newest value of each field that a freshness rule looks at."""
        for a in arrivals:
            for check in a.branch.branch.run_checks:
                if check.field is not None:
                    row = cursor.execute(
                        f"SELECT max({identifier(check.field)}) FROM {a.branch.table} WHERE {a.good}"
                    ).fetchall()[0]
                    if row[0] is not None:
                        self.newest[check.rule] = max(row[0], self.newest.get(check.rule, row[0]))

    def _find(self, cursor: DuckDBPyConnection, batch: int, arrivals: list[Arrival]) -> None:
        """Count what each rule caught; RuleFailedTheRun where a rule of that severity caught anything."""
        counts: dict[tuple[str, Any], int] = defaultdict(int)
        for a in arrivals:
            checks = a.branch.branch.checks
            if not checks:
                continue
            sums = ", ".join(f"sum((_mask >> {c.bit}) & 1)" for c in checks)
            row = cursor.execute(f"SELECT {sums} FROM {a.branch.table} WHERE _mask <> 0").fetchall()[0]
            for check, rows in zip(checks, row, strict=True):
                if rows:
                    counts[a.branch.branch.version, check] += int(rows)
                    if check.severity == Severity.FAIL:
                        raise RuleFailedTheRun(
                            f"{check.message}: {int(rows):,} rows from line {a.staged.chunk.first_line:,} on.",
                            action="Look at these rows in the source, or lower the rule's severity.",
                        )
        if self.dry:
            return
        for (mapping, check), rows in counts.items():
            cursor.execute(
                "INSERT INTO store.spire.findings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [self.run, batch, mapping, check.rule, check.field, check.severity, check.message, rows],
            )

    def _enter(self, cursor: DuckDBPyConnection, batch: Batch[Staged], ledger: Ledger, at: datetime) -> None:
        last = batch.chunks[-1][0]
        position = batch.position + sum(staged.rows for _, staged in batch.chunks)
        cursor.execute(
            f"INSERT INTO store.spire.batches VALUES (?, ?, ?, ?, ?, ?, ?, {', '.join('?' * len(OUTCOMES))})",
            [self.run, batch.number, last.segment, last.number + 1, position, at, ledger.read,
             *(getattr(ledger, o) for o in OUTCOMES)],
        )  # fmt: skip
        reached = self.cursors(last.segment, last.number)
        if reached is not None:
            cursor.execute(
                "INSERT INTO store.spire.cursors VALUES (?, ?, ?, ?)",
                [self.pipeline, json.dumps(reached), self.run, at],
            )

    def _show(self, cursor: DuckDBPyConnection, group: list[Arrival]) -> None:
        """Keep up to ten examples of each outcome, for a dry run."""
        for a in group:
            for number, outcome in enumerate(OUTCOMES[:4]):
                missing = 10 - len(self.examples[outcome])
                if missing > 0:
                    columns = ", ".join(f"t.{identifier(c)}" for c, _ in a.branch.branch.columns)
                    found = cursor.execute(
                        f"SELECT {a.staged.line('t.' + a.branch.ordinal)} AS _line, {columns} "
                        f"FROM {a.branch.table} t JOIN sorted s ON s.seq = {a.base} + t.rowid "
                        f"WHERE s.outcome = {number} LIMIT {missing}"
                    )
                    names = [d[0] for d in found.description or ()]
                    self.examples[outcome] += [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def keep_cursor(store: Store, pipeline: str, reached: Cursor, run: int, now: datetime) -> None:
    """Keep the cursor after a payload that held no rows, and so committed no batch."""
    with store.transaction() as cursor:
        cursor.execute(
            "INSERT INTO store.spire.cursors VALUES (?, ?, ?, ?)", [pipeline, json.dumps(reached), run, now]
        )


def take_back(store: Store, run: int) -> int:
    """Remove the records a failed run wrote and bring back what they replaced; its rejects stay to be looked at."""
    with store.transaction() as cursor:
        return _take_back(cursor, run)


def undo(store: Store, run: int, now: datetime) -> int:
    """Remove what a run wrote and bring back what it replaced; the cursor goes back too. Returns versions removed.

    Rejects of the run are dismissed; rejects it replayed are open again. All of it or none.
    """
    with store.transaction() as cursor:
        removed = _take_back(cursor, run)
        cursor.execute(
            "UPDATE store.spire.rejects SET state = 'dismissed' WHERE run = ? AND state = 'open'", [run]
        )
        cursor.execute(
            "UPDATE store.spire.rejects SET state = 'open', replay = NULL WHERE replay = ? AND state = 'replayed'",
            [run],
        )
        cursor.execute("UPDATE store.spire.runs SET state = 'undone', finished = ? WHERE run = ?", [now, run])
        return removed


def _take_back(cursor: DuckDBPyConnection, run: int) -> int:
    removed = sum(records.undo(cursor, target, run) for target in records.kept_targets(cursor))
    cursor.execute("DELETE FROM store.spire.cursors WHERE run = ?", [run])
    return removed
