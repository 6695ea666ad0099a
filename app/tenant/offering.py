"""Offering: what could come next in a field's chain, what would mend rows that fail, and readings to choose from.

Everything offered was tried: its counts are what the plan itself makes of the sample with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, targets
from app.tenant.following import mapped, mapping_at, narrowed
from app.tenant.proposing import DATE_FIXES, TEXT_FIXES, with_dates
from app.tenant.reading import AMONG, chosen, extent, held, named, wanting
from app.tenant.repairing import TEXT
from app.tenant.schemas.chains import Offer, Offers, Reading, Readings
from app.tenant.values import plain
from app.tenant.weighing import passing, weigh, weigh_altered
from engine.compile import Plan, compile_plan
from engine.lineage import chain
from engine.model import FieldMapping, FieldType, Mapping, Source, Step, TargetField
from engine.scan import RAW
from engine.suggest.next import next_steps
from engine.types import VOCABULARIES
from storage import traces
from storage.texts import Texts
from storage.traces import TracedRow

MOST_NEXT, MOST_REPAIRS, MOST_READ = 6, 3, 8
# So many failing rows tell what would mend them.
MENDED = 100


@dataclass(frozen=True)
class Looked:
    """A field's sample as the plan takes it: each row's way, by its place in the held text."""

    plan: Plan
    item: FieldMapping
    spec: TargetField
    table: Texts
    rows: dict[int, TracedRow]
    failing: list[int]
    sources: dict[str, list[str]]
    texts: dict[int, str | None]


def offers(desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, field: str, rows: int) -> Offers:
    """Steps that a sample's values ask for, and changes that mend rows that fail, each with what it does."""
    models = targets(desk)
    item = mapped(mapping_at(mappings, at), field)
    spec = models[mappings[at].target].field(field)
    plan = compile_plan(mappings, models)
    narrow = compile_plan([narrowed(mappings[at], field)], models)
    way = chain(narrow.branches[0], field, models)
    raw = any(RAW in branch.fields for branch in plan.branches)
    with held(desk, read, AMONG, raw=raw, besides=wanting(read, plan)) as (cursor, table, _):
        picked = chosen(cursor, table, rows, named(desk, read))
        whole = table.complete and len(picked) == table.rows
        said = extent(len(picked), whole, table.complete, table.rows)
        if item.source is None or mappings[at].explode is not None:
            # What is no value of the row's own can't be tried with another.
            return Offers(next=[], repairs=[], extent=said)
        found = traces.trace(cursor, plan, at, narrow.branches[0], way, table, picked)
        shown = {row.row: row for row in found}
        failing = [row.row for row in found if any(row.lost)]
        texts, sources = traces.held_values(cursor, table, list(shown), item.source)
        looked = Looked(narrow, item, spec, table, shown, failing, sources, texts)
        return Offers(
            next=_next(desk, cursor, looked),
            repairs=_repairs(desk, cursor, looked) if failing else [],
            extent=said,
        )


def readings(
    desk: Desk, read: Source, target: str, field: str, origin: str, choices: Sequence[Sequence[Step]]
) -> Readings:
    """Values of a source field as each chain reads them, those first that the chains read differently."""
    spec = targets(desk)[target].field(field)
    ways = [FieldMapping(field=field, source=origin, steps=tuple(steps)) for steps in choices]
    with held(desk, read, AMONG) as (cursor, table, _):
        picked = chosen(cursor, table, 200, named(desk, read))
        found = weigh(desk, cursor, table, picked, spec, ways)
    there = [row for row in found if row.source.get(origin)]
    differing = [row for row in there if len({str(value) for value in row.values}) > 1]
    shown = {row.source[origin]: row for row in reversed([*differing, *there])}
    ordered = sorted(shown.values(), key=lambda row: (row not in differing, any(row.failed), row.line))
    whole = table.complete and len(picked) == table.rows
    return Readings(
        values=[
            Reading(line=row.line, value=str(row.source[origin]), read=[plain(v) for v in row.values])
            for row in ordered[:MOST_READ]
        ],
        differ=len(differing),
        unread=[sum(row.failed[n] for row in there) for n in range(len(choices))],
        extent=extent(len(picked), whole, table.complete, table.rows),
    )


