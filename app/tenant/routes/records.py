"""Records: browsed by facet and time, looked at one by one with their past and relations, traced to their line."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.problems import Problem
from app.tenant import journal, tracing
from app.tenant.asking import Asked
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk, pipeline, source, targets
from app.tenant.exports.objects import embedded
from app.tenant.loading import shape_of
from app.tenant.reading import extent
from app.tenant.routes.targets import model_of
from app.tenant.schemas.records import (
    About,
    Bar,
    FacetPage,
    FacetView,
    GoneView,
    Lineage,
    MarkingView,
    RecordDetail,
    RecordPage,
    RecordVersion,
    RelationPage,
    TargetCount,
    TimelineView,
    TranslationView,
)
from app.tenant.values import plain
from engine.model import FieldType, TargetModel
from storage import about, definitions, explorer, facets, glance, presence, waiting
from storage import relations as relating
from storage.audit import ActionKind
from storage.definitions import NotFound

router = APIRouter(tags=["records"])


@router.get("/records")
def counts(desk: Here) -> list[TargetCount]:
    """How many records there are of each target model that has any."""
    known = targets(desk)
    return [
        TargetCount(target=name, title=known[name].title if name in known else name, records=records)
        for name, records in glance.counts(desk.store.cursor()).items()
        if records
    ]


@router.get("/records/{target}")
def browse(
    target: str,
    desk: Here,
    who: Who,
    asked: Asked,
    order: str = "",
    descending: bool = False,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RecordPage:
    """The latest records of a target model, filtered and paged. `_id` names each."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "records.read", target)
    page = explorer.browse(
        desk.store.cursor(), model, asked, order=order, descending=descending, offset=offset, limit=limit
    )
    rows = [_row(model, row) for row in page.rows]
    whole = len(rows) == page.total
    return RecordPage(
        columns=["_id", *(f.name for f in model.fields), "_run", "_line"],
        rows=rows,
        total=page.total,
        offset=offset,
        extent=extent(len(rows), whole, True, page.total),
    )


@router.get("/records/{target}/facets")
def overview(
    target: str,
    desk: Here,
    who: Who,
    asked: Asked,
    time: Annotated[str, Query(description="The field to draw the time line by.")] = "",
) -> FacetPage:
    """How the records under a filter spread over the values of their fields, and over time.

    A field's counts leave out what is asked of the field itself.
    """
    model = model_of(desk, target)
    if time and time not in (f.name for f in model.fields):
        raise NotFound(f"{target} has no field {time}.")
    journal.note(desk, who, ActionKind.READ, "records.read", target)
    cursor = desk.store.cursor()
    titles = {d.id: str(d.body.get("name") or d.id) for d in definitions.all_latest(cursor, "pipeline")}
    found = facets.overview(cursor, model, asked, time=time, titles=titles)
    return FacetPage(
        total=found.total,
        extent=extent(found.sample or found.total, found.sample is None, True, found.total),
        facets=[FacetView.model_validate(facet) for facet in found.facets],
        timeline=_timeline(found.timeline),
        sample=found.sample,
    )


def _timeline(line: facets.Timeline | None) -> TimelineView | None:
    if line is None:
        return None
    bars = [Bar(start=start, count=count) for start, count in line.bars]
    return TimelineView.model_validate({**vars(line), "bars": bars})


@router.get("/records/{target}/{key}")
def record(target: str, key: str, desk: Here, who: Who, raw: bool = True) -> RecordDetail:
    """One record with every version and where each came from, down to the raw line."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "record.read", f"{target}/{key}")
    rows = explorer.versions_of(desk.store.cursor(), model, key)
    versions = [
        RecordVersion(
            values=_values(model, row),
            latest=row["_latest"],
            origin=tracing.origin_of(desk, row, raw=raw),
            altered=altered,
        )
        for row, altered in zip(rows, about.altered(rows, model.version), strict=True)
    ]
    return RecordDetail(
        target=target,
        key=key,
        versions=versions,
        defanged=_defanged(desk, model, rows[0]),
        about=_about(desk, target, int(key, 16), rows[0], versions[0].values),
    )


def _about(desk: Desk, target: str, key: int, row: dict[str, Any], values: dict[str, Any]) -> About:
    cursor = desk.store.cursor()
    whole = {**about.whole_of(row), **{k: v for k, v in values.items() if v is not None}}
    return About(
        markings=[MarkingView.model_validate(each) for each in about.markings(cursor, row)],
        translations=[
            TranslationView(lang=each.lang, fields=about.translated(whole, each.contents), by=each.by)
            for each in about.translations(cursor, row)
        ],
        gone_from=[GoneView.model_validate(each) for each in presence.gone_from(cursor, target, key)],
        waits_for=waiting.of_record(cursor, target, key),
    )


@router.get("/records/{target}/{key}/relations")
def relations(
    target: str, key: str, desk: Here, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 60
) -> RelationPage:
    """What a record has to do with others: relationships, references either way, MISP's, the same value."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "record.read", f"{target}/{key}")
    cursor = desk.store.cursor()
    row = explorer.versions_of(cursor, model, key)[0]
    return RelationPage.model_validate(relating.relations(cursor, targets(desk), model, row, limit=limit))


@router.get("/lineage/{target}/{key}")
def lineage(
    target: str,
    key: str,
    desk: Here,
    who: Who,
    raw: Annotated[bool, Query(description="Fetch the line and its values from the landing zone.")] = True,
) -> Lineage:
    """How the latest version of a record was made: its line, and each field's sources and steps."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "lineage.read", f"{target}/{key}")
    row = explorer.versions_of(desk.store.cursor(), model, key)[0]
    origin = tracing.origin_of(desk, row, raw=raw)
    if origin is None:
        raise Problem(
            404, "The run that made this record is not in the books any more.", where=f"{target}/{key}"
        )
    made_by = pipeline(desk, origin.pipeline, origin.pipeline_version)
    mapping = tracing.mapping_of(made_by, origin.mapping)
    read = source(desk, made_by.source)
    fields = []
    if mapping is not None:
        values = tracing.values_at(desk, row, shape_of(read)) if raw else {}
        fields = tracing.fields_origin(mapping, _values(model, row), values)
    return Lineage(target=target, key=key, origin=origin, fields=fields)


def _defanged(desk: Desk, model: TargetModel, row: dict[str, Any]) -> dict[str, str]:
    names = [
        f.name for f in model.fields if (f.kind or f.name == "value") and isinstance(row.get(f.name), str)
    ]
    shown = explorer.defanged(desk.store.cursor(), [row[name] for name in names])
    return dict(zip(names, shown, strict=True))


def _values(model: TargetModel, row: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for field in model.fields:
        value = row.get(field.name)
        is_json = field.type is FieldType.JSON and isinstance(value, str)
        found[field.name] = embedded(value) if is_json and value is not None else plain(value)
    return found


def _row(model: TargetModel, row: dict[str, Any]) -> dict[str, Any]:
    return {"_id": row["_id"], **_values(model, row), "_run": row["_run"], "_line": row["_line"]}
