"""Quarantine: rows that failed, each with its bytes, line, rule and mapping version, waiting for a repair."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from engine.compile import Branch
from engine.ports import Chunk, Fault
from storage.staging import Staged, StagedBranch, ordinals

UNREADABLE = "readable"


@dataclass(frozen=True)
class Reject:
    """A row in quarantine. `rule` and `reason` are of the first failed check; `checks` lists them all.

    `form` says how `raw` is written: `csv` (in the source's dialect), `lines` (a JSON object), or
    `unreadable` (a fault: bytes that never became a row). `fixed` holds the repaired bytes, if any.
    `state` is open, replayed, dismissed, repeated (the same bytes were dealt with, or came again later) or
    undone (with its run). `replay` is the run that closed it. `columns` are its payload's, where they were
    not the source's usual ones.
    """

    id: int
    run: int
    pipeline: str
    mapping: str
    segment: int
    line: int
    form: str
    raw: bytes
    fixed: bytes | None
    rule: str
    field: str | None
    reason: str
    checks: list[dict[str, Any]]
    state: str
    at: datetime
    replay: int | None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """Open rejects that share a rule and a reason."""

    rule: str
    field: str | None
    reason: str
    rows: int
    first: int
    runs: tuple[int, ...]


def put_faults(
    cursor: DuckDBPyConnection,
    run: int,
    pipeline: str,
    mapping: str,
    segment: int,
    chunk: Chunk,
    at: datetime,
    usual: Sequence[str] = (),
) -> int:
    """Put what could not be read as rows into quarantine. Returns how many."""
    entries = [_unreadable(fault, mapping) for fault in chunk.faults]
    _put(cursor, run, pipeline, segment, at, entries, _unusual(chunk, usual))
    return len(chunk.faults)


def put_rows(
    cursor: DuckDBPyConnection,
    run: int,
    pipeline: str,
    segment: int,
    staged: Staged,
    branch: StagedBranch,
    at: datetime,
    usual: Sequence[str] = (),
) -> int:
    """Put the rows that failed a blocking check into quarantine. Returns how many source rows that were."""
    rows, masks = ordinals(cursor, branch, branch.blocked)
    if not len(rows):
        return 0
    raws = staged.chunk.raw(rows.tolist())
    lines = staged.lines(rows)
    causes_of = {mask: failed(branch.branch, int(mask)) for mask in np.unique(masks)}
    entries = [
        {
            "mapping": branch.branch.version, "line": int(line),
            "form": "csv" if staged.chunk.kind == "csv" else "lines", "raw": raw, **causes_of[mask],
        }
        for line, raw, mask in zip(lines, raws, masks, strict=True)
    ]  # fmt: skip
    _put(cursor, run, pipeline, segment, at, entries, _unusual(staged.chunk, usual))
    return len(rows)


def _unusual(chunk: Chunk, usual: Sequence[str]) -> str | None:
    """The columns of a payload's own header, where they are not the usual ones: its lines mean nothing without."""
    other = chunk.kind == "csv" and usual and tuple(usual) != chunk.columns
    return json.dumps(chunk.columns, ensure_ascii=False) if other else None


def _unreadable(fault: Fault, mapping: str) -> dict[str, Any]:
    check = {"rule": UNREADABLE, "field": None, "message": fault.reason}
    return {
        "mapping": mapping, "line": fault.line, "form": "unreadable", "raw": fault.raw, "rule": UNREADABLE,
        "field": None, "reason": fault.reason, "checks": json.dumps([check]),
    }  # fmt: skip


def failed(branch: Branch, mask: int) -> dict[str, Any]:
    """The columns that say why, for one combination of failed checks."""
    checks = [c for c in branch.checks if mask >> c.bit & 1]
    # A source that has changed says more than a value that is wrong, and that more than the field that is missing.
    first = min(
        (c for c in checks if branch.blocking >> c.bit & 1),
        key=lambda c: (not c.rule.startswith("drift:"), c.rule.endswith(":required"), c.bit),
    )
    return {
        "rule": first.rule,
        "field": first.field,
        "reason": first.message,
        "checks": json.dumps([{"rule": c.rule, "field": c.field, "message": c.message} for c in checks]),
    }


def _put(
    cursor: DuckDBPyConnection,
    run: int,
    pipeline: str,
    segment: int,
    at: datetime,
    entries: Sequence[dict[str, Any]],
    columns: str | None,
) -> None:
    if not entries:
        return
    names = ["mapping", "line", "form", "raw", "rule", "field", "reason", "checks"]
    types = [pa.string(), pa.int64(), pa.string(), pa.binary(), *[pa.string()] * 4]
    arriving = pa.table({n: pa.array([e[n] for e in entries], t) for n, t in zip(names, types, strict=True)})
    cursor.register("arriving", arriving)
    try:
        cursor.execute(
            "INSERT INTO store.spire.rejects SELECT nextval('store.spire.reject_id'), ?, ?, mapping, ?, line, "
            "form, raw, NULL, rule, field, reason, checks, 'open', ?, NULL, ? FROM arriving",
            [run, pipeline, segment, at, columns],
        )
    finally:
        cursor.unregister("arriving")


_COLUMNS = "id, run, pipeline, mapping, segment, line, form, raw, fixed, rule, field, reason, checks, state, moment, replay, columns"


def select(
    cursor: DuckDBPyConnection,
    *,
    run: int | None = None,
    pipeline: str | None = None,
    rule: str | None = None,
    field: str | None = None,
    reason: str | None = None,
    state: str | None = "open",
    replay: int | None = None,
    ids: Iterable[int] | None = None,
    after: int = 0,
    limit: int | None = 100,
) -> list[Reject]:
    """Rejects in order of id, those after id `after`, at most `limit`."""
    where, values = _where(
        run=run, pipeline=pipeline, rule=rule, field=field, reason=reason, state=state, replay=replay
    )
    if ids is not None:
        where.append("id IN (SELECT unnest(?::BIGINT[]))")
        values.append(list(ids))
    rows = cursor.execute(
        f"SELECT {_COLUMNS} FROM store.spire.rejects WHERE {' AND '.join([*where, 'id > ?'])} ORDER BY id "
        + (f"LIMIT {int(limit)}" if limit is not None else ""),
        [*values, after],
    ).fetchall()
    return [_reject(row) for row in rows]


def causes(cursor: DuckDBPyConnection, *, run: int | None = None, pipeline: str | None = None) -> list[Cause]:
    """Open rejects by cause, the most frequent first."""
    where, values = _where(run=run, pipeline=pipeline, state="open")
    rows = cursor.execute(
        "SELECT rule, field, reason, count(*), min(id), list(DISTINCT run ORDER BY run) "
        f"FROM store.spire.rejects WHERE {' AND '.join(where)} GROUP BY ALL ORDER BY 4 DESC, 5",
        values,
    ).fetchall()
    return [Cause(*[*row[:5], tuple(row[5])]) for row in rows]


def _where(**equal: Any) -> tuple[list[str], list[Any]]:
    given = {column: value for column, value in equal.items() if value is not None}
    return [f"{column} = ?" for column in given] or ["true"], list(given.values())


def fix(cursor: DuckDBPyConnection, repairs: dict[int, bytes]) -> None:
    """Keep repaired bytes beside the originals of open rejects."""
    cursor.register(
        "arriving",
        pa.table({"id": pa.array(repairs, pa.int64()), "fixed": pa.array(repairs.values(), pa.binary())}),
    )
    try:
        cursor.execute(
            "UPDATE store.spire.rejects SET fixed = arriving.fixed FROM arriving "
            "WHERE rejects.id = arriving.id AND state = 'open'"
        )
    finally:
        cursor.unregister("arriving")


def close(cursor: DuckDBPyConnection, ids: Sequence[int], state: str, replay: int | None = None) -> None:
    """Close open rejects as `replayed` (by which run) or `dismissed`."""
    cursor.execute(
        "UPDATE store.spire.rejects SET state = ?, replay = ? WHERE id IN (SELECT unnest(?::BIGINT[])) AND state = 'open'",
        [state, replay, list(ids)],
    )


def count(
    cursor: DuckDBPyConnection,
    *,
    run: int | None,
    pipeline: str | None,
    rule: str,
    field: str | None,
    reason: str,
) -> int:
    """How many open rejects have a cause."""
    where, values = _where(run=run, pipeline=pipeline, rule=rule, reason=reason, state="open")
    row = cursor.execute(
        f"SELECT count(*) FROM store.spire.rejects WHERE {' AND '.join(where)} AND field IS NOT DISTINCT FROM ?",
        [*values, field],
    ).fetchone()
    return int(row[0]) if row else 0


def total(cursor: DuckDBPyConnection, **equal: Any) -> int:
    """How many rejects there are, under the filters of `select`."""
    where, values = _where(**equal)
    row = cursor.execute(
        f"SELECT count(*) FROM store.spire.rejects WHERE {' AND '.join(where)}", values
    ).fetchone()
    return int(row[0]) if row else 0


def dismiss(cursor: DuckDBPyConnection, ids: Sequence[int], reason: str, by: str, at: datetime) -> None:
    """Close open rejects for good, and keep why and by whom."""
    close(cursor, ids, "dismissed")
    cursor.execute(
        "INSERT INTO store.spire.dismissals SELECT unnest(?::BIGINT[]), ?, ?, ?", [list(ids), reason, by, at]
    )


def dismissals(cursor: DuckDBPyConnection, ids: Sequence[int]) -> dict[int, str]:
    """Who dismissed rejects, and why, by id."""
    rows = cursor.execute(
        "SELECT id, arg_max(reason, moment), arg_max(author, moment) FROM store.spire.dismissals "
        "WHERE id IN (SELECT unnest(?::BIGINT[])) GROUP BY 1",
        [list(ids)],
    ).fetchall()
    return {int(id): f"{reason} ({by})" if reason else f"by {by}" for id, reason, by in rows}


def as_it_came(cursor: DuckDBPyConnection, ids: Sequence[int]) -> None:
    """Drop the repairs of rejects, and open those again that were dismissed."""
    cursor.execute(
        "UPDATE store.spire.rejects SET fixed = NULL, state = 'open' "
        "WHERE id IN (SELECT unnest(?::BIGINT[])) AND state IN ('open', 'dismissed')",
        [list(ids)],
    )


def fold(cursor: DuckDBPyConnection, pipeline: str, run: int) -> None:
    """Let bytes that come with every load of a source stand in quarantine once.

    What was repaired and replayed, or dismissed, stays closed; of what is still open the newest stays, with
    the repair that had been made.
    """
    if not cursor.execute(
        "SELECT 1 FROM store.spire.rejects WHERE pipeline = ? AND run < ? AND state <> 'undone' LIMIT 1",
        [pipeline, run],
    ).fetchone():
        return
    cursor.execute(
        """
        UPDATE store.spire.rejects SET state = 'repeated' WHERE run = $run AND state = 'open' AND raw IN (
            SELECT raw FROM store.spire.rejects WHERE pipeline = $pipeline AND run < $run AND state <> 'undone'
            GROUP BY raw HAVING arg_max(state, id) IN ('replayed', 'dismissed', 'repeated')
        )
        """,
        {"pipeline": pipeline, "run": run},
    )
    cursor.execute(
        """
        UPDATE store.spire.rejects SET fixed = before.fixed FROM (
            SELECT raw, arg_max(fixed, id) AS fixed FROM store.spire.rejects
            WHERE pipeline = $pipeline AND run < $run AND state = 'open' GROUP BY raw
        ) before WHERE rejects.run = $run AND rejects.state = 'open' AND rejects.raw = before.raw
        """,
        {"pipeline": pipeline, "run": run},
    )
    cursor.execute(
        """
        UPDATE store.spire.rejects SET state = 'repeated', replay = $run
        WHERE pipeline = $pipeline AND run < $run AND state = 'open' AND raw IN (
            SELECT raw FROM store.spire.rejects WHERE run = $run AND state = 'open'
        )
        """,
        {"pipeline": pipeline, "run": run},
    )


def replayed_by(cursor: DuckDBPyConnection, run: int, segment: int, line: int) -> Reject | None:
    """The reject that a replay took from this segment and line; None where it took none."""
    row = cursor.execute(
        f"SELECT {_COLUMNS} FROM store.spire.rejects WHERE replay = ? AND segment = ? AND line = ? "
        "AND state = 'replayed' ORDER BY id LIMIT 1",
        [run, segment, line],
    ).fetchone()
    return _reject(row) if row else None


def _reject(row: tuple[Any, ...]) -> Reject:
    return Reject(
        *[*row[:12], json.loads(row[12]), *row[13:16], tuple(json.loads(row[16])) if row[16] else ()]
    )