def _next(desk: Desk, cursor: DuckDBPyConnection, looked: Looked) -> list[Offer]:
    """Steps for the end of the chain, tried on the values as they stand there."""
    item = looked.item
    source = str(item.source)
    # The stop before the last is the value after the steps there are.
    now = [(row, traced.values[-2]) for row, traced in looked.rows.items() if traced.values[-2]]
    ahead = next_steps(looked.spec, source, [str(value) for _, value in now], looked.sources)
    if not ahead:
        return []
    ways = [FieldMapping(field="value", source=source, steps=each.steps) for each in ahead]
    found = weigh_altered(desk, cursor, looked.table, source, now, ways, TEXT)
    made = []
    for n, each in enumerate(ahead):
        changed = [row for row in found if row.values[n] != now[row.row][1] and not row.failed[n]]
        if changed or each.steps[-1].step == "map":
            example = changed[0] if changed else None
            made.append(
                Offer(
                    title=each.title, why=each.why, steps=[*item.steps, *each.steps], changes=len(changed),
                    before=now[example.row][1] if example else None,
                    after=str(plain(example.values[n])) if example else None,
                )
            )  # fmt: skip
    return made[:MOST_NEXT]


def _repairs(desk: Desk, cursor: DuckDBPyConnection, looked: Looked) -> list[Offer]:
    """Changes after which failing rows pass and no good row fails, those that mend most first."""
    made = [*_by_text(desk, cursor, looked), *_by_dates(desk, cursor, looked)]
    found: dict[tuple[int, str | None], Offer] = {}
    for offer in sorted(made, key=lambda offer: (-offer.repairs, len(offer.steps))):
        found.setdefault((offer.repairs, offer.after), offer)
    return list(found.values())[:MOST_REPAIRS]


def _by_text(desk: Desk, cursor: DuckDBPyConnection, looked: Looked) -> list[Offer]:
    """Steps before the chain, on the source's own text."""
    item, source = looked.item, str(looked.item.source)
    tried = [*TEXT_FIXES, *_by_words(looked.spec)]
    ways = [FieldMapping(field="value", source=source, steps=steps) for _, steps in tried]
    some = looked.failing[:MENDED]
    fixed = {row.row: row for row in weigh(desk, cursor, looked.table, sorted(looked.rows), TEXT, ways)}

    def attempts(rows: Sequence[int], n: int) -> list[tuple[int, str | None]]:
        given = ((row, fixed[row].values[n]) for row in rows if row in fixed)
        return [(row, value) for row, value in given if value is not None and value != looked.texts.get(row)]

    trials = [(n, row, value) for n in range(len(tried)) for row, value in attempts(some, n)]
    passed = passing(
        cursor, looked.plan, looked.table, source, [(row, value) for _, row, value in trials], item.field
    )
    good = [row for row in looked.rows if row not in set(looked.failing)]
    made = []
    for n in dict.fromkeys(trials[i][0] for i in passed):
        kept = attempts(good, n)
        if len(passing(cursor, looked.plan, looked.table, source, kept, item.field)) < len(kept):
            continue
        mended = [i for i in passed if trials[i][0] == n]
        title, steps = tried[n]
        made.append(
            Offer(
                title=title, why="", steps=[*steps, *item.steps], repairs=len(mended), fails=len(some),
                changes=len(mended) + len(kept), before=looked.texts.get(trials[mended[0]][1]),
                after=str(plain(passed[mended[0]])),
            )
        )  # fmt: skip
    return made


def _by_words(spec: TargetField) -> list[tuple[str, tuple[Step, ...]]]:
    """Words in the place of what the field holds, from the vocabulary it has or is called after."""
    name = spec.vocabulary or (spec.name if spec.name in VOCABULARIES else None)
    if name is None or spec.type not in (FieldType.INTEGER, FieldType.TEXT):
        return []
    return [(f"Read words as {name}", (Step(step="map", options={"vocabulary": name, "otherwise": "keep"}),))]


def _by_dates(desk: Desk, cursor: DuckDBPyConnection, looked: Looked) -> list[Offer]:
    """More formats for a chain that reads dates."""
    item, dated = looked.item, looked.spec.type in (FieldType.TIMESTAMP, FieldType.DATE)
    given = [(title, with_dates(item, formats, dated=dated)) for title, formats in DATE_FIXES]
    tried = [(title, steps) for title, steps in given if steps is not None]
    if not tried:
        return []
    ways = [item.model_copy(update={"steps": tuple(steps)}) for _, steps in tried]
    found = weigh(desk, cursor, looked.table, looked.failing[:MENDED], looked.spec, ways)
    made = []
    for n, (title, steps) in enumerate(tried):
        mended = [row for row in found if not row.failed[n] and row.values[n] is not None]
        if mended:
            made.append(
                Offer(
                    title=title, why="", steps=steps, repairs=len(mended), fails=len(found), changes=len(mended),
                    before=looked.texts.get(mended[0].row), after=str(plain(mended[0].values[n])),
                )
            )  # fmt: skip
    return made
