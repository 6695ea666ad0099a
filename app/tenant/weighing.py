"""Weighing: several ways of making one field, tried together on the same rows of a source. Nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.tenant.desk import Desk, targets
from app.tenant.reading import AMONG, chosen, extent, held, named
from engine.compile import compile_plan
from engine.model import FieldMapping, Mapping, Source, TargetField, TargetModel
from engine.scan import RAW
from storage import texts


@dataclass(frozen=True)
class Weighed:
    """A row: its source values, what each way makes of it, and which ways fail on it."""

    line: int
    source: dict[str, str | None]
    values: list[Any]
    failed: list[bool]


@dataclass(frozen=True)
class Weighing:
    """Every row of the sample that the mapping takes, and of how many rows that speaks."""

    rows: list[Weighed]
    extent: str


def weigh(
    desk: Desk, read: Source, mapping: Mapping, ways: Sequence[tuple[TargetField, FieldMapping]], rows: int
) -> Weighing:
    """The ways are one plan, so many cost little more than one; `where` and `explode` are the mapping's."""
    specs = [
        spec.model_copy(update={"name": f"way{n}", "required": False}) for n, (spec, _) in enumerate(ways)
    ]
    items = [item.model_copy(update={"field": f"way{n}"}) for n, (_, item) in enumerate(ways)]
    target = TargetModel(name="ways", fields=tuple(specs), key=("way0",))
    tried = Mapping(target="ways", fields=tuple(items), where=mapping.where, explode=mapping.explode)
    plan = compile_plan([tried], {**targets(desk), "ways": target})
    raw = any(RAW in branch.fields for branch in plan.branches)
    with held(desk, read, AMONG, raw=raw) as (cursor, table, shape):
        picked = chosen(cursor, table, rows, named(desk, read))
        found = texts.preview(cursor, plan, table, picked, {f.name: f for f in shape.fields})
    whole = table.complete and len(picked) == table.rows
    weighed = []
    for row in found:
        if row.target is not None:
            failed = {each["field"] for each in row.failed}
            names = [spec.name for spec in specs]
            values = [row.output.get(name) for name in names]
            weighed.append(Weighed(row.line, row.source, values, [name in failed for name in names]))
    return Weighing(weighed, extent(len(picked), whole, table.complete, table.rows))
