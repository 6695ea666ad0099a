"""Ruling: rules that a sample's values speak for, and how any rules fare on it, by the plan itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.tenant.desk import Desk, targets
from app.tenant.following import mapping_at
from app.tenant.reading import AMONG, chosen, extent, held, named, wanting
from app.tenant.schemas.rules import CaughtRow, Judged, Judgement, RuleOffer, RuleOffers
from app.tenant.values import plain
from engine.compile import Plan, compile_plan
from engine.model import Mapping, Rule, Source
from engine.rules import OPERATORS, RunCheck, options_of, run_check_holds
from engine.rulewords import says
from engine.scan import RAW
from engine.suggest.rules import propose
from storage import texts
from storage.texts import PreviewRow

SHOWN = 5
MOST = 12


@dataclass(frozen=True)
class Tried:
    """A sample after the plan, as far as one mapping took it; `whole` is how many rows the source has at least."""

    plan: Plan
    rows: list[PreviewRow]
    whole: int
    extent: str


def offers(desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, rows: int) -> RuleOffers:
    """Rules the mapping does not have and the values speak for, with what each would catch now."""
    mapping = mapping_at(mappings, at)
    model = targets(desk)[mapping.target]
    now = _tried(desk, read, mappings, at, rows)
    records = [row.output for row in now.rows]
    found = propose(mapping, model, records, whole=now.whole)
    judged = judge(desk, read, mappings, at, [each.rule for each in found], rows)
    made = [RuleOffer(judged=j, why=each.why) for j, each in zip(judged.rules, found, strict=True)]
    # What catches half of a sample says what the values are, not what is wrong with them.
    useful = [offer for offer in made if offer.judged.caught * 2 <= max(1, offer.judged.rows)]
    order = {"row": 0, "set": 0, "run": 1}
    useful.sort(key=lambda offer: (order[offer.judged.scope], -offer.judged.caught))
    return RuleOffers(offers=useful[:MOST], extent=now.extent)


def judge(
    desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, rules: Sequence[Rule], rows: int
) -> Judgement:
    """How these rules, in place of the mapping's own, fare on a sample."""
    mapping = mapping_at(mappings, at)
    ruled = [m if n != at else _with(mapping, rules) for n, m in enumerate(mappings)]
    tried = _tried(desk, read, ruled, at, rows)
    return Judgement(rules=[_judged(rule, tried, at, desk.now()) for rule in rules], extent=tried.extent)


def _with(mapping: Mapping, rules: Sequence[Rule]) -> Mapping:
    """The mapping with these rules, and of its fields those the rules look at: a whole one takes long to compile."""
    looked: set[str] = set()
    for rule in rules:
        if rule.operator == "expression":
            return mapping.model_copy(update={"rules": tuple(rules)})
        looked |= {str(name) for name in (rule.field, *_fields(rule)) if name}
    fields = tuple(item for item in mapping.fields if item.field in looked)
    return mapping.model_copy(update={"rules": tuple(rules), "fields": fields})


def _tried(desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, rows: int) -> Tried:
    plan = compile_plan(mappings, targets(desk))
    raw = any(RAW in branch.fields for branch in plan.branches)
    with held(desk, read, AMONG, raw=raw, besides=wanting(read, plan)) as (cursor, table, shape):
        picked = chosen(cursor, table, rows, named(desk, read))
        found = texts.preview(cursor, plan, table, picked, {f.name: f for f in shape.fields})
    whole = table.complete and len(picked) == table.rows
    ours = [row for row in found if row.target == mappings[at].target]
    return Tried(plan, ours, table.rows, extent(len(picked), whole, table.complete, table.rows))


def _judged(rule: Rule, tried: Tried, at: int, now: datetime) -> Judged:
    scope = OPERATORS[rule.operator].scope
    looked = [name for name in (rule.field, *_fields(rule)) if name]
    caught, holds, note = _row_scope(rule, tried), None, ""
    if scope == "set":
        caught, note = _repeated(looked, tried), "Inside the sample; a run looks at all rows and all records."
    elif scope == "run":
        check = next(c for c in tried.plan.branches[at].run_checks if c.rule == rule.id)
        caught, (holds, note) = [], _over_run(check, tried, now)
    return Judged(
        rule=rule,
        says=says(rule),
        scope=scope,
        caught=len(caught),
        rows=len(tried.rows),
        examples=[
            CaughtRow(line=row.line, values={name: plain(row.output.get(name)) for name in looked})
            for row in caught[:SHOWN]
        ],
        holds=holds,
        note=note,
    )


def _row_scope(rule: Rule, tried: Tried) -> list[PreviewRow]:
    return [row for row in tried.rows if any(each["rule"] == rule.id for each in row.failed)]


def _repeated(fields: Sequence[str], tried: Tried) -> list[PreviewRow]:
    """All but the first of the rows that say the same."""
    seen: Counter[str] = Counter()
    found = []
    for row in tried.rows:
        values = [row.output.get(name) for name in fields]
        if all(value is None for value in values):
            continue
        seen[repr(values)] += 1
        if seen[repr(values)] > 1:
            found.append(row)
    return found


def _over_run(check: RunCheck, tried: Tried, now: datetime) -> tuple[bool, str]:
    if check.kind == "volume":
        # What is not read here can only add: a lower end that is met stays met.
        holds = run_check_holds(check, read=tried.whole, accepted=tried.whole, newest=None, now=now)
        return holds, f"The source has {tried.whole:,} rows or more now."
    moments = [value for row in tried.rows if (value := row.output.get(check.field or "")) is not None]
    newest = max(moments, default=None)
    if newest is not None and not isinstance(newest, datetime):
        newest = datetime(newest.year, newest.month, newest.day)
    aware = now if now.tzinfo else now.replace(tzinfo=UTC)
    holds = run_check_holds(check, read=len(tried.rows), accepted=len(tried.rows), newest=newest, now=aware)
    return (
        holds,
        f"The newest in the sample is {newest:%Y-%m-%d %H:%M}." if newest else "The sample has none.",
    )


def _fields(rule: Rule) -> list[Any]:
    """The other target fields a rule looks at."""
    told = options_of(rule)
    if rule.operator == "reference":
        return []
    named = [getattr(told, name, None) for name in ("after", "before", "field")]
    return [name for name in (*named, *(getattr(told, "fields", ()) or ())) if name]
