"""Compile mappings and rules into one SELECT each: values, keys, hashes and a mask of broken checks.

The same SELECT serves test, preview, dry run and run. Its text depends on the mapping and the target
model alone, so equal mappings give equal plans.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import duckdb
from sqlglot import exp

from engine import types
from engine.casts import DUCKDB, WORDS, convert, native
from engine.expression import expression
from engine.layers import PREFIX, Layers
from engine.mapping import address
from engine.model import FieldMapping, FieldType, Mapping, Rule, Severity, TargetField, TargetModel
from engine.rules import (
    OPERATORS,
    Mapped,
    RunCheck,
    SetCheck,
    broken,
    message_of,
    missing,
    options_of,
)
from engine.scratch import complaint, scratch
from engine.steps import STEPS, BadMapping
from engine.steps.intel import kind_of
from engine.steps.tree import (
    Expr,
    absent,
    call,
    cast,
    choose,
    column,
    each,
    given,
    listed,
    no,
    one_of,
    raw,
    sql,
    text,
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


@dataclass(frozen=True)
class Plan:
    """The branches in order; a row takes the first whose `where` it meets."""

    branches: tuple[Branch, ...]


def compile_plan(mappings: Sequence[Mapping], targets: MappingABC[str, TargetModel]) -> Plan:
    """Compile mappings against their target models; a Stop error names the first thing that cannot work."""
    return Plan(tuple(compile_branch(mapping, targets) for mapping in mappings))


def explain(branch: Branch, mask: int) -> list[Check]:
    """The checks a row's mask says it broke, in order."""
    return [check for check in branch.checks if mask >> check.bit & 1]


@dataclass
class Chain:
    """One field on its way through the steps: what `Context` asks for, and where values can get lost."""

    plan: _Building
    where: str
    depth: int = 0
    losses: list[tuple[Expr, str]] = field(default_factory=list)

    def column(self, name: str) -> Expr:
        return self.plan.read(name, self.where)

    def once(self, value: Expr) -> Expr:
        if isinstance(value, exp.Literal | exp.Null):
            return value
        named, self.depth = self.plan.layers.name(value, self.depth)
        return named

    def stored(self, target: str, *fields: str) -> exp.Table:
        model = self.plan.targets.get(target)
        if model is None:
            raise BadMapping(f"{self.where}: there is no target model {target}.")
        for name in fields:
            if name not in {f.name for f in model.fields}:
                raise BadMapping(f"{self.where}: {target} has no field {name}.")
        self.plan.looks_up[target] = model
        return exp.table_(
            exp.to_identifier(target, quoted=True), db=exp.to_identifier("records", quoted=True)
        )

    def guard(self, before: Expr, kind: FieldType, after: Expr, message: str) -> Expr:
        """Name the value after a step that can lose it, and note the check that notices."""
        after = self.once(after)
        there = exp.NEQ(this=before, expression=text("")) if kind is FieldType.TEXT else given(before)
        self.losses.append((exp.and_(there, absent(after)), message))
        return after

    def turn(self, value: Expr, have: FieldType, want: FieldType) -> Expr:
        """The value as another type, guarded where it may not fit."""
        if have is want:
            return value
        value = self.once(value)
        after, loses = convert(value, have, want, self)
        return self.guard(value, have, after, f"is not {WORDS[want]}") if loses else after


@dataclass
class _Building:
    """What is known of a branch while its fields are compiled."""

    mapping: Mapping
    targets: MappingABC[str, TargetModel]
    layers: Layers = field(default_factory=Layers)
    reads: dict[str, None] = field(default_factory=dict)
    looks_up: dict[str, TargetModel] = field(default_factory=dict)

    def read(self, name: str, where: str) -> Expr:
        if name.lower().startswith(PREFIX):
            raise BadMapping(
                f"{where}: a source field may not be called {name}; names with {PREFIX} are ours."
            )
        self.reads[name] = None
        return column(name)


