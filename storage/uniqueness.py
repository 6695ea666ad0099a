"""Unique rules: no two records share certain values, neither in a load nor with what is stored."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from engine.scan import identifier
from storage import records
from storage.records import Arrival


def mark(cursor: DuckDBPyConnection, arrivals: Sequence[Arrival]) -> None:
    """Set the bit of every staged row whose values already belong to another record, stored or before it here.

    Rows with an empty value among them are left alone. Runs outside the batch's transaction, because
    that may write to the store alone.
    """
    targets = {a.branch.branch.target.name for a in arrivals if a.branch.branch.set_checks}
    for target in targets:
        group = [a for a in arrivals if a.branch.branch.target.name == target]
        stored = f"store.records.{identifier(target)}" if records.exists(cursor, target) else None
        rules = {(c.fields, c.rule) for a in group for c in a.branch.branch.set_checks}
        for fields, rule in sorted(rules):
            # Where one of them is mapped from nothing it is empty, and then the row is left alone.
            bearing = [a for a in group if set(fields) <= set(a.branch.branch.mapped)]
            if bearing:
                _mark(cursor, bearing, rule, fields, stored)


def _mark(
    cursor: DuckDBPyConnection, group: Sequence[Arrival], rule: str, fields: Sequence[str], stored: str | None
) -> None:
    names = [identifier(f) for f in fields]
    given = " AND ".join(f"{n} IS NOT NULL" for n in names)
    value = "{" + ", ".join(f"'v{i}': {n}" for i, n in enumerate(names)) + "}"
    staged = " UNION ALL ".join(
        f"SELECT {value} AS v, _kh, {a.base} + rowid AS seq FROM {a.branch.table} WHERE {given}"
        for a in group
    )
    before = f"SELECT {value} AS v, _kh, -1 AS seq FROM {stored} WHERE {given}" if stored else ""
    everything = f"{staged} UNION ALL {before}" if before else staged
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE owner AS "
        f"SELECT v, arg_min(_kh, seq) AS kh FROM ({everything}) GROUP BY v HAVING count(DISTINCT _kh) > 1"
    )
    for a in group:
        bits = sum(1 << c.bit for c in a.branch.branch.set_checks if c.rule == rule)
        if bits:
            cursor.execute(
                f"UPDATE {a.branch.table} SET _mask = _mask | {bits} FROM owner "
                f"WHERE owner.v = {value} AND owner.kh <> _kh"
            )
