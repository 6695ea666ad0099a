"""Compile mappings and rules into one SELECT each: values, keys, hashes and a mask of broken checks.

The same SELECT serves test, preview, dry run and run. Its text depends on the mapping and the target
model alone, so equal mappings give equal plans.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import duckdb
from sqlglot import exp

from engine import drift_guard, types
from engine.broken import Mapped, broken, missing
from engine.casts import DUCKDB
from engine.chain import Building, Chain, origin, settle, walk
from engine.drift_guard import Guard
from engine.expression import Expression, expression
from engine.layers import PREFIX, Layers
from engine.mapping import address
from engine.model import FieldMapping, FieldType, Mapping, Rule, Severity, TargetModel
from engine.rules import OPERATORS, RunCheck, SetCheck, message_of, options_of
from engine.scan import EXTRA
from engine.scratch import complaint, scratch
from engine.steps import BadMapping
from engine.steps.tree import (
    Expr,
    call,
    choose,
    column,
    listed,
    no,
    sql,
    tree,
)

MOST_CHECKS = 62
_SPAN = {"minute": "minutes", "hour": "hours", "day": "days", "week": "weeks"}


@dataclass(frozen=True)
class Check:
    """One way a row can be wrong: its bit in `_mask`, and what to tell a person."""

    bit: int
    rule: str
    field: str | None
    group: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Branch:
    """One mapping, compiled. `sql` selects from `source` and emits `columns`, `_kh`, `_vh`, `_mask` (and `_ord`).

    `_mask` has a check's bit set where the row breaks it; bits of `set_checks` stay 0 for the store to
    set. `where` is a condition on `source` that the store applies: a row takes the first branch it
    meets, and counts as filtered where it meets none. With `fan_out` one source row gives one row or
    more, never none.
    """

    mapping: Mapping
    version: str
    target: TargetModel
    fields: tuple[str, ...]
    checks: tuple[Check, ...]
    columns: tuple[tuple[str, str], ...]
    sql: str
    fan_out: bool
    where: str | None
    set_checks: tuple[SetCheck, ...] = ()
    run_checks: tuple[RunCheck, ...] = ()

    @property
    def blocking(self) -> int:
        """The bits of `_mask` that keep a row out of the store; the others only warn."""
        return sum(1 << check.bit for check in self.checks if check.severity is not Severity.WARN)

    @property
    def mapped(self) -> tuple[str, ...]:
        """The target fields that something is mapped onto, in the model's order; the others are NULL in every row."""
        given = {item.field for item in self.mapping.fields}
        return tuple(name for name, _ in self.columns if name in given)


@dataclass(frozen=True)
class Plan:
    """The branches in order; a row takes the first whose `where` it meets."""

    branches: tuple[Branch, ...]


def compile_plan(
    mappings: Sequence[Mapping], targets: MappingABC[str, TargetModel], guard: Guard | None = None
) -> Plan:
    """Compile mappings against their target models; a Stop error names the first thing that cannot work.

    `guard` adds what a pipeline's contract says of a source that has changed.
    """
    models = tuple(sorted(targets.items()))
    watching = guard.model_dump_json() if guard is not None and not guard.idle else ""
    return Plan(
        tuple(_kept(mapping.model_dump_json(by_alias=True), models, watching) for mapping in mappings)
    )


@lru_cache(maxsize=512)
def _kept(mapping: str, models: tuple[tuple[str, TargetModel], ...], watching: str) -> Branch:
    """A mapping (as JSON) compiled once: a feed of thirty types is a second's work, and done at every preview."""
    guard = Guard.model_validate_json(watching) if watching else None
    return compile_branch(Mapping.model_validate_json(mapping), dict(models), guard)


def explain(branch: Branch, mask: int) -> list[Check]:
    """The checks a row's mask says it broke, in order."""
    return [check for check in branch.checks if mask >> check.bit & 1]