def compile_branch(mapping: Mapping, targets: MappingABC[str, TargetModel]) -> Branch:
    """Compile one mapping; see `Branch`."""
    if mapping.target not in targets:
        raise BadMapping(f"There is no target model {mapping.target}.")
    target = targets[mapping.target]
    mapped = _by_field(mapping, target)
    building = _Building(mapping, targets)
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
        options, message, scope = options_of(rule), message_of(rule), OPERATORS[rule.operator].scope
        for name in filter(None, (rule.field, *getattr(options, "fields", ()))):
            if name not in values:
                raise BadMapping(f"rule {rule.id}: {target.name} has no field {name}.")
        if scope == "row":
            top = Chain(building, f"rule {rule.id}", depth=building.layers.height)
            check(rule.id, rule.field, message, broken(rule, values, top), rule)
        elif scope == "set":
            bit = check(rule.id, rule.field, message, None, rule)
            fields = (str(rule.field), *options.fields)
            set_checks.append(SetCheck(bit, rule.id, "unique", fields, rule.severity, message))
        else:
            run_checks.append(_run_check(rule, options, message))
    if len(found) > MOST_CHECKS:
        raise BadMapping(
            f"{target.name}: {len(found)} checks are more than the {MOST_CHECKS} a mapping can have."
        )

    where = _where(mapping, building)
    select = _assemble(building, target, values, [condition for _, condition in found])
    branch = Branch(
        mapping=mapping, version=address(mapping), target=target, fields=tuple(building.reads),
        checks=tuple(c for c, _ in found), columns=tuple((f.name, DUCKDB[f.type]) for f in target.fields),
        sql=sql(select), fan_out=mapping.explode is not None, where=where,
        set_checks=tuple(set_checks), run_checks=tuple(run_checks),
    )  # fmt: skip
    _try_out(branch, building.looks_up)
    return branch


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


def origin(item: FieldMapping, chain: Chain) -> tuple[Expr, FieldType]:
    """Where a field's value comes from, before its steps."""
    if item.source is not None:
        return chain.column(item.source), FieldType.TEXT
    if item.sql is not None:
        checked = expression(item.sql, chain.where)
        for name in checked.columns:
            chain.column(name)
        value = checked.tree
        if checked.can_raise:
            # A list of one tells "it gave NULL" ([NULL]) from "it could not be computed" (NULL).
            held = chain.once(call("try", listed([value])))
            chain.losses.append((absent(held), "could not be computed from the expression"))
            value = call("list_extract", held, 1)
        return native(checked.type, value)
    if isinstance(item.constant, list):
        return listed(item.constant), FieldType.TEXTS
    if isinstance(item.constant, bool):
        return text(str(item.constant).lower()), FieldType.TEXT
    return text(str(item.constant)), FieldType.TEXT


def walk(item: FieldMapping, value: Expr, kind: FieldType, chain: Chain) -> tuple[Expr, FieldType]:
    """The value after all steps, and its type."""
    for number, used in enumerate(item.steps, 1):
        chain.where = f"field {item.field}, step {number} ({used.step})"
        value, kind = one_step(used.step, used.options, value, kind, chain)
    chain.where = f"field {item.field}"
    return value, kind


def one_step(
    name: str, given_options: dict[str, object], value: Expr, kind: FieldType, chain: Chain
) -> tuple[Expr, FieldType]:
    """The value after one step."""
    if name not in STEPS:
        from difflib import get_close_matches

        near = get_close_matches(name, list(STEPS), n=1)
        raise BadMapping(
            f"{chain.where}: there is no step {name}." + (f" Did you mean {near[0]}?" if near else "")
        )
    entry = STEPS[name]
    options = entry.read(given_options, chain.where)
    value = chain.turn(value, kind, entry.takes)
    if entry.loses(options):
        before = chain.once(value)
        after = entry.sql(before, options, chain)
        return chain.guard(before, entry.takes, after, entry.failure), entry.gives(options)
    return entry.sql(value, options, chain), entry.gives(options)


