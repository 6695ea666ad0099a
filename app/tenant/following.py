"""Following one target field: a sample's values after every step, how many each step changes, and where they fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from app.tenant.desk import Desk, targets
from app.tenant.reading import AMONG, chosen, extent, held, named, wanting
from app.tenant.schemas.chains import Broken, Stage, Trace
from engine import errors
from engine.compile import Branch, Check, compile_plan
from engine.lineage import Way, chain, lineage
from engine.model import FieldMapping, Mapping, Source
from engine.scan import RAW
from engine.sqltext import field_sql
from storage import traces
from storage.traces import TracedRow


class NotMapped(errors.Stop):
    """Nothing is mapped onto this field, so there is nothing to follow."""


class NoSuchMapping(errors.Stop):
    """There are not so many mappings."""


def follow(
    desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, field: str, rows: int, line: int | None
) -> Trace:
    """A field's values on a sample, through the plan's own SQL cut after each step.

    `line` names the row to show; without one it is a row that has much to tell.
    """
    models = targets(desk)
    item = mapped(mapping_at(mappings, at), field)
    plan = compile_plan(mappings, models)
    narrow = compile_plan([narrowed(mappings[at], field)], models).branches[0]
    way = chain(narrow, field, models)
    raw = any(RAW in branch.fields for branch in plan.branches)
    with held(desk, read, AMONG, raw=raw, besides=wanting(read, plan)) as (cursor, table, _):
        picked = chosen(cursor, table, rows, named(desk, read))
        place = traces.place_of(cursor, table, line) if line is not None else None
        wanted = sorted({*picked, *([place] if place is not None else [])})
        found = traces.trace(cursor, plan, at, narrow, way, table, wanted)
    counted, ours = set(picked), _ours(narrow, field)
    found = [replace(row, broken=tuple(check for check in row.broken if check in ours)) for row in found]
    shown = next((row for row in found if row.row == place), None) or _telling(found)
    found = [row for row in found if row.row in counted]
    whole = table.complete and len(picked) == table.rows
    return Trace(
        field=field,
        line=shown.line if shown else None,
        stages=_stages(item, way, found, shown),
        broken=_broken(ours, found, shown),
        rows=len(found),
        extent=extent(len(picked), whole, table.complete, table.rows),
        sql=field_sql(item, models),
    )


def mapping_at(mappings: Sequence[Mapping], at: int) -> Mapping:
    """One of several mappings."""
    if at >= len(mappings):
        raise NoSuchMapping(f"{at + 1} of {len(mappings)}.")
    return mappings[at]


def mapped(mapping: Mapping, field: str) -> FieldMapping:
    """How a field is mapped; NotMapped where it is not."""
    found = next((item for item in mapping.fields if item.field == field), None)
    if found is None:
        raise NotMapped(f"{mapping.target}.{field}")
    return found


def narrowed(mapping: Mapping, field: str) -> Mapping:
    """The mapping with what concerns one field alone: its rules, and the fields these compare it with."""
    told = lineage(mapping)
    rules = tuple(rule for rule in mapping.rules if rule.id in told[field].rules)
    needed = {field, *(name for name, way in told.items() if {r.id for r in rules} & set(way.rules))}
    fields = tuple(item for item in mapping.fields if item.field in needed)
    return mapping.model_copy(update={"fields": fields, "rules": rules, "where": None})


def _telling(found: Sequence[TracedRow]) -> TracedRow | None:
    """A row that fails, else one that many steps change, else the first."""

    def much(row: TracedRow) -> tuple[bool, int, bool, int]:
        return bool(row.broken), len(set(row.values)), bool(row.values[0]), -row.row

    return max(found, key=much, default=None)


def _stages(item: FieldMapping, way: Way, found: Sequence[TracedRow], shown: TracedRow | None) -> list[Stage]:
    names = ["", *(step.step for step in item.steps), ""]
    return [
        Stage(
            step=names[n],
            title=stage.title,
            detail=stage.detail,
            value=shown.values[n] if shown else None,
            lost=shown.lost[n] if shown else None,
            changes=sum(row.values[n] != row.values[n - 1] and row.lost[n] is None for row in found)
            if n
            else 0,
            fails=sum(row.lost[n] is not None for row in found),
            failing=next((row.line for row in found if row.lost[n] is not None), None),
        )
        for n, stage in enumerate(way.stages)
    ]


def _ours(narrow: Branch, field: str) -> list[Check]:
    """The checks that concern the field; that the other required fields are not here is not its fault."""
    rules = {rule.id for rule in narrow.mapping.rules}
    return [check for check in narrow.checks if check.field == field or check.rule in rules]


def _broken(checks: Sequence[Check], found: Sequence[TracedRow], shown: TracedRow | None) -> list[Broken]:
    counts = Counter(check.rule for row in found for check in row.broken)
    return [
        Broken(
            rule=check.rule,
            message=check.message,
            severity=str(check.severity),
            rows=counts[check.rule],
            here=shown is not None and check in shown.broken,
        )
        for check in checks
    ]
