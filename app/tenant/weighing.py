"""Weighing: several ways of making a field from a source's held rows, tried together. Nothing is kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, targets
from engine.compile import Plan, compile_plan
from engine.model import FieldMapping, Mapping, TargetField, TargetModel
from storage import glance, texts, traces
from storage.texts import Texts


@dataclass(frozen=True)
class Weighed:
    """A row by its place: its source values, what each way makes of it, and which ways fail on it."""

    row: int
    line: int
    source: dict[str, str | None]
    values: list[Any]
    failed: list[bool]


def weigh(
    desk: Desk,
    cursor: DuckDBPyConnection,
    table: Texts,
    rows: Sequence[int],
    spec: TargetField,
    ways: Sequence[FieldMapping],
) -> list[Weighed]:
    """What each way makes of each row. All ways are one plan, so many cost little more than one."""
    specs = [spec.model_copy(update={"name": f"way{n}", "required": False}) for n in range(len(ways))]
    items = tuple(way.model_copy(update={"field": f"way{n}"}) for n, way in enumerate(ways))
    target = TargetModel(name="ways", fields=tuple(specs), key=("way0",))
    plan = compile_plan([Mapping(target="ways", fields=items)], {**targets(desk), "ways": target})
    names = [each.name for each in specs]
    found = []
    for row in texts.preview(cursor, plan, table, rows, {f.name: f for f in table.fields}):
        failed = {each["field"] for each in row.failed}
        values = [row.output.get(name) for name in names]
        found.append(Weighed(row.row, row.line, row.source, values, [name in failed for name in names]))
    return found


def weigh_altered(
    desk: Desk,
    cursor: DuckDBPyConnection,
    table: Texts,
    field: str,
    values: Sequence[tuple[int, str | None]],
    ways: Sequence[FieldMapping],
    spec: TargetField,
) -> list[Weighed]:
    """The same for rows whose value of one field is another; row i is the i-th of `values`."""
    other = traces.altered(cursor, table, field, values, f"altered_{secrets.token_hex(4)}")
    try:
        return weigh(desk, cursor, other, range(len(values)), spec, ways)
    finally:
        glance.let_go(cursor, other)


def passing(
    cursor: DuckDBPyConnection,
    plan: Plan,
    table: Texts,
    field: str,
    values: Sequence[tuple[int, str | None]],
    target: str,
) -> dict[int, Any]:
    """Which of these altered rows a plan takes into a target field without breaking its checks, and as what."""
    if not values:
        return {}
    other = traces.altered(cursor, table, field, values, f"altered_{secrets.token_hex(4)}")
    try:
        found = texts.preview(cursor, plan, other, range(len(values)), {f.name: f for f in other.fields})
    finally:
        glance.let_go(cursor, other)
    return {
        row.row: row.output[target]
        for row in found
        if row.output.get(target) is not None and not any(each["field"] == target for each in row.failed)
    }
