"""Target models: the built-in ones, and those this tenant defines."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant import defining, journal, modelling
from app.tenant.caller import Here, Who
from app.tenant.defining import version_of
from app.tenant.desk import Desk, source, targets
from app.tenant.schemas.catalogue import ProposedModel, ProposeModel, TargetView
from engine.errors import Stop
from engine.model import TargetModel
from engine.targets import TARGETS
from storage import definitions, glance
from storage.audit import ActionKind
from storage.definitions import Definition, NotFound

router = APIRouter(tags=["targets"])


class BuiltIn(Stop):
    """This target model is built in and stays as it is."""


class InUse(Stop):
    """Something still uses this."""


@router.get("/targets")
def list_targets(desk: Here) -> list[TargetView]:
    """Every target model, with how many records of it there are."""
    own = {d.id: d for d in definitions.all_latest(desk.store.cursor(), "target")}
    counts = glance.counts(desk.store.cursor())
    return [_view(model, counts.get(name, 0), own.get(name)) for name, model in targets(desk).items()]


@router.get("/targets/{name}")
def target(name: str, desk: Here) -> TargetView:
    """One target model."""
    own = {d.id: d for d in definitions.all_latest(desk.store.cursor(), "target")}
    return _view(model_of(desk, name), glance.counts(desk.store.cursor()).get(name, 0), own.get(name))


@router.post("/targets", status_code=201)
def create(body: TargetModel, desk: Here, who: Who) -> TargetView:
    """Define a target model of your own."""
    if body.name in TARGETS:
        raise BuiltIn(body.name, action="Choose another name.")
    saved = defining.save(
        desk, who, "target", body.name, body.model_copy(update={"builtin": False}), fresh=True
    )
    return _view(TargetModel.model_validate(saved.body), 0, saved)


@router.post("/targets/propose")
def propose(body: ProposeModel, desk: Here, who: Who) -> ProposedModel:
    """A target model made from a source, to be edited and then defined. Nothing is saved."""
    journal.note(desk, who, ActionKind.READ, "target.proposed", body.source)
    return modelling.propose(desk, source(desk, body.source))


@router.put("/targets/{name}")
def replace(name: str, body: TargetModel, desk: Here, who: Who) -> TargetView:
    """Change a target model of your own. Fields may be added; stored ones keep their type."""
    if name in TARGETS:
        raise BuiltIn(name, action="Define one of your own.")
    before = model_of(desk, name)
    if body.name != name:
        raise InUse(name, action="A target model keeps its name; define a new one.")
    types = {f.name: f.type for f in before.fields}
    for field in body.fields:
        if types.get(field.name, field.type) != field.type:
            raise InUse(
                f"{name}.{field.name} is stored as {types[field.name]}.", action="Add a new field instead."
            )
    saved = defining.save(desk, who, "target", name, body.model_copy(update={"builtin": False}))
    return _view(
        TargetModel.model_validate(saved.body), glance.counts(desk.store.cursor()).get(name, 0), saved
    )


@router.delete("/targets/{name}", status_code=204)
def remove(name: str, desk: Here, who: Who) -> None:
    """Delete a target model of your own that no pipeline uses. Its records stay."""
    if name in TARGETS:
        raise BuiltIn(name)
    for pipeline in definitions.all_latest(desk.store.cursor(), "pipeline"):
        if any(m["target"] == name for m in pipeline.body["mappings"]):
            raise InUse(f"Pipeline {pipeline.id} maps onto {name}.", action="Change or delete it first.")
    defining.remove(desk, who, "target", name)


def model_of(desk: Desk, name: str) -> TargetModel:
    """The target model of that name; NotFound where there is none."""
    model = targets(desk).get(name)
    if model is None:
        raise NotFound(f"target {name}.")
    return model


def _view(model: TargetModel, records: int, definition: Definition | None) -> TargetView:
    return TargetView(target=model, records=records, version=version_of(definition) if definition else None)
