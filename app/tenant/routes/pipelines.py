"""Pipelines: made, changed, exported, imported, and traced field by field."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from app.tenant import defining, texts
from app.tenant.caller import Caller, Here, Who
from app.tenant.defining import version_of
from app.tenant.desk import Desk, source, targets
from app.tenant.schemas.definitions import Version
from app.tenant.schemas.pipelines import (
    FieldLineage,
    PipelineChange,
    PipelineCreate,
    PipelineLineage,
    PipelineView,
)
from engine.compile import compile_plan
from engine.lineage import lineage as traced
from engine.mapping import address
from engine.model import Contract, Pipeline
from storage import definitions, runs
from storage.definitions import Definition, NotFound

router = APIRouter(tags=["pipelines"])


@router.get("/pipelines")
def list_pipelines(desk: Here) -> list[PipelineView]:
    """Every pipeline, as it stands."""
    return [_view(desk, d) for d in definitions.all_latest(desk.store.cursor(), "pipeline")]


@router.post("/pipelines", status_code=201)
def create(body: PipelineCreate, desk: Here, who: Who) -> PipelineView:
    """Make a pipeline. Its mappings are compiled first: one that can't run is not saved."""
    id = body.id or defining.unused(desk, "pipeline", defining.slug(body.name, "pipeline"))
    pipeline = Pipeline(
        id=id,
        name=body.name,
        source=body.source,
        mappings=tuple(body.mappings),
        error_threshold=body.error_threshold,
        contract=body.contract or Contract(),
    )
    return save(desk, who, pipeline, comment=body.comment, fresh=True)


@router.get("/pipelines/{id}")
def get(id: str, desk: Here) -> PipelineView:
    """One pipeline."""
    return _view(desk, definitions.get(desk.store.cursor(), "pipeline", id))


@router.put("/pipelines/{id}")
def replace(id: str, body: PipelineChange, desk: Here, who: Who) -> PipelineView:
    """Save a new version of a pipeline."""
    before = Pipeline.model_validate(definitions.get(desk.store.cursor(), "pipeline", id).body)
    pipeline = Pipeline(
        id=id,
        name=body.name,
        source=body.source,
        mappings=tuple(body.mappings),
        error_threshold=body.error_threshold,
        contract=body.contract or before.contract,
    )
    return save(desk, who, pipeline, comment=body.comment, based_on=body.based_on)


@router.delete("/pipelines/{id}", status_code=204)
def remove(id: str, desk: Here, who: Who) -> None:
    """Delete a pipeline. Its runs, records and versions stay."""
    defining.remove(desk, who, "pipeline", id)


@router.get("/pipelines/{id}/versions")
def versions(id: str, desk: Here) -> list[Version]:
    """Every version of a pipeline, newest first: who, when and why."""
    found = definitions.versions(desk.store.cursor(), "pipeline", id)
    if not found:
        raise NotFound(f"pipeline {id}.")
    return [version_of(d) for d in found]


@router.get("/pipelines/{id}/versions/{version}")
def version(id: str, version: int, desk: Here) -> PipelineView:
    """A pipeline as it was."""
    return _view(desk, definitions.get(desk.store.cursor(), "pipeline", id, version))


@router.get("/pipelines/{id}/export", response_class=Response)
def export(
    id: str,
    desk: Here,
    format: texts.Form = "yaml",
    version: Annotated[int | None, Query()] = None,
) -> Response:
    """A pipeline as YAML to keep, or as SQL to read and edit. Either imports to the same pipeline."""
    pipeline = Pipeline.model_validate(definitions.get(desk.store.cursor(), "pipeline", id, version).body)
    return Response(texts.pipeline_text(pipeline, format, targets(desk)), media_type=f"application/{format}")


@router.post(
    "/pipelines/import",
    status_code=201,
    openapi_extra={"requestBody": {"content": {"application/sql": {"schema": {"type": "string"}}}}},
)
def import_pipeline(
    body: Annotated[str, Body(media_type="application/yaml")], desk: Here, who: Who
) -> PipelineView:
    """Import a pipeline from the YAML or SQL an export gave. One of the same id gets a new version."""
    return save(desk, who, texts.pipeline_of(body, targets(desk)), comment="Imported.")


@router.get("/pipelines/{id}/lineage")
def lineage(id: str, desk: Here) -> PipelineLineage:
    """From each target field to its source fields, steps and rules."""
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    pipeline = Pipeline.model_validate(definition.body)
    shape = source(desk, pipeline.source).shape
    names = [f.name for f in shape.fields] if shape else []
    fields = [
        FieldLineage(
            target=mapping.target, field=way.field, origin=way.origin, sources=list(way.sources),
            steps=list(way.steps), rules=list(way.rules),
        )
        for mapping in pipeline.mappings
        for way in traced(mapping).values()
    ]  # fmt: skip
    used = {name for field in fields for name in field.sources} | {m.explode for m in pipeline.mappings}
    return PipelineLineage(
        pipeline=id,
        source=pipeline.source,
        version=definition.version,
        fields=fields,
        unused=[name for name in names if name not in used],
    )


def save(
    desk: Desk,
    who: Caller,
    pipeline: Pipeline,
    *,
    comment: str = "",
    based_on: int | None = None,
    fresh: bool = False,
) -> PipelineView:
    """Save a pipeline whose source is there and whose mappings compile."""
    source(desk, pipeline.source)
    compile_plan(pipeline.mappings, targets(desk))
    saved = defining.save(
        desk, who, "pipeline", pipeline.id, pipeline, comment=comment, based_on=based_on, fresh=fresh
    )
    return _view(desk, saved)


def _view(desk: Desk, definition: Definition) -> PipelineView:
    pipeline = Pipeline.model_validate(definition.body)
    last = runs.recent(desk.store.cursor(), pipeline=pipeline.id, limit=1)
    return PipelineView(
        **version_of(definition).model_dump(),
        pipeline=pipeline,
        mapping_versions=[address(mapping) for mapping in pipeline.mappings],
        last_run=last[0].run if last else None,
    )
