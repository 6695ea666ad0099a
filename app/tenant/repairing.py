"""Repairing: rejects are read back into fields, changed by a fix, written in their source's own form, and tried."""

from __future__ import annotations

import csv
import io
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, targets
from app.tenant.replaying import chunks_of, form_of
from app.tenant.schemas.rejects import Change, EditFix, Fix, MapFix, MappingFix, PadFix, SetFix, StepFix
from connectors.formats.numerals import mark_for, marked, unmarked
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
from storage import glance, texts, verdicts
from storage.quarantine import Reject
from storage.texts import Texts

Values = dict[str, str | None]
TEXT = TargetField(name="value")
# At most so many ways are tried on a row: an attempt's id is its reject's times this, plus the way's place.
WAYS = 1000


class NotARow(Stop):
    """This reject could not be read as a row, so it has no fields to change: correct its text instead."""


class CanNotBeSaved(Stop):
    """This fix is about these rows' bytes and can't become part of a mapping."""


def values_of(desk: Desk, shape: Shape, rejects: Sequence[Reject]) -> dict[int, Values]:
    """The fields of each reject (repaired where it was) that reads as a row, by the reject's id."""
    found: dict[int, Values] = {}
    for group, cursor, table in _held(desk, shape, rejects, raw=False):
        for row in glance.rows(cursor, table, range(table.rows)):
            found[group[row.line - 1].id] = row.values
    return found


def passing(desk: Desk, plan: Plan, shape: Shape, rejects: Sequence[Reject]) -> set[int]:
    """The ids of the rejects that a plan would take now."""
    good: set[int] = set()
    for group, cursor, table in _held(desk, shape, rejects, raw=_reads_raw(plan)):
        good |= {group[line - 1].id for line in verdicts.taken(cursor, plan, table)}
    return good


@dataclass(frozen=True)
class Tried:
    """What a plan makes of a repaired row: its source values, what came out, and the checks it failed of how many.

    `outcome` is good, rejected, filtered (no mapping takes it), or unreadable (it is no row).
    """

    outcome: str
    source: Values
    output: dict[str, Any]
    failed: list[dict[str, Any]]
    checks: int


def tried(desk: Desk, plan: Plan, shape: Shape, rejects: Sequence[Reject]) -> dict[int, Tried]:
    """Rejects put through a plan, by id; nothing is stored. Rules over all rows of a run are not judged."""
    fields = {f.name: f for f in shape.fields}
    checks = {b.target.name: len(b.checks) for b in reversed(plan.branches)}
    found = {r.id: Tried("unreadable", {}, {}, [], 0) for r in rejects}
    for group, cursor, table in _held(desk, shape, rejects, raw=_reads_raw(plan)):
        # A row that fans out shows its worst part.
        for row in sorted(
            texts.preview(cursor, plan, table, range(table.rows), fields), key=lambda row: row.blocked
        ):
            outcome = "filtered" if row.target is None else "rejected" if row.blocked else "good"
            source = {name: value for name, value in row.source.items() if name != RAW}
            found[group[row.line - 1].id] = Tried(
                outcome, source, row.output, row.failed, checks.get(row.target or "", 0)
            )
    return found


def computed(
    desk: Desk, shape: Shape, rejects: Sequence[Reject], spec: TargetField, ways: Sequence[FieldMapping]
) -> list[dict[int, Any]]:
    """For each way of mapping onto a field, the values it gives, by the id of the reject.

    A row that a way fails on has no value there. All ways are one plan, so many cost little more than one.
    """
    specs = [spec.model_copy(update={"name": f"way{n}", "required": False}) for n in range(len(ways))]
    target = TargetModel(name="ways", fields=tuple(specs), key=("way0",))
    mapped = [way.model_copy(update={"field": f"way{n}"}) for n, way in enumerate(ways)]
    plan = compile_plan([Mapping(target="ways", fields=tuple(mapped))], {**targets(desk), "ways": target})
    fields = {f.name: f for f in shape.fields}
    found: list[dict[int, Any]] = [{} for _ in ways]
    for group, cursor, table in _held(desk, shape, rejects, raw=_reads_raw(plan)):
        for row in texts.preview(cursor, plan, table, range(table.rows), fields):
            failed = {each["field"] for each in row.failed}
            for n, values in enumerate(found):
                if f"way{n}" not in failed and row.output.get(f"way{n}") is not None:
                    values[group[row.line - 1].id] = row.output[f"way{n}"]
    return found


