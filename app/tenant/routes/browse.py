"""Browsing a server before a source is made of it: its tables or collections, with their columns."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.credential_use import given
from app.tenant.schemas.browse import Browsed, PlaceView
from app.tenant.schemas.sources import ConnectionCheck
from connectors import CONNECTORS, browse
from connectors.database import PLACES
from engine.errors import SpireError
from engine.model import Source
from storage.audit import ActionKind
from storage.definitions import NotFound

router = APIRouter(tags=["sources"])


@router.post("/connectors/{name}/browse")
def browse_connection(name: str, body: ConnectionCheck, desk: Here, who: Who) -> Browsed:
    """What the server holds that this account may read, to choose from instead of typing; nothing is kept."""
    if name not in CONNECTORS:
        raise NotFound(f"connector {name}.")
    asked = CONNECTORS[name].config.model_fields
    setting = next((each for each in ("table", "collection", "object") if each in asked), "")
    config = dict(body.config)
    if setting in ("table", "collection"):
        # A configuration holds only with a choice, and the choice is what is looked for.
        config = {**config, setting: config.get(setting) or "-"}
        config.pop("query", None)
    try:
        with given(desk, Source(id=name, name=name, connector=name, config=config), who.user) as ready:
            places = browse(ready.source, desk.settings.url_allow, ready.bound, ready.renewing)
    except SpireError:
        journal.note(desk, who, ActionKind.RUN, "source.browsed", name, outcome="failed")
        raise
    journal.note(desk, who, ActionKind.RUN, "source.browsed", name)
    return Browsed(
        places=[PlaceView.model_validate(asdict(place)) for place in places],
        setting=setting,
        choosing=next((each for each in ("columns", "fields") if each in asked), ""),
        whole=len(places) < PLACES,
    )
