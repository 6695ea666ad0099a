"""Repairing: rejects are read back into fields, changed by a fix, written in their source's own form, and tried."""

from __future__ import annotations

import csv
import io
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson
from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, targets
from app.tenant.replaying import chunks_of
from app.tenant.schemas.rejects import Fix, MapFix, MappingFix, PadFix, SetFix, StepFix
from connectors.formats.rows import Quoting
from engine.compile import Plan, compile_plan
from engine.errors import Stop
from engine.model import (
    Dialect,
    FieldMapping,
    Mapping,
    Pipeline,
    Shape,
    SourceField,
    Step,
    TargetField,
    TargetModel,
)
from engine.scan import RAW
from storage import glance, texts
from storage.quarantine import Reject
from storage.texts import Texts

Values = dict[str, str | None]


class NotARow(Stop):
    """This reject could not be read as a row, so it has no fields to change: correct its text instead."""


class CanNotBeSaved(Stop):
    """This fix is about these rows' bytes and can't become part of a mapping."""


def values_of(desk: Desk, shape: Shape, rejects: Sequence[Reject]) -> dict[int, Values]:
    """The fields of each reject (repaired where it was) that reads as a row, by the reject's id."""
    found: dict[int, Values] = {}
    for group, cursor, table in _held(desk, shape, rejects, raw=False):
        for row in glance.first_rows(cursor, table, table.rows):
            found[group[row.line - 1].id] = row.values
    return found


def passing(desk: Desk, pipeline: Pipeline, shape: Shape, rejects: Sequence[Reject]) -> set[int]:
    """The ids of the rejects that these mappings would take now. The plan is the run's own."""
    plan = compile_plan(pipeline.mappings, targets(desk))
    fields = {f.name: f for f in shape.fields}
    good: set[int] = set()
    for group, cursor, table in _held(desk, shape, rejects, raw=_reads_raw(plan)):
        rows = texts.preview(cursor, plan, table, range(table.rows), fields)
        met = {row.line for row in rows}
        blocked = {row.line for row in rows if row.blocked}
        good |= {group[line - 1].id for line in met - blocked}
    return good


def mended(desk: Desk, shape: Shape, rejects: Sequence[Reject], fix: Fix) -> dict[int, bytes]:
    """The new bytes of the rejects that a fix changes, by id. Nothing is stored."""
    if isinstance(fix, PadFix):
        padded = {r.id: _padded(shape, r) for r in rejects}
        return {id: raw for id, raw in padded.items() if raw is not None}
    if not isinstance(fix, StepFix | MapFix | SetFix):
        return {}
    rows = values_of(desk, shape, rejects)
    changed: dict[int, bytes] = {}
    after = _stepped(desk, shape, rejects, fix) if isinstance(fix, StepFix) else {}
    for reject in rejects:
        values = rows.get(reject.id)
        if values is None or fix.field not in values:
            continue
        before = values[fix.field]
        if isinstance(fix, StepFix):
            new = after.get(reject.id)
        elif isinstance(fix, MapFix):
            new = fix.values.get(before or "", before)
        else:
            new = before if (before or "").strip() else fix.value
        if new is not None and new != before:
            changed[reject.id] = written(shape, reject, {**values, fix.field: new}, {fix.field: new})
    return changed


def written(shape: Shape, reject: Reject, values: Values, changes: Values) -> bytes:
    """A row in the form its source has: a line of the dialect, or its JSON object with some values changed."""
    if form_of(shape, reject) == "csv":
        dialect = shape.dialect or Dialect(columns=tuple(f.name for f in shape.fields))
        columns = dialect.columns or tuple(f.name for f in shape.fields)
        encoding = dialect.encoding
        quoting = Quoting(
            dialect.delimiter.encode(encoding),
            dialect.quote.encode(encoding),
            dialect.escape.encode(encoding),
            0,
        )
        return quoting.write([(values.get(name) or "").encode(encoding) for name in columns])
    whole = orjson.loads(reject.raw if reject.fixed is None else reject.fixed)
    paths = {f.name: f.path or (f.name,) for f in shape.fields}
    for name, value in changes.items():
        _put(whole, paths.get(name, (name,)), value)
    return orjson.dumps(whole)


def form_of(shape: Shape, reject: Reject) -> str:
    """How a reject's bytes are written; what never became a row is written as its source is."""
    if reject.form != "unreadable":
        return reject.form
    return "csv" if shape.format == "csv" else "lines"


