"""Offering: what could come next in a field's chain, what would mend rows that fail, and readings to choose from.

Everything offered was tried: its counts are what the plan itself makes of the sample with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.tenant.desk import Desk, targets
from app.tenant.following import mapped, mapping_at
from app.tenant.proposing import DATE_FIXES, TEXT_FIXES, with_dates
from app.tenant.repairing import TEXT
from app.tenant.schemas.chains import Offer, Offers, Reading, Readings
from app.tenant.values import plain
from app.tenant.weighing import Weighed, weigh
from engine.model import FieldMapping, FieldType, Mapping, Source, Step, TargetField
from engine.suggest.next import Next, next_steps
from engine.types import VOCABULARIES

MOST_NEXT, MOST_REPAIRS, MOST_READ = 6, 3, 8


def offers(desk: Desk, read: Source, mappings: Sequence[Mapping], at: int, field: str, rows: int) -> Offers:
    """Steps that a sample's values ask for, and changes that mend rows that fail, each with what it does."""
    mapping = mapping_at(mappings, at)
    item = mapped(mapping, field)
    spec = targets(desk)[mapping.target].field(field)
    # First as it is: what the values look like as text after the steps there are, and which rows fail.
    now = weigh(desk, read, mapping, [(TEXT, item), (spec, item)], rows)
    failing = [row for row in now.rows if row.failed[1]]
    texts = [row.values[0] for row in now.rows if row.values[0]]
    others: dict[str, list[str]] = {}
    for row in now.rows:
        for name, value in row.source.items():
            if value:
                others.setdefault(name, []).append(value)
    ahead = next_steps(spec, item.source, texts, others)
    mending = _repairs(spec, item) if failing else []
    tried = [*(_with(item, (*item.steps, *each.steps)) for each in ahead), *(way for _, way in mending)]
    if not tried:
        return Offers(next=[], repairs=[], extent=now.extent)
    found = weigh(desk, read, mapping, [(spec, item), *((spec, way) for way in tried)], rows)
    made = [
        _offer(each, way, n, found.rows)
        for n, (each, way) in enumerate(zip(_titles(ahead, mending), tried, strict=True), 1)
    ]
    mends = [offer for offer in made if offer.repairs]
    return Offers(
        next=[o for o in made[: len(ahead)] if o.changes or o.steps[-1].step == "map"][:MOST_NEXT],
        repairs=_distinct(sorted(mends, key=lambda o: (-o.repairs, len(o.steps)))),
        extent=found.extent,
    )


def readings(
    desk: Desk, read: Source, target: str, field: str, origin: str, choices: Sequence[Sequence[Step]]
) -> Readings:
    """Values of a source field as each chain reads them, those first that the chains read differently."""
    spec = targets(desk)[target].field(field)
    ways = [(spec, FieldMapping(field=field, source=origin, steps=tuple(steps))) for steps in choices]
    mapping = Mapping(target=target, fields=())
    found = weigh(desk, read, mapping, ways, 200)
    there = [row for row in found.rows if row.source.get(origin)]
    differing = [row for row in there if len({str(value) for value in row.values}) > 1]
    shown = {row.source[origin]: row for row in reversed([*differing, *there])}
    ordered = sorted(shown.values(), key=lambda row: (row not in differing, any(row.failed), row.line))
    return Readings(
        values=[
            Reading(line=row.line, value=str(row.source[origin]), read=[plain(v) for v in row.values])
            for row in ordered[:MOST_READ]
        ],
        differ=len(differing),
        unread=[sum(row.failed[n] for row in there) for n in range(len(choices))],
        extent=found.extent,
    )


def _repairs(spec: TargetField, item: FieldMapping) -> list[tuple[str, FieldMapping]]:
    """Chains that may understand more than the one there is."""
    found = [(title, _with(item, (*steps, *item.steps))) for title, steps in TEXT_FIXES]
    for title, formats in DATE_FIXES:
        steps = with_dates(item, formats, dated=spec.type in (FieldType.TIMESTAMP, FieldType.DATE))
        if steps is not None:
            found.append((title, _with(item, tuple(steps))))
    words = spec.vocabulary or (spec.name if spec.name in VOCABULARIES else None)
    if words is not None and spec.type in (FieldType.INTEGER, FieldType.TEXT):
        step = Step(step="map", options={"vocabulary": words, "otherwise": "keep"})
        found.append((f"Read words as {words}", _with(item, (step, *item.steps))))
    return found


def _titles(ahead: Sequence[Next], mending: Sequence[tuple[str, FieldMapping]]) -> list[Next]:
    return [*ahead, *(Next(title, "", ()) for title, _ in mending)]


def _with(item: FieldMapping, steps: Sequence[Step]) -> FieldMapping:
    return item.model_copy(update={"steps": tuple(steps)})


def _offer(told: Next, way: FieldMapping, n: int, rows: Sequence[Weighed]) -> Offer:
    changed = [row for row in rows if row.values[n] != row.values[0] and not row.failed[n]]
    failing = [row for row in rows if row.failed[0]]
    mended = [row for row in failing if not row.failed[n] and row.values[n] is not None]
    # What breaks rows that were good mends nothing.
    broken = any(row.failed[n] and not row.failed[0] for row in rows)
    example = next(iter(mended or changed), None)
    before = example and (
        example.values[0] if example.values[0] is not None else example.source.get(way.source or "")
    )
    return Offer(
        title=told.title,
        why=told.why,
        steps=list(way.steps),
        changes=len(changed),
        repairs=0 if broken else len(mended),
        fails=len(failing),
        before=None if before is None else str(plain(before)),
        after=None if example is None else str(plain(example.values[n])),
    )


def _distinct(offers: Sequence[Offer]) -> list[Offer]:
    """The best ones that do not do the same."""
    found: dict[tuple[int, str | None], Offer] = {}
    for offer in offers:
        found.setdefault((offer.repairs, offer.after), offer)
    return list(found.values())[:MOST_REPAIRS]
