"""Where a field's value comes from, in words for a person and as SQL that shows it after every step."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass

from sqlglot import exp

from engine.casts import WORDS, convert
from engine.chain import Building, Chain, one_step, origin, settle
from engine.compile import Branch, source_of
from engine.expression import expression
from engine.model import FieldMapping, FieldType, Mapping, TargetModel
from engine.rules import options_of
from engine.steps import STEPS
from engine.steps.tree import Expr, choose, column, sql, text


@dataclass(frozen=True)
class FieldLineage:
    """A target field's sources, the steps between, and the ids of the rules it must keep."""

    field: str
    sources: tuple[str, ...]
    origin: str
    steps: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One stop on a value's way: its title, what it does there, and the column of the SQL that shows it.

    `lost` is the column that says why a value could not go on from here; empty where all can.
    """

    title: str
    detail: str
    column: str
    lost: str = ""


@dataclass(frozen=True)
class Way:
    """All stages of one field. `sql` selects from `source` one text column a stage, then what was lost, and `_ord` with fan-out."""

    field: str
    stages: tuple[Stage, ...]
    sql: str


def lineage(mapping: Mapping) -> dict[str, FieldLineage]:
    """For each mapped target field: what it reads, what happens to it, which rules hold it."""
    return {item.field: _of(item, mapping) for item in mapping.fields}


def _of(item: FieldMapping, mapping: Mapping) -> FieldLineage:
    where = f"field {item.field}"
    sources: list[str] = []
    if item.source is not None:
        sources, words = [item.source], f"from {item.source}"
    elif item.sql is not None:
        sources, words = list(expression(item.sql, where).columns), f"from the expression {item.sql}"
    else:
        words = f"always {item.constant}"
    titles = []
    for step in item.steps:
        entry = STEPS.get(step.step)
        titles.append(entry.title if entry else step.step)
        if entry:
            sources.extend(entry.read(step.options, where).reads())
    rules = tuple(r.id for r in mapping.rules if item.field in (r.field, *_others(r)))
    return FieldLineage(item.field, tuple(dict.fromkeys(sources)), words, tuple(titles), rules)


def _others(rule: object) -> tuple[str, ...]:
    options = options_of(rule)  # type: ignore[arg-type]
    names = [getattr(options, name, None) for name in ("after", "before")]
    if rule.operator == "compare":  # type: ignore[attr-defined]
        names.append(options.field)
    return (*(n for n in names if n), *(getattr(options, "fields", ()) or ()))


def chain(branch: Branch, field: str, targets: MappingABC[str, TargetModel]) -> Way:
    """The field's value after every stage, through the very steps the run takes; KeyError for an unmapped field."""
    item = {one.field: one for one in branch.mapping.fields}[field]
    building = Building(targets)
    way = Chain(building, f"field {field}")
    value, kind = origin(item, way)
    first = lineage(branch.mapping)[field].origin
    shown: list[tuple[str, str, Expr]] = [("Source", first, _as_text(value, kind, way))]
    lost: list[Expr | None] = [_lost(way, 0)]
    for number, step in enumerate(item.steps, 1):
        way.where = f"field {field}, step {number} ({step.step})"
        before = len(way.losses)
        value, kind = one_step(step.step, step.options, value, kind, way)
        value = way.once(value)
        lost.append(_lost(way, before))
        options = ", ".join(f"{k}: {v}" for k, v in step.options.items())
        shown.append((STEPS[step.step].title, options, _as_text(value, kind, way)))
    spec, before = branch.target.field(field), len(way.losses)
    value, _ = settle(spec, item, value, kind, way)
    shown.append(
        ("Stored", f"as {spec.title or WORDS[spec.type]}", _as_text(way.once(value), spec.type, way))
    )
    lost.append(_lost(way, before))
    stages = tuple(
        Stage(title, detail, f"stage_{n}", f"lost_{n}" if lost[n] is not None else "")
        for n, (title, detail, _) in enumerate(shown)
    )
    order = [column("_ord")] if branch.fan_out else []
    columns = [
        exp.alias_(one, stage.column, quoted=True) for stage, (_, _, one) in zip(stages, shown, strict=True)
    ]
    columns += [exp.alias_(why, f"lost_{n}", quoted=True) for n, why in enumerate(lost) if why is not None]
    select = exp.select(*columns, *order)
    relation = building.layers.over(source_of(building, branch.mapping.explode))
    return Way(field, stages, sql(select.from_(relation.subquery("_values"))))


def _as_text(value: Expr, kind: FieldType, way: Chain) -> Expr:
    return convert(way.once(value), kind, FieldType.TEXT, way)[0]


def _lost(way: Chain, before: int) -> Expr | None:
    """Why a value got lost since `before` losses were known, as SQL; None where none could."""
    arms = [(condition.copy(), text(message)) for condition, message in way.losses[before:]]
    return choose(*arms, otherwise=exp.null()) if arms else None
