"""Records: browsed, looked at one by one with their past, traced to their line, and asked in SQL."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.problems import Problem
from app.tenant import journal, tracing
from app.tenant.caller import Here, Who
from app.tenant.desk import pipeline, source, targets
from app.tenant.exports.objects import embedded
from app.tenant.loading import shape_of
from app.tenant.reading import extent
from app.tenant.routes.targets import model_of
from app.tenant.schemas.records import (
    Lineage,
    QueryRequest,
    QueryResult,
    RecordDetail,
    RecordPage,
    RecordVersion,
    TargetCount,
)
from app.tenant.values import plain
from engine.model import FieldType, TargetModel
from storage import explorer, glance
from storage.audit import ActionKind

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
    search: Annotated[str, Query(max_length=500, description="Text in any field.")] = "",
    where: Annotated[list[str], Query(description="`field=value`; may be given several times.")] = [],  # noqa: B006
    run: int | None = None,
    order: str = "",
    descending: bool = False,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RecordPage:
    """The latest records of a target model, filtered and paged. `_id` names each."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "records.read", target)
    page = explorer.browse(
        desk.store.cursor(), model, search=search, equal=_equalities(where), run=run, order=order,
        descending=descending, offset=offset, limit=limit,
    )  # fmt: skip
    rows = [_row(model, row) for row in page.rows]
    whole = len(rows) == page.total
    return RecordPage(
        columns=["_id", *(f.name for f in model.fields), "_run", "_line"],
        rows=rows,
        total=page.total,
        offset=offset,
        extent=extent(len(rows), whole, True, page.total),
    )


@router.get("/records/{target}/{key}")
def record(target: str, key: str, desk: Here, who: Who, raw: bool = True) -> RecordDetail:
    """One record with every version and where each came from, down to the raw line."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "record.read", f"{target}/{key}")
    versions = [
        RecordVersion(
            values=_values(model, row), latest=row["_latest"], origin=tracing.origin_of(desk, row, raw=raw)
        )
        for row in explorer.versions_of(desk.store.cursor(), model, key)
    ]
    return RecordDetail(target=target, key=key, versions=versions)


@router.get("/lineage/{target}/{key}")
def lineage(target: str, key: str, desk: Here, who: Who) -> Lineage:
    """How the latest version of a record was made: its line, and each field's sources and steps."""
    model = model_of(desk, target)
    journal.note(desk, who, ActionKind.READ, "lineage.read", f"{target}/{key}")
    row = explorer.versions_of(desk.store.cursor(), model, key)[0]
    origin = tracing.origin_of(desk, row, raw=True)
    if origin is None:
        raise Problem(
            404, "The run that made this record is not in the books any more.", where=f"{target}/{key}"
        )
    made_by = pipeline(desk, origin.pipeline, origin.pipeline_version)
    mapping = tracing.mapping_of(made_by, origin.mapping)
    read = source(desk, made_by.source)
    fields = []
    if mapping is not None:
        values = tracing.values_at(desk, row, shape_of(read))
        fields = tracing.fields_origin(mapping, _values(model, row), values)
    return Lineage(target=target, key=key, origin=origin, fields=fields)


@router.post("/query")
def query(body: QueryRequest, desk: Here, who: Who) -> QueryResult:
    """Run one SELECT over the tenant's records and books. It can't change anything, nor see anything else."""
    journal.note(desk, who, ActionKind.QUERY, "records.queried", after={"sql": body.sql})
    begun = time.perf_counter()
    table = explorer.query(desk.store, body.sql, limit=body.limit, seconds=body.timeout)
    return QueryResult(
        columns=list(table.columns),
        types=list(table.types),
        rows=[[plain(value) for value in row] for row in table.rows],
        truncated=table.more,
        seconds=round(time.perf_counter() - begun, 4),
    )


def _values(model: TargetModel, row: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for field in model.fields:
        value = row.get(field.name)
        is_json = field.type is FieldType.JSON and isinstance(value, str)
        found[field.name] = embedded(value) if is_json and value is not None else plain(value)
    return found


def _row(model: TargetModel, row: dict[str, Any]) -> dict[str, Any]:
    return {"_id": row["_id"], **_values(model, row), "_run": row["_run"], "_line": row["_line"]}


def _equalities(where: list[str]) -> dict[str, str]:
    pairs = {}
    for each in where:
        name, sign, value = each.partition("=")
        if not sign:
            raise Problem(422, "A filter has the form field=value.", where=each)
        pairs[name] = value
    return pairs
