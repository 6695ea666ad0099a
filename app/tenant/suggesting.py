"""Suggesting: mappings for a source, from its profile and from what this tenant has accepted before."""

from __future__ import annotations

from collections import Counter

from app.tenant.desk import Desk, targets
from app.tenant.loading import shape_of
from app.tenant.reading import SAMPLE_ROWS, profiled
from app.tenant.schemas.mappings import Suggestions
from engine.model import Pipeline, Source
from engine.suggest import Accepted, suggest, suggest_target
from storage import definitions
from storage.definitions import NotFound

OFFERED = 5


def suggestions(desk: Desk, source: Source, target: str | None = None) -> Suggestions:
    """Mappings of a source onto one target model, or onto the five that suit it best.

    A format that describes itself brings its own mappings, ready to run.
    """
    shape = shape_of(source)
    models = targets(desk)
    if target is not None and target not in models:
        raise NotFound(f"target {target}.")
    if shape.mappings and target is None:
        return Suggestions(
            source=source.id, ready=list(shape.mappings), suggestions=[], extent="the format itself"
        )
    found = profiled(desk, source, SAMPLE_ROWS)
    history = accepted(desk)
    if target is not None:
        offered = [suggest(found.profile, models[target], history)]
    else:
        offered = suggest_target(found.profile, models.values(), history)[:OFFERED]
    return Suggestions(source=source.id, ready=list(shape.mappings), suggestions=offered, extent=found.extent)


def accepted(desk: Desk) -> list[Accepted]:
    """The pairs of source and target field that stand in this tenant's pipelines, and how often."""
    pairs: Counter[tuple[str, str, str]] = Counter()
    for definition in definitions.all_latest(desk.store.cursor(), "pipeline"):
        pipeline = Pipeline.model_validate(definition.body)
        for mapping in pipeline.mappings:
            for field in mapping.fields:
                if field.source is not None and not field.source.startswith("_"):
                    pairs[field.source, mapping.target, field.field] += 1
    return [Accepted(header=h, target=t, field=f, times=n) for (h, t, f), n in pairs.items()]