def compile_branch(
    mapping: Mapping, targets: MappingABC[str, TargetModel], guard: Guard | None = None
) -> Branch:
    """Compile one mapping; see `Branch`."""
    target = _target(mapping, targets)
    mapped = _by_field(mapping, target)
    building = Building(targets)
    found: list[tuple[Check, Expr | None]] = []
    values: dict[str, Mapped] = {}
    own_required = {r.field for r in mapping.rules if r.operator == "required"}

    def check(
        rule: str, name: str | None, message: str, condition: Expr | None, rule_of: Rule | None = None
    ) -> int:
        severity = rule_of.severity if rule_of else Severity.QUARANTINE
        found.append(
            (
                Check(len(found), rule, name, rule_of.group if rule_of else "schema", severity, message),
                condition,
            )
        )
        return len(found) - 1

    for spec in target.fields:
        demanded = spec.required and spec.name not in own_required
        if spec.name not in mapped:
            values[spec.name] = Mapped(exp.cast(exp.null(), DUCKDB[spec.type], dialect="duckdb"), spec.type)
            if demanded:
                check(
                    f"{spec.name}:required",
                    spec.name,
                    f"{spec.name} is missing: nothing is mapped onto it",
                    exp.true(),
                )
            continue
        chain = Chain(building, f"field {spec.name}")
        value, kind = origin(mapped[spec.name], chain)
        value, kind = walk(mapped[spec.name], value, kind, chain)
        value, before = settle(spec, mapped[spec.name], value, kind, chain)
        values[spec.name] = Mapped(chain.once(value), spec.type)
        lost = [condition for condition, _ in chain.losses]
        if demanded:
            gone = missing(before)
            if lost:
                gone = exp.and_(gone, *(no(call("coalesce", condition.copy(), False)) for condition in lost))
            check(f"{spec.name}:required", spec.name, f"{spec.name} is missing", gone)
        for condition, message in chain.losses:
            check(f"{spec.name}:{_mark(message)}", spec.name, f"{spec.name} {message}", condition)

    set_checks: list[SetCheck] = []
    run_checks: list[RunCheck] = []
    for rule in mapping.rules:
        options, message, scope = (
            options_of(rule),
            message_of(rule, _type_of(rule, target)),
            OPERATORS[rule.operator].scope,
        )
        for name in filter(None, (rule.field, *getattr(options, "fields", ()))):
            if name not in values:
                raise BadMapping(f"rule {rule.id}: {target.name} has no field {name}.")
        if scope == "row":
            top = Chain(building, f"rule {rule.id}")
            check(rule.id, rule.field, message, broken(rule, values, top), rule)
        elif scope == "set":
            bit = check(rule.id, rule.field, message, None, rule)
            fields = (str(rule.field), *options.fields)
            set_checks.append(SetCheck(bit, rule.id, "unique", fields, rule.severity, message))
        else:
            run_checks.append(_run_check(rule, options, message))
    where = where_of(mapping)
    if mapping.where is not None:
        for name in _condition_of(mapping.where).columns:
            building.read(name, "where")
    guarded: dict[str, Expr] = {}
    if guard is not None:
        reads = [name for name in building.reads if name != mapping.explode]
        guarded = drift_guard.columns(guard, reads)
        for rule_id, told, condition, severity in drift_guard.checks(guard, reads):
            found.append((Check(len(found), rule_id, None, "schema", severity, told), condition))
        if guard.extra is not None:
            building.read(EXTRA, "contract")
    if len(found) > MOST_CHECKS:
        raise BadMapping(
            f"{target.name}: {len(found)} checks are more than the {MOST_CHECKS} a mapping can have."
        )
    select = _assemble(building, mapping, target, values, [condition for _, condition in found], guarded)
    branch = Branch(
        mapping=mapping, version=address(mapping), target=target, fields=tuple(building.reads),
        checks=tuple(c for c, _ in found), columns=tuple((f.name, DUCKDB[f.type]) for f in target.fields),
        sql=sql(select), fan_out=mapping.explode is not None, where=where,
        set_checks=tuple(set_checks), run_checks=tuple(run_checks),
    )  # fmt: skip
    _try_out(branch, building.looks_up)
    return branch