def one_field(desk: Desk, mapping: Mapping, field: str) -> Plan:
    """The plan of a single field of a mapping, with that field's checks and no others."""
    models = targets(desk)
    model = models[mapping.target]
    spec = model.field(field)
    narrow = TargetModel(name=model.name, fields=(spec,), key=(field,))
    kept = tuple(f for f in mapping.fields if f.field == field)
    rules = tuple(r for r in mapping.rules if r.field == field and set(_other_fields(r.value)) <= {field})
    return compile_plan(
        [Mapping(target=model.name, fields=kept, rules=rules)], {**models, model.name: narrow}
    )


def _other_fields(value: Any) -> list[str]:
    """The target fields that a rule's options name besides its own."""
    if not isinstance(value, dict):
        return []
    named = [value.get(name) for name in ("after", "before", "field")]
    return [name for name in named if isinstance(name, str)] + list(value.get("fields") or [])


def mended(desk: Desk, plan: Plan, shape: Shape, rejects: Sequence[Reject], fix: Fix) -> dict[int, bytes]:
    """The new bytes of the rejects that a fix changes, by id. Nothing is stored."""
    if isinstance(fix, PadFix):
        return _made_whole(desk, plan, shape, rejects)
    if isinstance(fix, EditFix):
        return _edited(desk, shape, rejects, fix.changes)
    if not isinstance(fix, StepFix | MapFix | SetFix):
        return {}
    rows = values_of(desk, shape, rejects)
    changed: dict[int, bytes] = {}
    after: dict[int, Any] = {}
    if isinstance(fix, StepFix):
        way = FieldMapping(field="value", source=fix.field, steps=tuple(fix.steps))
        (after,) = computed(desk, shape, rejects, TEXT, [way])
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
        if reject.columns:
            # Its payload had a header of its own, and columns that nobody has mapped stay as they were.
            text = (reject.raw if reject.fixed is None else reject.fixed).decode(encoding, "replace")
            cells = dict(zip(reject.columns, _cells(text.rstrip("\r\n"), dialect), strict=False))
            columns, values = reject.columns, {**cells, **values}
        return quoting.write([(values.get(name) or "").encode(encoding) for name in columns])
    # Numbers keep their digits, those that were changed and those beside them.
    now = reject.raw if reject.fixed is None else reject.fixed
    mark = mark_for(now + "".join(filter(None, changes.values())).encode())
    whole = orjson.loads(bytes(marked(now, len(now), mark)[0]))
    paths = {f.name: f.path or (f.name,) for f in shape.fields}
    for name, value in changes.items():
        _put(whole, paths.get(name, (name,)), value, mark)
    return unmarked(orjson.dumps(whole), mark)


def in_mapping(pipeline: Pipeline, mapping: Mapping, fix: Fix) -> Pipeline:
    """The pipeline with a fix as part of that mapping. Errors: CanNotBeSaved."""
    if isinstance(fix, MappingFix):
        fields = tuple(
            f.model_copy(update={"steps": tuple(fix.steps)}) if f.field == fix.field else f
            for f in mapping.fields
        )
    elif isinstance(fix, EditFix):
        for change in fix.changes:
            pipeline = in_mapping(pipeline, mapping, _as_fix(change))
            mapping = next(m for m in pipeline.mappings if m.target == mapping.target)
        return pipeline
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


def _as_fix(change: Change) -> MapFix | SetFix:
    """What changing one value means for every row: that value becomes another, or a gap is filled."""
    if change.before:
        return MapFix(field=change.field, values={change.before: change.after or ""})
    return SetFix(field=change.field, value=change.after or "")


def _as_steps(fix: StepFix | MapFix | SetFix) -> tuple[Step, ...]:
    if isinstance(fix, StepFix):
        return tuple(fix.steps)
    if isinstance(fix, MapFix):
        return (Step(step="map", options={"values": fix.values, "otherwise": "keep"}),)
    return (Step(step="default", options={"value": fix.value}),)


