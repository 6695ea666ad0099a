"""The books of one run: its chunks staged, and each batch's records, rejects, cursor and ledger committed together."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.compile import Plan
from engine.errors import Stop
from engine.ledger import OUTCOMES, Ledger
from engine.model import Severity, SourceField
from engine.ports import Cursor
from engine.run import Batch, Placed
from engine.scan import identifier
from storage import presence, quarantine, records, staging, uniqueness, waiting
from storage.records import RUN_BITS, Arrival, Kept
from storage.staging import Staged
from storage.store import Store

EXAMPLES = 10


class RuleFailedTheRun(Stop):
    """A rule that fails the run was broken, so this batch was not kept."""


class RunBooks:
    """Stages and commits the chunks of one run: the store's side of `engine.run`.

    With `dry` nothing is kept: the same plan and the same sorting into outcomes, and no commit. With `whole`
    the source gives all it holds, and what it holds is noted.
    `cursors` gives, by segment, the source's cursor once that segment is through; it commits with the
    segment's last batch. `columns` are the source's usual ones, where it has a header.
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
        whole: bool = False,
        cursors: Callable[[int, int], Cursor | None] = lambda segment, chunk: None,
        columns: Sequence[str] = (),
    ) -> None:
        self.columns = columns
        self.store, self.run, self.pipeline, self.plan, self.fields = store, run, pipeline, plan, fields
        self.now, self.dry, self.cursors = now, dry, cursors
        self.whole = whole
        # What batches before an interruption saw counts too: the rules about a run judge all of it.
        self.newest, self.conflicting = ({}, 0) if dry else _marks(store.cursor(), run)
        self.examples: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.found: dict[tuple[str, Any], int] = defaultdict(int)
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
            with self.store.transaction(batch=True) as cursor:
                return self._commit(cursor, batch, arrivals)
        finally:
            for _, staged in batch.chunks:
                staging.discard(self._cursor(), staged)

    def close(self) -> None:
        """Drop what a run that ended early had staged, and what a dry run noted."""
        left = self._cursor().execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'stage' "
            "AND starts_with(table_name, ?)",
            [f"r{self.run}_"],
        )
        for (table,) in left.fetchall():
            self._cursor().execute(f"DROP TABLE IF EXISTS stage.{identifier(table)}")
        if self.dry:
            for branch in self.plan.branches:
                note = records.shelf(self._cursor(), branch.target, dry=self._dry_name).note
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
        newest = self._newest(cursor, arrivals)
        rejected = 0
        mapping = self.plan.branches[0].version if len(self.plan.branches) == 1 else ""
        if self.dry:
            rejected += sum(len(staged.chunk.faults) for _, staged in batch.chunks)
            rejected += sum(len(staging.ordinals(cursor, a.branch, a.branch.blocked)[0]) for a in arrivals)
            self._show_left_out(cursor, batch, arrivals)
        else:
            for place, staged in batch.chunks:
                rejected += quarantine.put_faults(
                    cursor, self.run, self.pipeline, mapping, place.segment, staged.chunk, at, self.columns
                )
            for a in arrivals:
                rejected += quarantine.put_rows(
                    cursor, self.run, self.pipeline, a.segment, a.staged, a.branch, at, self.columns
                )
        kept = self._keep(cursor, arrivals)
        if not self.dry:
            written = dict.fromkeys(a.branch.branch.target.name for a in arrivals if a.branch.rows)
            waiting.note(cursor, self.run, (self.run << RUN_BITS) + batch.position, written)
            if self.whole:
                presence.meet(cursor, self.run, arrivals)
        ledger = Ledger(
            read=sum(staged.chunk.read for _, staged in batch.chunks),
            inserted=kept.inserted, updated=kept.updated, unchanged=kept.unchanged,
            duplicate=kept.duplicate, rejected=rejected,
            filtered=sum(staged.filtered for _, staged in batch.chunks),
        ).checked()  # fmt: skip
        if not self.dry:
            self._enter(cursor, batch, ledger, at)
            self._mark(cursor, batch.number, newest, kept.conflicting)
        self.conflicting += kept.conflicting
        for rule, value in newest.items():
            self.newest[rule] = max(value, self.newest.get(rule, value))
        return ledger

    def _keep(self, cursor: DuckDBPyConnection, arrivals: list[Arrival]) -> Kept:
        by_target: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            by_target[arrival.branch.branch.target.name].append(arrival)
        total = Kept()
        for group in by_target.values():
            target = group[0].branch.branch.target
            on = records.shelf(cursor, target, records.mapped(group), self._dry_name if self.dry else "")
            kept = records.keep(cursor, self.run, target, group, on)
            if self.dry:
                self._show(cursor, group)
            total = Kept(**{k: v + getattr(kept, k) for k, v in asdict(total).items()})
        return total

    def _newest(self, cursor: DuckDBPyConnection, arrivals: list[Arrival]) -> dict[str, datetime]:
        """The newest value, by freshness rule, of the field it looks at."""
        found: dict[str, datetime] = {}
        for a in arrivals:
            for check in a.branch.branch.run_checks:
                if check.field in a.branch.branch.mapped:
                    row = cursor.execute(
                        f"SELECT max({identifier(check.field)}::TIMESTAMP) FROM {a.branch.table} WHERE {a.good}"
                    ).fetchall()[0]
                    if row[0] is not None:
                        found[check.rule] = max(row[0], found.get(check.rule, row[0]))
        return found

    def _mark(
        self, cursor: DuckDBPyConnection, batch: int, newest: Mapping[str, datetime], conflicting: int
    ) -> None:
        marks: list[tuple[str, datetime | None, int | None]] = [(r, at, None) for r, at in newest.items()]
        if conflicting:
            marks.append(("", None, conflicting))
        for mark in marks:
            cursor.execute("INSERT INTO store.spire.marks VALUES (?, ?, ?, ?, ?)", [self.run, batch, *mark])

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
            for caught, rows in counts.items():
                self.found[caught] += rows
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
        """Keep up to ten examples of each outcome that good rows have, for a dry run."""
        for a in group:
            columns = ", ".join(f"t.{identifier(c)}" for c in a.branch.branch.mapped) or "NULL"
            for number, outcome in enumerate(OUTCOMES[:4]):
                # Of rows that repeat each other in a batch only one was sorted.
                meant = (
                    "(s.outcome = 3 OR s.seq IS NULL)" if outcome == "duplicate" else f"s.outcome = {number}"
                )
                self._add(
                    outcome,
                    cursor,
                    f"SELECT {a.staged.line('t.' + a.branch.ordinal)} AS _line, {columns} "
                    f"FROM {a.branch.table} t LEFT JOIN sorted s ON s.seq = {a.base} + t.rowid "
                    f"WHERE {a.good} AND {meant}",
                )

    def _show_left_out(
        self, cursor: DuckDBPyConnection, batch: Batch[Staged], arrivals: list[Arrival]
    ) -> None:
        """Keep up to ten examples of what a run would reject, and of what its filters would leave out."""
        rejected = self.examples["rejected"]
        for _, staged in batch.chunks:
            for fault in staged.chunk.faults[: EXAMPLES - len(rejected)]:
                rejected.append(
                    {"_line": fault.line, "reason": fault.reason, "field": None, "raw": fault.raw}
                )
            if staged.filtered and f"stage.{staged.name}_routed" in staged.tables:
                self._add(
                    "filtered",
                    cursor,
                    f"SELECT {staged.line('t._ord')} AS _line, t.* EXCLUDE (_route, _ord) "
                    f"FROM stage.{staged.name}_routed t WHERE t._route = -1",
                )
        for a in arrivals:
            if len(rejected) >= EXAMPLES:
                break
            rows, masks = staging.ordinals(cursor, a.branch, a.branch.blocked)
            rows, masks = rows[: EXAMPLES - len(rejected)], masks[: EXAMPLES - len(rejected)]
            raws = a.staged.chunk.raw(rows.tolist()) if len(rows) else []
            for line, raw, mask in zip(a.staged.lines(rows), raws, masks, strict=True):
                cause = quarantine.failed(a.branch.branch, int(mask))
                rejected.append(
                    {"_line": int(line), "reason": cause["reason"], "field": cause["field"], "raw": raw}
                )

    def _add(self, outcome: str, cursor: DuckDBPyConnection, select: str) -> None:
        missing = EXAMPLES - len(self.examples[outcome])
        if missing > 0:
            found = cursor.execute(f"{select} LIMIT {missing}")
            names = [d[0] for d in found.description or ()]
            self.examples[outcome] += [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _marks(cursor: DuckDBPyConnection, run: int) -> tuple[dict[str, datetime], int]:
    """What the batches of a run that are committed already have left for its end."""
    rows = cursor.execute(
        "SELECT rule, max(newest), coalesce(sum(conflicting), 0) FROM store.spire.marks WHERE run = ? GROUP BY 1",
        [run],
    ).fetchall()
    return {rule: newest for rule, newest, _ in rows if newest is not None}, sum(int(row[2]) for row in rows)
