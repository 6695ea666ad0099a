"""Feeds: sources that are described already, ours and the tenant's own, and an answer to describe one by."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from app.tenant import defining, journal
from app.tenant.caller import Here, Who
from app.tenant.credential_use import given, secrets_of
from app.tenant.desk import Desk
from app.tenant.schemas.feeds import AnswerView, BranchView, FeedCreate, FeedView, Kept
from app.tenant.schemas.sources import ConnectionCheck
from connectors import CONNECTORS, answer
from connectors.feeds import FEEDS
from connectors.formats.branches import branches
from engine.errors import SpireError, Stop
from engine.model import Source
from storage import definitions
from storage.audit import ActionKind
from storage.definitions import Definition, NotFound

router = APIRouter(tags=["sources"])


class NoAnswer(Stop):
    """This connector has no answer to look at."""


@router.get("/feeds")
def feeds(desk: Here) -> list[FeedView]:
    """Feeds, ready to be made sources: the tenant's own first, then the well-known ones."""
    own = [_view(d) for d in definitions.all_latest(desk.store.cursor(), "feed")]
    return own + [FeedView(**vars(feed)) for feed in FEEDS]


@router.post("/feeds", status_code=201)
def keep(body: FeedCreate, desk: Here, who: Who) -> FeedView:
    """Keep a configuration as a template, without its secrets."""
    if body.connector not in CONNECTORS:
        raise NotFound(f"connector {body.connector}.")
    secrets = secrets_of(body.connector)
    config = {name: value for name, value in body.config.items() if name not in secrets}
    id = _unused(desk, defining.slug(body.title, "feed"))
    made = Kept(
        id=id,
        title=body.title,
        summary=body.summary or CONNECTORS[body.connector].title,
        connector=body.connector,
        config=config,
    )
    return _view(defining.save(desk, who, "feed", id, made, fresh=True))


@router.delete("/feeds/{id}", status_code=204)
def remove(id: str, desk: Here, who: Who) -> None:
    """Delete a template of the tenant's own. Sources made of it stay as they are."""
    defining.remove(desk, who, "feed", id)


@router.post("/connectors/{name}/answer")
def look(name: str, body: ConnectionCheck, desk: Here, who: Who) -> AnswerView:
    """What an interface answers to a configuration, to find out where its records stand; nothing is kept."""
    if name not in CONNECTORS:
        raise NotFound(f"connector {name}.")
    if not CONNECTORS[name].answers:
        raise NoAnswer(f"{name}.", action="Try the connection instead.")
    try:
        with given(desk, Source(id=name, name=name, connector=name, config=body.config), who.user) as ready:
            found = answer(ready.source, desk.settings.url_allow, ready.bound, ready.renewing)
    except SpireError:
        journal.note(desk, who, ActionKind.RUN, "source.asked", name, outcome="failed")
        raise
    journal.note(desk, who, ActionKind.RUN, "source.asked", name)
    return AnswerView(tree=BranchView.model_validate(asdict(branches(found))))


def _unused(desk: Desk, wanted: str) -> str:
    """A name that no feed has, neither of the tenant's own nor of ours."""
    while wanted in {feed.name for feed in FEEDS}:
        wanted = f"own-{wanted}"
    return defining.unused(desk, "feed", wanted)


def _view(definition: Definition) -> FeedView:
    kept = Kept.model_validate(definition.body)
    fields = kept.model_dump(exclude={"id"})
    return FeedView(name=kept.id, own=True, **fields)
