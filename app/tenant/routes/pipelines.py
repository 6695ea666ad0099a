"""Pipelines: made, changed, exported, imported, and traced field by field."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from fastapi import APIRouter, Body, Query, Response

from app.problems import Problem
from app.tenant import defining
from app.tenant.caller import Caller, Here, Who
from app.tenant.defining import version_of
from app.tenant.desk import Desk, source, targets
from app.tenant.loading import plan_of
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
    format: Literal["yaml", "sql"] = "yaml",
    version: Annotated[int | None, Query()] = None,
) -> Response:
    """A pipeline as YAML, which imports to the same bytes, or as the SQL it compiles to."""
    pipeline = Pipeline.model_validate(definitions.get(desk.store.cursor(), "pipeline", id, version).body)
    if format == "yaml":
        return Response(to_yaml(pipeline), media_type="application/yaml")
    pieces = [
        f"-- {b.target.name}, mapping {b.version}\n{b.sql};\n" for b in plan_of(desk, pipeline).branches
    ]
    return Response("\n".join(pieces), media_type="application/sql")


@router.post("/pipelines/import", status_code=201)
def import_pipeline(
    body: Annotated[str, Body(media_type="application/yaml")], desk: Here, who: Who
) -> PipelineView:
    """Import a pipeline from the YAML an export gave. One of the same id gets a new version."""
    return save(desk, who, from_yaml(body), comment="Imported.")


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


def to_yaml(pipeline: Pipeline) -> str:
    """YAML with what was said, in the order of the model; what is left at its default is left out."""
    plain = pipeline.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> Pipeline:
    """The pipeline a YAML text holds, or a problem that says where it doesn't."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Problem(
            422,
            "This is not YAML.",
            where=f"line {mark.line + 1}" if mark else "",
            action="Correct it there.",
        ) from None
    return Pipeline.model_validate(plain)


def _view(desk: Desk, definition: Definition) -> PipelineView:
    pipeline = Pipeline.model_validate(definition.body)
    last = runs.recent(desk.store.cursor(), pipeline=pipeline.id, limit=1)
    return PipelineView(
        **version_of(definition).model_dump(),
        pipeline=pipeline,
        mapping_versions=[address(mapping) for mapping in pipeline.mappings],
        last_run=last[0].run if last else None,
    )
