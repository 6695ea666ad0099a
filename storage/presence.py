"""Presence: which objects a source has that gives all it holds at every reading, and which it has no more.

A reading counts only when it is whole: the run reached its end, nothing in the payload was unreadable, and
nothing was left out on purpose. Each turn is one line: an object appeared in a payload, or was gone from it.
Nothing is deleted for being gone; another source may have it, and its past is its past.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from storage.records import Arrival

# Of each object of a payload, whether it was there when that payload was last read whole.
_LAST = """
    SELECT pipeline, payload, target, kh, arg_max(there, run) AS there, max(run) AS run
    FROM store.spire.presence WHERE pipeline = ? GROUP BY ALL
"""


@dataclass(frozen=True)
class Gone:
    """A pipeline's source no longer has an object: the payload it was in, and the run that saw it."""

    pipeline: str
    payload: str
    run: int
    at: datetime | None


def meet(cursor: DuckDBPyConnection, run: int, arrivals: Iterable[Arrival]) -> None:
    """Note which objects a batch met, the rejected among them: they are in the source all the same."""
    for a in arrivals:
        cursor.execute(
            f"INSERT INTO store.spire.met SELECT DISTINCT {run}, {a.segment}, ?, _kh FROM {a.branch.table}",
            [a.branch.branch.target.name],
        )


def conclude(cursor: DuckDBPyConnection, run: int, pipeline: str, *, filtered: int) -> str:
    """A run has read all there is: enter what appeared and what is gone. Returns why it can't be told, if so."""
    why = ""
    if filtered:
        why = "Rows were left out on purpose, so what the source no longer has can't be told."
    else:
        broken = "SELECT DISTINCT segment FROM store.spire.rejects WHERE run = $run AND form = 'unreadable'"
        cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE here AS SELECT DISTINCT s.name AS payload, m.target, m.kh
            FROM store.spire.met m JOIN store.spire.segments s ON s.run = m.run AND s.number = m.segment
            WHERE m.run = $run AND s.name NOT IN (
                SELECT name FROM store.spire.segments WHERE run = $run AND number IN ({broken})
            )
            """,
            {"run": run},
        )
        if cursor.execute(broken, {"run": run}).fetchone():
            why = "Some of it could not be read, so what the source no longer has can't be told."
        cursor.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE before AS SELECT payload, target, kh FROM ({_LAST})
            WHERE there AND payload IN (SELECT payload FROM here)
            """,
            [pipeline],
        )
        for there, more, less in (("true", "here", "before"), ("false", "before", "here")):
            cursor.execute(
                f"INSERT INTO store.spire.presence SELECT ?, ?, payload, target, kh, {there} FROM "
                f"{more} ANTI JOIN {less} USING (payload, target, kh)",
                [run, pipeline],
            )
    cursor.execute("DELETE FROM store.spire.met WHERE run = ?", [run])
    return why


def forget(cursor: DuckDBPyConnection, run: int) -> None:
    """A run is taken back, and with it what it saw."""
    cursor.execute("DELETE FROM store.spire.met WHERE run = ?", [run])
    cursor.execute("DELETE FROM store.spire.presence WHERE run = ?", [run])


def gone_in(run: int) -> str:
    """SQL for the objects (target model, key hash) that a run found gone from every payload of its pipeline."""
    return f"""
        SELECT target, kh FROM (
            SELECT pipeline, payload, target, kh, arg_max(there, run) AS there, max(run) AS last
            FROM store.spire.presence
            WHERE run <= {run} AND pipeline IN (SELECT pipeline FROM store.spire.presence WHERE run = {run})
            GROUP BY ALL
        ) GROUP BY target, kh HAVING NOT bool_or(there) AND max(last) = {run}
    """


def back_in(run: int) -> str:
    """SQL for the objects that a run found again where an earlier one had found them gone."""
    return f"""
        SELECT DISTINCT now.target, now.kh FROM store.spire.presence now
        SEMI JOIN (SELECT * FROM store.spire.presence WHERE run < {run} AND NOT there) before
            ON before.pipeline = now.pipeline AND before.payload = now.payload
            AND before.target = now.target AND before.kh = now.kh
        WHERE now.run = {run} AND now.there
    """


def gone_from(cursor: DuckDBPyConnection, target: str, key: int) -> list[Gone]:
    """The pipelines whose source had a record and no longer has it."""
    rows = cursor.execute(
        """
        SELECT g.pipeline, g.payload, g.run, r.started FROM (
            SELECT pipeline, arg_max(payload, run) AS payload, max(run) AS run FROM (
                SELECT pipeline, payload, arg_max(there, run) AS there, max(run) AS run
                FROM store.spire.presence WHERE target = ? AND kh = ? GROUP BY ALL
            ) GROUP BY pipeline HAVING NOT bool_or(there)
        ) g LEFT JOIN store.spire.runs r ON r.run = g.run ORDER BY 3 DESC
        """,
        [target, key],
    ).fetchall()
    return [Gone(*row) for row in rows]