def _target(mapping: Mapping, targets: MappingABC[str, TargetModel]) -> TargetModel:
    if mapping.target not in targets:
        raise BadMapping(f"There is no target model {mapping.target}.")
    return targets[mapping.target]


def _by_field(mapping: Mapping, target: TargetModel) -> dict[str, FieldMapping]:
    names = {f.name for f in target.fields}
    mapped: dict[str, FieldMapping] = {}
    for item in mapping.fields:
        if item.field not in names:
            raise BadMapping(f"{target.name} has no field {item.field}.")
        if item.field in mapped:
            raise BadMapping(f"field {item.field} is mapped twice.")
        mapped[item.field] = item
    rules = [rule.id for rule in mapping.rules]
    for rule in rules:
        if rules.count(rule) > 1:
            raise BadMapping(f"two rules have the id {rule}.")
    return mapped


def _type_of(rule: Rule, target: TargetModel) -> FieldType:
    return {f.name: f.type for f in target.fields}.get(rule.field or "", FieldType.TEXT)


def _mark(message: str) -> str:
    if "vocabulary" in message:
        return "vocabulary"
    return "expression" if "expression" in message else "kind" if "kind" in message else "type"


def _run_check(rule: Rule, options: object, message: str) -> RunCheck:
    if rule.operator == "freshness":
        count, unit = str(options.within).rstrip("s").replace(" ", ""), ""  # type: ignore[attr-defined]
        unit = count.lstrip("0123456789")
        within = timedelta(**{_SPAN[unit]: int(count.removesuffix(unit))})
        return RunCheck(rule.id, "freshness", rule.field, rule.severity, message, within=within)
    return RunCheck(
        rule.id, "volume", None, rule.severity, message,
        minimum=options.min, maximum=options.max, of=options.of,  # type: ignore[attr-defined]
    )  # fmt: skip


def where_of(mapping: Mapping) -> str | None:
    """The mapping's condition on source fields as SQL; the store applies it."""
    if mapping.where is None:
        return None
    checked = _condition_of(mapping.where)
    if not checked.can_raise:
        return sql(checked.tree)
    # A row the condition cannot judge is kept: its checks will say what is wrong with it.
    return sql(call("coalesce", call("try", call("coalesce", checked.tree, False)), True))


def _condition_of(where: str) -> Expression:
    checked = expression(where, "where")
    if checked.type != "BOOLEAN":
        raise BadMapping(f"where: the expression gives {checked.type}, not true or false.")
    return checked


def readable(mapping: Mapping, targets: MappingABC[str, TargetModel]) -> tuple[list[Expr], list[Expr], Expr]:
    """The mapping for reading: each field's value written out, the types given to it, and where it comes from."""
    target = _target(mapping, targets)
    mapped = _by_field(mapping, target)
    building, typing = Building(targets, Layers(inline=400)), Building(targets, Layers(inline=10**9))
    inner: list[Expr] = []
    outer: list[Expr] = []
    for item in mapping.fields:
        chain = Chain(building, f"field {item.field}")
        value, kind = walk(item, *origin(item, chain), chain)
        inner.append(exp.alias_(value, item.field, quoted=True))
        chain.plan = typing
        settled, _ = settle(target.field(item.field), mapped[item.field], column(item.field), kind, chain)
        outer.append(exp.alias_(settled, item.field, quoted=True))
    source: Expr = exp.to_identifier("source")
    rows = exp.select(exp.Star()).from_("source")
    if mapping.explode is not None:
        building.read(mapping.explode, "explode")
        others = exp.Star(except_=[exp.to_identifier(mapping.explode, quoted=True)])
        rows = exp.select(others, _exploded(mapping.explode)).from_("source")
    if mapping.explode is not None or building.layers.height:
        source = exp.Subquery(this=building.layers.over(rows), alias=exp.to_identifier("source"))
    return inner, outer, source


