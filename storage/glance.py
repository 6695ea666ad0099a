"""At a glance: how many records and rejects there are, and what the first held rows say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from engine.scan import RAW, identifier
from storage import records
from storage.texts import Texts


@dataclass(frozen=True)
class TextRow:
    """A row of a source as text, by field, and the physical line it stands on."""

    row: int
    line: int
    values: dict[str, str | None]


def counts(cursor: DuckDBPyConnection) -> dict[str, int]:
    """How many records there are of each target model that has any tables.

    Versions less superseded ones: both are counted from the file's own statistics, so no row is read.
    """
    found = {}
    for name in records.kept_targets(cursor):
        quoted = identifier(name)
        row = cursor.execute(
            f"SELECT (SELECT count(*) FROM store.kept.{quoted}) - "
            f"(SELECT count(*) FROM store.superseded.{quoted})"
        ).fetchone()
        found[name] = int(row[0]) if row else 0
    return found


def open_rejects(cursor: DuckDBPyConnection) -> int:
    """How many rows wait in quarantine."""
    row = cursor.execute("SELECT count(*) FROM store.spire.rejects WHERE state = 'open'").fetchone()
    return int(row[0]) if row else 0


def rows(cursor: DuckDBPyConnection, texts: Texts, picked: Sequence[int]) -> list[TextRow]:
    """Held rows by their place, in the order of the source."""
    names = [f.name for f in texts.fields if f.name != RAW]
    listed = ", ".join(["rowid", "_line", *map(identifier, names)])
    within = f"list_contains([{', '.join(str(int(row)) for row in picked)}]::BIGINT[], rowid)"
    if picked and list(picked) == list(range(picked[0], picked[-1] + 1)):
        within = f"rowid BETWEEN {int(picked[0])} AND {int(picked[-1])}"
    found = cursor.execute(f"SELECT {listed} FROM {texts.table} WHERE {within} ORDER BY rowid").fetchall()
    return [TextRow(row[0], row[1], dict(zip(names, row[2:], strict=True))) for row in found]


def distinct(cursor: DuckDBPyConnection, texts: Texts, fields: Sequence[str]) -> int:
    """How many different rows there are of some fields alone."""
    listed = ", ".join(map(identifier, fields))
    row = cursor.execute(f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM {texts.table})").fetchone()
    return int(row[0]) if row else 0


def matching(
    cursor: DuckDBPyConnection, texts: Texts, where: str, offset: int, limit: int
) -> tuple[list[int], int]:
    """The places of held rows for which a condition holds, a page of them, and how many there are."""
    found = cursor.execute(
        f"SELECT rowid FROM {texts.table} WHERE {where} ORDER BY rowid LIMIT {int(limit)} OFFSET {int(offset)}"
    ).fetchall()
    counted = cursor.execute(f"SELECT count(*) FROM {texts.table} WHERE {where}").fetchone()
    return [row for (row,) in found], int(counted[0]) if counted else 0


def counted(cursor: DuckDBPyConnection, texts: Texts, field: str) -> list[tuple[str, int]]:
    """The values of a field among the held rows, the commonest first."""
    name = identifier(field)
    return cursor.execute(
        f"SELECT coalesce({name}, ''), count(*) FROM {texts.table} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 500"
    ).fetchall()


def let_go(cursor: DuckDBPyConnection, texts: Texts) -> None:
    """Forget a held text."""
    cursor.execute(f"DROP TABLE IF EXISTS {texts.table}")
