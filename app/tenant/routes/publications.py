"""Publications: made, changed, and delivered by hand or by a schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from app.problems import Problem
from app.tenant import credential_keeping, defining, journal, publishing
from app.tenant.caller import Caller, Here, Who
from app.tenant.credential_use import secrets_of
from app.tenant.defining import version_of
from app.tenant.desk import Desk
from app.tenant.schemas.publications import (
    DeliveryDetail,
    DeliveryStart,
    DeliveryView,
    PublicationChange,
    PublicationCreate,
    PublicationView,
    RefusedView,
)
from engine.publication import Publication
from storage import definitions, publications
from storage.audit import ActionKind
from storage.definitions import Definition, NotFound
from storage.masking import MASK
from storage.publications import Delivery

router = APIRouter(tags=["publications"])

REFUSALS = 1_000
# A schedule names it with a word before it, and a number may come behind.
LONGEST = 44


@router.get("/publications")
def list_publications(desk: Here) -> list[PublicationView]:
    """Every publication, as it stands."""
    return [_view(desk, d) for d in definitions.all_latest(desk.store.cursor(), "publication")]


@router.post("/publications", status_code=201)
def create(body: PublicationCreate, desk: Here, who: Who) -> PublicationView:
    """Make a publication. Nothing goes out before a delivery is started."""
    id = body.id or defining.unused(desk, "publication", defining.slug(body.name, "publication")[:LONGEST])
    return _saved(desk, who, _made(id, body), body, fresh=True)


@router.get("/publications/{id}")
def get(id: str, desk: Here) -> PublicationView:
    """One publication."""
    return _view(desk, definitions.get(desk.store.cursor(), "publication", id))


@router.put("/publications/{id}")
def replace(id: str, body: PublicationChange, desk: Here, who: Who) -> PublicationView:
    """Change a publication. Where it goes elsewhere, or other records go, its next delivery begins from the start."""
    before = publishing.publication(desk, id)
    masked = [name for name in secrets_of(before.connector) if body.config.get(name) == MASK]
    kept = {name: before.config.get(name, "") for name in masked}
    changed = _made(id, body).model_copy(update={"config": {**body.config, **kept}})
    return _saved(desk, who, changed, body, before)


@router.delete("/publications/{id}", status_code=204)
def remove(id: str, desk: Here, who: Who) -> None:
    """Delete a publication. What it delivered stays where it is."""
    defining.remove(desk, who, "publication", id)


@router.get("/publications/{id}/deliveries")
def deliveries(id: str, desk: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[DeliveryView]:
    """What became of its deliveries, newest first."""
    cursor = desk.store.cursor()
    definitions.get(cursor, "publication", id)
    return [_delivery(one) for one in publications.recent(cursor, id, limit)]


@router.post("/publications/{id}/deliveries", status_code=202)
def deliver(id: str, desk: Here, who: Who, body: DeliveryStart | None = None) -> DeliveryView:
    """Deliver what is new since the last delivery, in the background."""
    anew = body is not None and body.anew
    number = publishing.start(desk, id, by=who.user, anew=anew)
    journal.note(
        desk, who, ActionKind.EXPORT, "publication.delivered", id, after={"delivery": number, "anew": anew}
    )
    return _delivery(publications.get(desk.store.cursor(), id, number))


@router.get("/publications/{id}/deliveries/{delivery}")
def delivery(
    id: str,
    delivery: int,
    desk: Here,
    wait: Annotated[float, Query(ge=0, le=60, description="Wait so many seconds for its end.")] = 0,
) -> DeliveryDetail:
    """One delivery, and which records were refused and why."""
    publishing.wait(desk, delivery, wait)
    cursor = desk.store.cursor()
    found = _delivery(publications.get(cursor, id, delivery))
    refused = [RefusedView(**asdict(one)) for one in publications.refusals(cursor, delivery, REFUSALS)]
    return DeliveryDetail(**found.model_dump(), refusals=refused)


@router.post("/publications/{id}/deliveries/{delivery}/cancel", status_code=202)
def cancel(id: str, delivery: int, desk: Here, who: Who) -> DeliveryView:
    """Stop a delivery after the part it is at. What the other side has acknowledged stays there."""
    found = publications.get(desk.store.cursor(), id, delivery)
    if not publishing.cancel(desk, delivery):
        raise Problem(409, "This delivery is not under way.", where=str(delivery))
    journal.note(desk, who, ActionKind.RUN, "delivery.cancelled", f"{id}/{delivery}")
    return _delivery(found)


def _made(id: str, body: PublicationChange) -> Publication:
    return Publication(
        id=id, name=body.name, connector=body.connector, config=body.config, target=body.target,
        search=body.search.strip(), match=body.match, where=tuple(body.where),
        gone=body.gone,
    )  # fmt: skip


def _saved(
    desk: Desk,
    who: Caller,
    made: Publication,
    body: PublicationChange,
    before: Publication | None = None,
    *,
    fresh: bool = False,
) -> PublicationView:
    publishing.holds(desk, made)
    former = publishing.sink_of(before) if before else None
    sink, keep = credential_keeping.take_in(desk, who, publishing.sink_of(made), former)
    saved = defining.save(
        desk, who, "publication", made.id, made.model_copy(update={"config": sink.config}), comment=body.comment,
        based_on=body.based_on, fresh=fresh, also=keep,
    )  # fmt: skip
    credential_keeping.post_notice(desk)
    return _view(desk, saved)


def _view(desk: Desk, definition: Definition) -> PublicationView:
    found = Publication.model_validate(definition.body)
    cursor = desk.store.cursor()
    last = publications.recent(cursor, found.id, 1)
    hidden = {
        name: MASK
        for name in secrets_of(found.connector)
        if isinstance(found.config.get(name), str) and found.config[name]
    }
    try:
        model = publishing.model_of(desk, found)
        waiting, leaving = publishing.due(desk, found, model)
    except NotFound:
        # Its target model is gone: it can be looked at and deleted, and its deliveries say what is wrong.
        waiting = leaving = 0
    return PublicationView(
        **version_of(definition).model_dump(),
        publication=found.model_copy(update={"config": {**found.config, **hidden}}),
        last=_delivery(last[0]) if last else None,
        waiting=waiting,
        leaving=leaving,
    )


def _delivery(found: Delivery) -> DeliveryView:
    return DeliveryView.model_validate(
        {name: value for name, value in asdict(found).items() if name in DeliveryView.model_fields}
    )