def _assemble(
    building: Building,
    mapping: Mapping,
    target: TargetModel,
    values: MappingABC[str, Mapped],
    conditions: Sequence[Expr | None],
    guarded: MappingABC[str, Expr],
) -> exp.Select:
    order = [column("_ord")] if mapping.explode is not None else []
    select = exp.select(
        *(exp.alias_(values[f.name].column, f.name, quoted=True) for f in target.fields), *order
    )
    select = select.select(
        exp.alias_(call("hash", *(values[name].column for name in target.key)), "_kh", quoted=True),
        exp.alias_(call("hash", *(values[f.name].column for f in target.fields)), "_vh", quoted=True),
        exp.alias_(_mask(conditions), "_mask", quoted=True),
    )
    below = source_of(building, mapping.explode, guarded)
    return select.from_(building.layers.over(below).subquery("_values"))


def _mask(conditions: Sequence[Expr | None]) -> Expr:
    mask: Expr = exp.cast(tree(0), "BIGINT", dialect="duckdb")
    for bit, condition in enumerate(conditions):
        if condition is not None:
            arm = exp.Paren(this=choose((condition, tree(1 << bit)), otherwise=tree(0)))
            mask = exp.BitwiseOr(this=mask, expression=arm)
    return exp.cast(exp.Paren(this=mask), "BIGINT", dialect="duckdb")


def source_of(
    building: Building, exploded: str | None, guarded: MappingABC[str, Expr] | None = None
) -> exp.Select:
    """The source columns the branch reads, and no others, so that no name can clash with ours.

    `guarded` stands in place of columns of its names, and beside them.
    """
    if exploded is not None:
        building.read(exploded, "explode")
    put = dict(guarded or {})
    columns = [_exploded(n) if n == exploded else put.pop(n, column(n)) for n in building.reads]
    columns += put.values()
    if exploded is not None:
        columns.insert(0, column("_ord"))
    return exp.select(*(columns or [exp.alias_(tree(1), f"{PREFIX}0", quoted=True)])).from_("source")


def _exploded(name: str) -> Expr:
    """One row for each entry of a JSON list. What is no list, or an empty one, still gives its one row."""
    value = column(name)
    entries = call("coalesce", call("try", call("from_json", value, '["VARCHAR"]')), listed([value]))
    entries = choose((call("starts_with", call("trim", value), "["), entries), otherwise=listed([value]))
    some = choose(
        (call("regexp_full_match", value, r"\s*\[\s*\]\s*"), listed([exp.null()])), otherwise=entries
    )
    return exp.alias_(call("unnest", some), name, quoted=True)


def _try_out(branch: Branch, looks_up: MappingABC[str, TargetModel]) -> None:
    """Bind the SELECT in an empty database, so that what cannot run is told now and not at the first row."""
    nothing = [
        exp.alias_(exp.cast(exp.null(), "VARCHAR", dialect="duckdb"), n, quoted=True) for n in branch.fields
    ]
    if branch.fan_out:
        nothing.append(exp.alias_(exp.cast(exp.null(), "BIGINT", dialect="duckdb"), "_ord", quoted=True))
    source = sql(exp.select(*(nothing or [tree(1)])))
    database = scratch()
    if looks_up:
        database = duckdb.connect()
        types.register(database)
        database.execute("CREATE SCHEMA records")
        for name, model in looks_up.items():
            fields = ", ".join(f"{sql(column(f.name))} {DUCKDB[f.type]}" for f in model.fields)
            database.execute(f"CREATE TABLE records.{sql(column(name))} ({fields})")
    try:
        database.execute(f"WITH source AS ({source}) SELECT * FROM ({branch.sql}) LIMIT 0")
        if branch.where is not None:
            database.execute(f"WITH source AS ({source}) SELECT 1 FROM source WHERE {branch.where} LIMIT 0")
    except duckdb.Error as error:
        raise BadMapping(f"{complaint(error)}.") from error
    finally:
        database.close()