def in_mapping(pipeline: Pipeline, mapping: Mapping, fix: Fix) -> Pipeline:
    """The pipeline with a fix as part of that mapping. Errors: CanNotBeSaved."""
    if isinstance(fix, MappingFix):
        fields = tuple(
            f.model_copy(update={"steps": tuple(fix.steps)}) if f.field == fix.field else f
            for f in mapping.fields
        )
    elif isinstance(fix, StepFix | MapFix | SetFix):
        first = _as_steps(fix)
        fields = tuple(
            f.model_copy(update={"steps": (*first, *f.steps)}) if f.source == fix.field else f
            for f in mapping.fields
        )
    else:
        raise CanNotBeSaved(action="Apply it to these rows without saving.")
    changed = mapping.model_copy(update={"fields": fields})
    mappings = tuple(changed if m == mapping else m for m in pipeline.mappings)
    return pipeline.model_copy(update={"mappings": mappings})


def _as_steps(fix: StepFix | MapFix | SetFix) -> tuple[Step, ...]:
    if isinstance(fix, StepFix):
        return tuple(fix.steps)
    if isinstance(fix, MapFix):
        return (Step(step="map", options={"values": fix.values, "otherwise": "keep"}),)
    return (Step(step="default", options={"value": fix.value}),)


def _stepped(
    desk: Desk, shape: Shape, rejects: Sequence[Reject], fix: StepFix
) -> Values | dict[int, str | None]:
    """The field's value after the steps, by reject: the catalogue's own SQL, on these rows only."""
    target = TargetModel(name="fix", fields=(TargetField(name="value"),), key=("value",))
    field = FieldMapping(field="value", source=fix.field, steps=tuple(fix.steps))
    plan = compile_plan([Mapping(target="fix", fields=(field,))], {"fix": target})
    fields = {f.name: f for f in shape.fields}
    found: dict[int, str | None] = {}
    for group, cursor, table in _held(desk, shape, rejects, raw=False):
        for row in texts.preview(cursor, plan, table, range(table.rows), fields):
            found[group[row.line - 1].id] = row.output.get("value")
    return found


def _held(
    desk: Desk, shape: Shape, rejects: Sequence[Reject], *, raw: bool
) -> Iterator[tuple[list[Reject], DuckDBPyConnection, Texts]]:
    """Rejects of one form at a time as held text rows; `_line` is a reject's place in its group, from 1."""
    groups: dict[str, list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[form_of(shape, reject)].append(reject)
    for form, group in groups.items():
        numbered = [replace(reject, line=i) for i, reject in enumerate(group, 1)]
        fields: tuple[SourceField, ...] = shape.fields
        with _table(desk, fields, chunks_of(shape, form, numbered), raw=raw) as (cursor, table):
            yield group, cursor, table


@contextmanager
def _table(
    desk: Desk, fields: tuple[SourceField, ...], chunks: Any, *, raw: bool
) -> Iterator[tuple[DuckDBPyConnection, Texts]]:
    with desk.store.cursor() as cursor:
        name = f"mend_{secrets.token_hex(6)}"
        table = texts.hold(cursor, name, fields, chunks, most=1 << 62, raw=raw)
        try:
            yield cursor, table
        finally:
            glance.let_go(cursor, table)


def _reads_raw(plan: Plan) -> bool:
    return any(RAW in branch.fields for branch in plan.branches)


def _padded(shape: Shape, reject: Reject) -> bytes | None:
    """A ragged line with its missing fields empty, or its surplus ones joined into the last."""
    dialect = shape.dialect
    if reject.form != "unreadable" or dialect is None or len(dialect.delimiter) != 1:
        return None
    columns = dialect.columns or tuple(f.name for f in shape.fields)
    try:
        text = (reject.raw if reject.fixed is None else reject.fixed).decode(dialect.encoding).rstrip("\r\n")
        plain = {"quotechar": dialect.quote} if dialect.quote else {"quoting": csv.QUOTE_NONE}
        rows = list(csv.reader(io.StringIO(text), delimiter=dialect.delimiter, **plain))  # type: ignore[arg-type]
    except (UnicodeDecodeError, csv.Error):
        return None
    if len(rows) != 1 or not rows[0] or len(rows[0]) == len(columns):
        return None
    cells = rows[0]
    if len(cells) > len(columns):
        last = len(columns) - 1
        cells = [*cells[:last], dialect.delimiter.join(cells[last:]).rstrip(dialect.delimiter)]
    cells += [""] * (len(columns) - len(cells))
    return written(shape, reject, dict(zip(columns, cells, strict=True)), {})


def _put(whole: Any, path: tuple[str, ...], value: str | None) -> None:
    """Set a value inside a JSON object. It stays a number or a truth value where it was one and still reads so."""
    for key in path[:-1]:
        whole = whole.setdefault(key, {})
    before = whole.get(path[-1])
    if value is not None and before is not None and not isinstance(before, str):
        try:
            again = orjson.loads(value)
        except orjson.JSONDecodeError:
            again = value
        whole[path[-1]] = again if type(again) is type(before) else value
        return
    whole[path[-1]] = value
