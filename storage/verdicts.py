"""Verdicts: which of many held rows a plan would take, told by SQL, without looking at a value."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from engine import scan
from engine.compile import Plan
from storage.staging import applied
from storage.texts import Texts


def taken(cursor: DuckDBPyConnection, plan: Plan, texts: Texts) -> set[int]:
    """The `_line` of each held row that meets a mapping and breaks no blocking check.

    The same SELECTs as a run's. A row that fans out is taken where none of its parts is blocked.
    """
    arms = " ".join(f"WHEN {b.where or 'true'} THEN {i}" for i, b in enumerate(plan.branches))
    held = {row[0] for row in cursor.execute(f"DESCRIBE {texts.table}").fetchall()}
    # A payload may have come without a column that the mapping reads.
    lacking = sorted({name for branch in plan.branches for name in branch.fields} - held)
    absent = "".join(f", NULL::VARCHAR AS {scan.identifier(name)}" for name in lacking)
    rows = f"SELECT *, rowid AS _ord{absent} FROM {texts.table}"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, CASE {arms} ELSE -1 END AS _route "
        f"FROM ({rows}) AS source ORDER BY _ord"
    )
    good: set[int] = set()
    for i, branch in enumerate(plan.branches):
        wanted = ", ".join(scan.identifier(n) for n in branch.fields) or "1 AS _nothing"
        relation = f"SELECT {wanted}, _ord FROM judged WHERE _route = {i}"
        if branch.fan_out:
            verdict = f"SELECT _ord, _mask FROM ({applied(branch, relation)})"
        else:
            values = applied(branch, f"SELECT * EXCLUDE (_ord) FROM ({relation})")
            verdict = f"SELECT _ord, _mask FROM ({values}) POSITIONAL JOIN (SELECT _ord FROM ({relation}))"
        found = cursor.execute(
            f"SELECT any_value(j._line) FROM ({verdict}) v JOIN judged j ON j._ord = v._ord "
            f"GROUP BY v._ord HAVING bit_or(v._mask) & {branch.blocking} = 0"
        )
        good |= {int(row[0]) for row in found.fetchall()}
    return good