def _held(
    desk: Desk, shape: Shape, rejects: Sequence[Reject], *, raw: bool
) -> Iterator[tuple[list[Reject], DuckDBPyConnection, Texts]]:
    """Rejects of one form at a time as held text rows; `_line` is a reject's place in its group, from 1."""
    groups: dict[str, list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[form_of(shape, reject)].append(reject)
    for form, group in groups.items():
        fields: tuple[SourceField, ...] = shape.fields
        chunks = chunks_of(shape, form, group, range(1, len(group) + 1))
        with _table(desk, fields, chunks, raw=raw) as (cursor, table):
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


def _edited(desk: Desk, shape: Shape, rejects: Sequence[Reject], changes: list[Change]) -> dict[int, bytes]:
    """The rows in which each changed field holds what the edited row held there, with the same changes."""
    changed: dict[int, bytes] = {}
    rows = values_of(desk, shape, rejects)
    for reject in rejects:
        values = rows.get(reject.id)
        if values is None or any((values.get(c.field) or "") != (c.before or "") for c in changes):
            continue
        new = {c.field: c.after for c in changes}
        changed[reject.id] = written(shape, reject, {**values, **new}, new)
    return changed


def _made_whole(desk: Desk, plan: Plan, shape: Shape, rejects: Sequence[Reject]) -> dict[int, bytes]:
    """Ragged lines made whole: of several ways, the first after which the plan takes the row."""
    attempts: list[Reject] = []
    for reject in rejects:
        for n, raw in enumerate(_ways_to_be_whole(shape, reject)[:WAYS]):
            attempts.append(replace(reject, id=reject.id * WAYS + n, fixed=raw))
    good = passing(desk, plan, shape, attempts) if attempts else set()
    found: dict[int, bytes] = {}
    for attempt in sorted(attempts, key=lambda a: a.id):
        if attempt.id in good and attempt.fixed is not None:
            found.setdefault(attempt.id // WAYS, attempt.fixed)
    return found


def _ways_to_be_whole(shape: Shape, reject: Reject) -> list[bytes]:
    """A line with its missing fields empty, or its surplus ones joined into the last, or into another.

    A line with less than half of its fields is a fragment, or no data at all: filled up it would be a row
    that says next to nothing.
    """
    dialect = shape.dialect
    if reject.form != "unreadable" or dialect is None or len(dialect.delimiter) != 1:
        return []
    columns = reject.columns or dialect.columns or tuple(f.name for f in shape.fields)
    width, between = len(columns), dialect.delimiter
    try:
        text = (reject.raw if reject.fixed is None else reject.fixed).decode(dialect.encoding).rstrip("\r\n")
    except UnicodeDecodeError:
        return []
    cells = _cells(text, dialect)
    surplus = len(cells) - width
    if 2 * sum(bool(cell.strip()) for cell in cells[:width]) < width:
        return []
    if surplus <= 0:
        ways = [[*cells, *[""] * -surplus]]
    else:
        ways = [
            [*cells[:at], between.join(cells[at : at + surplus + 1]), *cells[at + surplus + 1 :]]
            for at in (width - 1, *range(width - 1))
        ]
        ways[0][-1] = ways[0][-1].rstrip(between)
    return [written(shape, reject, dict(zip(columns, way, strict=True)), {}) for way in ways]


def _cells(text: str, dialect: Dialect) -> list[str]:
    """A line's cells; one whose quotes don't pair up is read as if they were no quotes."""
    quote, between = dialect.quote, dialect.delimiter
    if quote and text.count(quote) % 2:
        return [cell.strip(quote) for cell in text.split(between)]
    try:
        plain: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        rows = list(csv.reader(io.StringIO(text), delimiter=between, **plain))
    except csv.Error:
        return []
    return rows[0] if len(rows) == 1 else []


def _put(whole: Any, path: tuple[str, ...], value: str | None, mark: str) -> None:
    """Set a value inside a JSON object. It stays a number or a truth value where it was one and still reads so."""
    for key in path[:-1]:
        whole = whole.setdefault(key, {})
    before = whole.get(path[-1])
    exact = isinstance(before, str) and bool(mark) and before.startswith(mark)
    if value is not None and before is not None and (exact or not isinstance(before, str)):
        try:
            again = orjson.loads(value)
        except orjson.JSONDecodeError:
            again = value
        if isinstance(again, int | float) and not isinstance(again, bool) and mark:
            number = exact or (isinstance(before, int | float) and not isinstance(before, bool))
            whole[path[-1]] = f"{mark}{value.strip()}{mark}" if number else value
            return
        whole[path[-1]] = again if type(again) is type(before) else value
        return
    whole[path[-1]] = value
