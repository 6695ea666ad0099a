"""Valuing: the distinct values that reach a step, what it makes of each, and which may be one and the same."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence

from app.tenant.desk import Desk, targets
from app.tenant.following import mapped, mapping_at
from app.tenant.reading import ALL, AMONG, chosen, extent, held, named, wanting
from app.tenant.schemas.values import ClusterView, Values, ValueView
from engine.compile import compile_plan
from engine.lineage import chain
from engine.model import Mapping, Source
from engine.scan import RAW
from engine.steps.values import Map, known_words
from engine.suggest.clusters import clusters
from storage import traces

# Near-duplicates are looked for among the most frequent values only.
CLUSTERED = 2_000


def values(
    desk: Desk,
    read: Source,
    mappings: Sequence[Mapping],
    at: int,
    field: str,
    *,
    step: int | None,
    whole: bool,
    rows: int,
    most: int,
) -> Values:
    """The values before a step (or at the chain's end) with their rows, unknown ones first."""
    models = targets(desk)
    item = mapped(mapping_at(mappings, at), field)
    place = len(item.steps) if step is None else min(step, len(item.steps))
    words = (
        _words(item.steps[place].options)
        if place < len(item.steps) and item.steps[place].step == "map"
        else None
    )
    plan = compile_plan(mappings, models)
    narrow = compile_plan(
        [mappings[at].model_copy(update={"fields": (item,), "rules": (), "where": None})], models
    ).branches[0]
    way = chain(narrow, field, models)
    after = place + 1 if place < len(item.steps) else place
    raw = any(RAW in branch.fields for branch in plan.branches)
    with held(desk, read, ALL if whole else AMONG, raw=raw, besides=wanting(read, plan)) as (
        cursor,
        table,
        _,
    ):
        picked = range(table.rows) if whole else chosen(cursor, table, rows, named(desk, read))
        found = traces.distinct(cursor, plan, at, narrow, way, table, picked, (place, after))
    counts = {value: count for value, _, count in found if value is not None}
    become = {value: result for value, result, _ in found if value is not None}
    shown = [_view(value, counts[value], become[value], words) for value in counts]
    shown.sort(key=lambda v: (v.known, -v.rows, v.value))
    frequent = dict(sorted(counts.items(), key=lambda pair: -pair[1])[:CLUSTERED])
    groups = [
        ClusterView(
            values=[_view(value, count, become[value], words) for value, count in group.values],
            best=group.best,
            why=group.why,
        )
        for group in clusters(frequent)
        # What becomes one value already needs no merging.
        if len({become[value] for value, _ in group.values}) > 1
    ]
    complete = table.complete and len(picked) == table.rows
    return Values(
        values=shown[:most],
        clusters=groups[:100],
        distinct=len(shown),
        unknown=sum(not view.known for view in shown),
        empty=sum(count for value, _, count in found if value is None),
        rows=sum(count for _, _, count in found),
        extent=extent(len(picked), complete, table.complete, table.rows),
    )


def _words(options: MappingABC[str, object]) -> set[str]:
    """The words a value map knows, folded as it folds them."""
    told = Map.model_validate(options)
    if told.vocabulary:
        return set(known_words(told.vocabulary, "map"))
    return {word.strip().lower() for word in told.values or {}}


def _view(value: str, rows: int, becomes: str | None, words: set[str] | None) -> ValueView:
    known = words is not None and value.strip().lower() in words
    return ValueView(value=value, rows=rows, becomes=becomes, known=known)
