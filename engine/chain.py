"""One target field on its way: where its value comes from, its steps, and how it becomes what is stored."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from difflib import get_close_matches

from sqlglot import exp

from engine import types
from engine.broken import Mapped
from engine.casts import WORDS, convert, native
from engine.expression import expression
from engine.layers import PREFIX, Layers
from engine.model import FieldMapping, FieldType, TargetField, TargetModel
from engine.steps import STEPS, BadMapping
from engine.steps.intel import kind_of
from engine.steps.tree import (
    Expr,
    absent,
    call,
    careful,
    choose,
    column,
    each,
    given,
    listed,
    one_of,
    raw,
    sql,
    text,
)


@dataclass
class Building:
    """What is known of a branch while its fields are compiled."""

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


@dataclass
class Chain:
    """One field on its way through the steps: what `Context` asks for, and where values can get lost."""

    plan: Building
    where: str
    losses: list[tuple[Expr, str]] = field(default_factory=list)

    def column(self, name: str) -> Expr:
        return self.plan.read(name, self.where)

    def once(self, value: Expr) -> Expr:
        return self.plan.layers.name(value)

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


def origin(item: FieldMapping, chain: Chain) -> tuple[Expr, FieldType]:
    """Where a field's value comes from, before its steps."""
    if item.source is not None:
        return chain.column(item.source), FieldType.TEXT
    if item.sql is not None:
        checked = expression(item.sql, chain.where)
        for name in checked.columns:
            chain.column(name)
        value = checked.tree
        if checked.can_raise and chain.plan.layers.inline is None:
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
        # Minified, so that other white space is no other content. A reader hands on nothing but JSON here.
        return call("json", value), before
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
            return choose(
                (one_of(v, vocabulary.values), v), otherwise=careful(v, vocabulary.canonical(sql(v)))
            )

        value = _in_form(value, spec.type, agreed, f"is not in the vocabulary {spec.vocabulary}", chain)
    return value, before


def _in_form(value: Expr, kind: FieldType, form: Callable[[Expr], Expr], message: str, chain: Chain) -> Expr:
    """The value, or every entry of a list, in its agreed form, with the check that notices what has none."""
    if kind is FieldType.TEXTS:
        after = chain.once(each(value, "entry", form(column("entry"))))
        odd = call("list_contains", each(after, "entry", absent(column("entry"))), True)
        chain.losses.append((odd, message))
        return after
    return chain.guard(value, FieldType.TEXT, form(value), message)


def _already(item: FieldMapping, kind: str) -> bool:
    """The chain ends by putting the value into this form, or into that of the kind the mapping told: it
    has decided itself what becomes of other values, so the field does not decide again."""
    if not item.steps or item.steps[-1].step != "canonical":
        return False
    return kind in ("indicator", item.steps[-1].options.get("kind", "indicator"))


def _article(title: str) -> str:
    return f"{'an' if title[:1].lower() in 'aeiou' else 'a'} {title}"
