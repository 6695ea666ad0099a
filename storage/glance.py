"""At a glance: how many records and rejects there are, and what the first held rows say."""

from __future__ import annotations

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
            f"SELECT (SELECT count(*) FROM store.versions.{quoted}) - "
            f"(SELECT count(*) FROM store.superseded.{quoted})"
        ).fetchone()
        found[name] = int(row[0]) if row else 0
    return found


def open_rejects(cursor: DuckDBPyConnection) -> int:
    """How many rows wait in quarantine."""
    row = cursor.execute("SELECT count(*) FROM store.spire.rejects WHERE state = 'open'").fetchone()
    return int(row[0]) if row else 0


def first_rows(cursor: DuckDBPyConnection, texts: Texts, limit: int) -> list[TextRow]:
    """The first held rows in the order of the source."""
    names = [f.name for f in texts.fields if f.name != RAW]
    listed = ", ".join(["rowid", "_line", *map(identifier, names)])
    found = cursor.execute(f"SELECT {listed} FROM {texts.table} ORDER BY rowid LIMIT {int(limit)}").fetchall()
    return [TextRow(row[0], row[1], dict(zip(names, row[2:], strict=True))) for row in found]


def row_at(cursor: DuckDBPyConnection, texts: Texts, row: int) -> dict[str, str | None]:
    """The held row at a place, by source field."""
    names = [f.name for f in texts.fields if f.name != RAW]
    listed = ", ".join(map(identifier, names)) or "NULL"
    found = cursor.execute(f"SELECT {listed} FROM {texts.table} WHERE rowid = {int(row)}").fetchone()
    return dict(zip(names, found or (), strict=False))


def let_go(cursor: DuckDBPyConnection, texts: Texts) -> None:
    """Forget a held text."""
    cursor.execute(f"DROP TABLE IF EXISTS {texts.table}")
