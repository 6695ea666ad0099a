"""Templates: mappings kept under a name, and laid on another source."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant import defining, journal, templating
from app.tenant.caller import Here, Who
from app.tenant.defining import version_of
from app.tenant.desk import Desk, source, targets
from app.tenant.schemas.definitions import Version
from app.tenant.schemas.templates import (
    Applied,
    Template,
    TemplateApply,
    TemplateChange,
    TemplateCreate,
    TemplateView,
)
from engine.compile import compile_plan
from engine.templates import Beginning, beginnings
from storage import definitions
from storage.audit import ActionKind
from storage.definitions import Definition, NotFound

router = APIRouter(tags=["templates"])


@router.get("/templates")
def list_templates(desk: Here) -> list[TemplateView]:
    """Every template, as it stands: the tenant's own first, then those that come with the product."""
    own = [_view(d) for d in definitions.all_latest(desk.store.cursor(), "template")]
    taken = {view.template.id for view in own}
    return own + [_ours(each, desk) for each in beginnings() if each.id not in taken]


@router.post("/templates", status_code=201)
def create(body: TemplateCreate, desk: Here, who: Who) -> TemplateView:
    """Keep mappings as a template. They are compiled first: what can't run is not kept."""
    id = body.id or defining.unused(desk, "template", defining.slug(body.name, "template"))
    made = Template(id=id, name=body.name, mappings=tuple(body.mappings))
    compile_plan(made.mappings, targets(desk))
    return _view(defining.save(desk, who, "template", id, made, comment=body.comment, fresh=True))


@router.get("/templates/{id}")
def get(id: str, desk: Here) -> TemplateView:
    """One template."""
    return _found(desk, id)


@router.put("/templates/{id}")
def replace(id: str, body: TemplateChange, desk: Here, who: Who) -> TemplateView:
    """Save a new version of a template. What was begun with it stays as it is."""
    definitions.get(desk.store.cursor(), "template", id)
    made = Template(id=id, name=body.name, mappings=tuple(body.mappings))
    compile_plan(made.mappings, targets(desk))
    return _view(defining.save(desk, who, "template", id, made, comment=body.comment, based_on=body.based_on))


@router.delete("/templates/{id}", status_code=204)
def remove(id: str, desk: Here, who: Who) -> None:
    """Delete a template. What was begun with it stays as it is."""
    defining.remove(desk, who, "template", id)


@router.get("/templates/{id}/versions")
def versions(id: str, desk: Here) -> list[Version]:
    """Every version of a template, newest first: who, when and why."""
    found = definitions.versions(desk.store.cursor(), "template", id)
    if not found:
        raise NotFound(f"template {id}.")
    return [version_of(d) for d in found]


@router.post("/templates/{id}/apply")
def apply(id: str, body: TemplateApply, desk: Here, who: Who) -> Applied:
    """What a template makes of a source, and what it lacks there. Nothing is saved."""
    journal.note(desk, who, ActionKind.READ, "template.applied", id)
    template = _found(desk, id).template
    shape = source(desk, body.source).shape
    return templating.applied(template.mappings, [f.name for f in shape.fields] if shape else [])


def _found(desk: Desk, id: str) -> TemplateView:
    try:
        return _view(definitions.get(desk.store.cursor(), "template", id))
    except NotFound:
        ours = next((each for each in beginnings() if each.id == id), None)
        if ours is None:
            raise
        return _ours(ours, desk)


def _ours(beginning: Beginning, desk: Desk) -> TemplateView:
    """A template that comes with the product: it has one version, and no author here."""
    template = Template(id=beginning.id, name=beginning.name, mappings=beginning.mappings)
    address = definitions.address(defining.body_of(template))
    return TemplateView(version=0, address=address, author="", at=desk.now(), comment="", template=template)


def _view(definition: Definition) -> TemplateView:
    return TemplateView(
        **version_of(definition).model_dump(), template=Template.model_validate(definition.body)
    )