def settle(
    spec: TargetField, item: FieldMapping, value: Expr, kind: FieldType, chain: Chain
) -> tuple[Expr, Mapped]:
    """The value as the target stores it (typed, canonical), and as it was before (to tell missing from wrong)."""
    value = chain.once(value)
    before = Mapped(value, kind)
    if item.source == "_raw" and not item.steps and spec.type is FieldType.JSON:
        return cast(value, "JSON"), before
    value = chain.once(chain.turn(value, kind, spec.type))
    if spec.kind is not None and not _already(item, spec.kind):
        known = kind_of(spec.kind, chain.where)
        value = _in_form(
            value, spec.type, lambda v: raw(known.canonical(sql(v))), f"is not {_article(known.title)}", chain
        )
    if spec.vocabulary is not None:
        vocabulary = types.VOCABULARIES.get(spec.vocabulary)
        if vocabulary is None:
            raise BadMapping(f"{chain.where}: there is no vocabulary {spec.vocabulary}.")

        def agreed(v: Expr) -> Expr:
            return choose((one_of(v, vocabulary.values), v), otherwise=raw(vocabulary.canonical(sql(v))))

        value = _in_form(value, spec.type, agreed, f"is not in the vocabulary {spec.vocabulary}", chain)
    return value, before


def _in_form(value: Expr, kind: FieldType, form, message: str, chain: Chain) -> Expr:  # type: ignore[no-untyped-def]
    if kind is FieldType.TEXTS:
        after = chain.once(each(value, "entry", form(column("entry"))))
        odd = call("list_contains", each(after, "entry", absent(column("entry"))), True)
        chain.losses.append((odd, message))
        return after
    return chain.guard(value, FieldType.TEXT, form(value), message)


def _already(item: FieldMapping, kind: str) -> bool:
    """The chain ends by putting the value into this very form."""
    if not item.steps or item.steps[-1].step != "canonical":
        return False
    options = item.steps[-1].options
    return options.get("kind", "indicator") == kind and options.get("on_failure", "reject") == "reject"


def _article(title: str) -> str:
    return f"{'an' if title[:1].lower() in 'aeiou' else 'a'} {title}"


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


def _where(mapping: Mapping, building: _Building) -> str | None:
    if mapping.where is None:
        return None
    checked = expression(mapping.where, "where")
    if checked.type != "BOOLEAN":
        raise BadMapping(f"where: the expression gives {checked.type}, not true or false.")
    for name in checked.columns:
        building.read(name, "where")
    if not checked.can_raise:
        return sql(checked.tree)
    # A row the condition cannot judge is kept: its checks will say what is wrong with it.
    return sql(call("coalesce", call("try", call("coalesce", checked.tree, False)), True))


def _assemble(
    building: _Building,
    target: TargetModel,
    values: MappingABC[str, Mapped],
    conditions: Sequence[Expr | None],
) -> exp.Select:
    order = [column("_ord")] if building.mapping.explode is not None else []
    select = exp.select(
        *(exp.alias_(values[f.name].column, f.name, quoted=True) for f in target.fields), *order
    )
    select = select.select(
        exp.alias_(call("hash", *(values[name].column for name in target.key)), "_kh", quoted=True),
        exp.alias_(call("hash", *(values[f.name].column for f in target.fields)), "_vh", quoted=True),
        exp.alias_(_mask(conditions), "_mask", quoted=True),
    )
    return select.from_(building.layers.over(_source(building)).subquery("_values"))


def _mask(conditions: Sequence[Expr | None]) -> Expr:
    mask: Expr = exp.cast(tree(0), "BIGINT", dialect="duckdb")
    for bit, condition in enumerate(conditions):
        if condition is not None:
            arm = exp.Paren(this=choose((condition, tree(1 << bit)), otherwise=tree(0)))
            mask = exp.BitwiseOr(this=mask, expression=arm)
    return exp.cast(exp.Paren(this=mask), "BIGINT", dialect="duckdb")


def _source(building: _Building) -> exp.Select:
    """The source columns the branch reads, and no others, so that no name can clash with ours."""
    exploded = building.mapping.explode
    if exploded is not None:
        building.read(exploded, "explode")
    columns = [_exploded(name) if name == exploded else column(name) for name in building.reads]
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
