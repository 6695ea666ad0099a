"""A source's rows as text, held in memory: what profiles, samples and previews look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from engine import scan
from engine.compile import Plan
from engine.model import SourceField
from engine.ports import Chunk, Fault
from storage.staging import applied, opened


@dataclass(frozen=True)
class Texts:
    """A table of text columns named by source field, with `_line`; row i of the source has rowid i.

    `read` counts rows and faults looked at; `complete` says whether that was all of the source.
    """

    table: str
    fields: tuple[SourceField, ...]
    rows: int
    read: int
    faults: tuple[Fault, ...]
    complete: bool


@dataclass(frozen=True)
class PreviewRow:
    """One row on its way through the plan: its source values, what came out, and the checks it failed.

    `target` is None for a row that met no mapping: it would be filtered.
    """

    row: int
    line: int
    target: str | None
    source: dict[str, str | None]
    output: dict[str, Any]
    failed: list[dict[str, Any]]
    blocked: bool


def hold(
    cursor: DuckDBPyConnection,
    name: str,
    fields: Sequence[SourceField],
    chunks: Iterable[Chunk],
    *,
    most: int,
    raw: bool,
) -> Texts:
    """Hold up to about `most` rows as the table `stage.<name>`; `raw` keeps whole objects beside the fields."""
    wanted = [*fields, *([SourceField(name=scan.RAW)] if raw else [])]
    columns = ", ".join(f"{scan.identifier(f.name)} VARCHAR" for f in wanted)
    table = f"stage.{scan.identifier(name)}"
    cursor.execute(f"CREATE OR REPLACE TABLE {table} ({columns}{', ' if columns else ''}_line BIGINT)")
    rows, read, faults, complete = 0, 0, list[Fault](), True
    for chunk in (c.proven for c in chunks):
        if rows >= most:
            complete = False
            break
        with opened(chunk) as place:
            if chunk.rows:
                _add(cursor, table, wanted, chunk, place)
        rows, read = rows + chunk.rows, read + chunk.read
        faults += chunk.faults[: max(0, 1000 - len(faults))]
    return Texts(table, tuple(wanted), rows, read, tuple(faults), complete)


def _add(
    cursor: DuckDBPyConnection, table: str, wanted: Sequence[SourceField], chunk: Chunk, place: str
) -> None:
    relation = scan.source(chunk, place, wanted, ordinal=True)
    if chunk.lines is None:
        cursor.execute(
            f"INSERT INTO {table} SELECT * EXCLUDE (_ord), _ord + {chunk.first_line} FROM ({relation})"
        )
        return
    cursor.register("arriving", _arrow(chunk))
    try:
        cursor.execute(
            f"INSERT INTO {table} SELECT r.* EXCLUDE (_ord), a.line FROM ({relation}) r "
            "JOIN arriving a ON a.i = r._ord ORDER BY r._ord"
        )
    finally:
        cursor.unregister("arriving")


def _arrow(chunk: Chunk) -> Any:
    import pyarrow as pa

    return pa.table({"i": pa.array(range(chunk.rows), pa.int64()), "line": pa.array(chunk.lines, pa.int64())})


def preview(
    cursor: DuckDBPyConnection,
    plan: Plan,
    texts: Texts,
    rows: Sequence[int],
    fields: Mapping[str, SourceField],
) -> list[PreviewRow]:
    """Put the given rows through the plan, the same SELECTs a run uses, and keep nothing."""
    picked = ", ".join(str(int(r)) for r in rows) or "-1"
    arms = " ".join(f"WHEN {b.where or 'true'} THEN {i}" for i, b in enumerate(plan.branches))
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE previewed AS SELECT *, rowid AS _ord, CASE {arms} ELSE -1 END AS _route "
        f"FROM {texts.table} AS source WHERE rowid IN ({picked}) ORDER BY rowid"
    )
    names = [f.name for f in texts.fields if f.name in fields or f.name == scan.RAW]
    listed = ", ".join(scan.identifier(n) for n in names)
    sources = {
        row[0]: (row[1], row[2], dict(zip(names, row[3:], strict=True)))
        for row in cursor.execute(
            f"SELECT _ord, _line, _route{', ' if listed else ''}{listed} FROM previewed"
        ).fetchall()
    }
    found = [
        PreviewRow(ord_, line, None, source, {}, [], False)
        for ord_, (line, route, source) in sources.items()
        if route == -1
    ]
    for i, branch in enumerate(plan.branches):
        wanted = ", ".join(scan.identifier(n) for n in branch.fields) or "1 AS _nothing"
        relation = f"SELECT {wanted}, _ord FROM previewed WHERE _route = {i}"
        if branch.fan_out:
            query = applied(branch, relation)
        else:
            values = applied(branch, f"SELECT * EXCLUDE (_ord) FROM ({relation})")
            query = f"SELECT * FROM ({values}) POSITIONAL JOIN (SELECT _ord FROM ({relation}))"
        result = cursor.execute(query)
        columns = [d[0] for d in result.description or ()]
        for values_of_row in result.fetchall():
            record = dict(zip(columns, values_of_row, strict=True))
            mask, ord_ = int(record.pop("_mask")), int(record.pop("_ord"))
            record.pop("_kh"), record.pop("_vh")
            failed = [
                {"rule": c.rule, "field": c.field, "message": c.message, "severity": str(c.severity)}
                for c in branch.checks
                if mask >> c.bit & 1
            ]
            line, _, source = sources[ord_]
            blocked = bool(mask & branch.blocking)
            found.append(PreviewRow(ord_, line, branch.target.name, source, record, failed, blocked))
    return sorted(found, key=lambda row: row.row)
