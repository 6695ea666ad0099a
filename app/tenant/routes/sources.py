"""Sources: made from a payload or a connector, looked at, and read differently when a person says so."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from app.problems import Problem
from app.tenant import credential_keeping, defining, journal, reading
from app.tenant.answering import answered
from app.tenant.caller import Caller, Here, Who
from app.tenant.credential_use import secrets_of, tried, typed
from app.tenant.defining import slug, unused, version_of
from app.tenant.desk import Desk, source
from app.tenant.receiving import info
from app.tenant.routes.targets import InUse
from app.tenant.schemas.payloads import PayloadInfo
from app.tenant.schemas.sources import (
    CheckResult,
    CheckStage,
    ConnectionCheck,
    RowQuery,
    SourceChange,
    SourceCreate,
    SourceJoin,
    SourceOutline,
    SourcePreview,
    SourceProfile,
    SourceRows,
    SourceView,
)
from connectors import CONNECTORS
from engine.errors import SpireError, Stop
from engine.model import Source
from engine.ports import Payload, Segment
from storage import definitions
from storage.audit import ActionKind
from storage.definitions import Definition, NotFound
from storage.masking import MASK

router = APIRouter(tags=["sources"])


class NotAlike(Stop):
    """These sources can't be read as one."""


@router.get("/sources")
def list_sources(desk: Here) -> list[SourceView]:
    """Every source, as it stands."""
    return [_view(desk, d) for d in definitions.all_latest(desk.store.cursor(), "source")]


@router.post("/sources", status_code=201)
def create(body: SourceCreate, desk: Here, who: Who) -> SourceView:
    """Make a source and find its shape by reading its first payload."""
    return make(desk, who, body)


@router.post("/sources/join", status_code=201)
def join(body: SourceJoin, desk: Here, who: Who) -> SourceView:
    """Make one source of several uploaded ones with the same fields, in their place; nothing may use them yet."""
    parts = [source(desk, id) for id in dict.fromkeys(body.sources)]
    first = parts[0]
    for part in parts:
        if part.connector != "upload":
            raise NotAlike(f"{part.name} is not a file.", action="Only uploaded files become one source.")
        if part.shape is None or first.shape is None or not reading.alike(first.shape, part.shape):
            raise NotAlike(f"{part.name} and {first.name}.", action="Keep them as sources of their own.")
        _unused_by_pipelines(desk, part.id)
    uploads = [u for part in parts for u in (part.config["upload"], *part.config.get("also", ()))]
    config = {**first.config, "also": uploads[1:]}
    joined = first.model_copy(update={"name": body.name or first.name, "config": config})
    saved = defining.save(desk, who, "source", first.id, joined, comment="Joined from several files.")
    for part in parts[1:]:
        defining.remove(desk, who, "source", part.id)
    return _view(desk, saved)


@router.get("/sources/{id}")
def get(id: str, desk: Here) -> SourceView:
    """One source."""
    return _view(desk, definitions.get(desk.store.cursor(), "source", id))


@router.patch("/sources/{id}")
def change(id: str, body: SourceChange, desk: Here, who: Who) -> SourceView:
    """Read the source another way: another payload, format, dialect or options; its fields follow."""
    before = source(desk, id)
    config = _kept_secrets(before, body.config) if body.config is not None else before.config
    if body.payload is not None:
        config = {"upload": body.payload}
    changed = before.model_copy(update={"name": body.name or before.name, "config": config})
    other = body.payload is not None or body.config is not None
    segment = reading.payload_of(desk, changed, fresh=other, by=who.user)
    shape = before.shape
    if shape is None or other or body.format is not None:
        shape = reading.find_shape(desk, segment, body.format, changed)
    if body.dialect is not None or body.options is not None:
        shape = reading.change_shape(desk, segment, shape, body.dialect, body.options)
    changed, keep = credential_keeping.take_in(desk, who, changed, before)
    saved = defining.save(
        desk,
        who,
        "source",
        id,
        changed.model_copy(update={"shape": shape}),
        based_on=body.based_on,
        also=keep,
    )
    credential_keeping.post_notice(desk)
    return _view(desk, saved)


@router.delete("/sources/{id}", status_code=204)
def remove(id: str, desk: Here, who: Who) -> None:
    """Delete a source that no pipeline uses. Its payloads stay: runs and records point at them."""
    _unused_by_pipelines(desk, id)
    defining.remove(desk, who, "source", id)


def _unused_by_pipelines(desk: Desk, id: str) -> None:
    for pipeline in definitions.all_latest(desk.store.cursor(), "pipeline"):
        if pipeline.body["source"] == id:
            raise InUse(f"Pipeline {pipeline.id} reads {id}.", action="Delete the pipeline first.")


@router.get("/sources/{id}/preview", response_model=SourcePreview)
def preview(id: str, desk: Here, who: Who, limit: Annotated[int, Query(ge=1, le=5000)] = 100) -> Response:
    """The first rows with their line numbers, what could not be read, and how the lines add up."""
    journal.note(desk, who, ActionKind.READ, "source.previewed", id)
    read = source(desk, id)
    return answered(desk, "first-rows", read, str(limit), lambda: reading.preview(desk, read, limit))


@router.get("/sources/{id}/sample", response_model=SourcePreview)
def sample(id: str, desk: Here, who: Who, limit: Annotated[int, Query(ge=1, le=5000)] = 100) -> Response:
    """Rows worth seeing: rare values, the longest, the empty, and likely rejects before ordinary ones."""
    journal.note(desk, who, ActionKind.READ, "source.sampled", id)
    read = source(desk, id)
    return answered(desk, "sample", read, str(limit), lambda: reading.sampled(desk, read, limit))


@router.get("/sources/{id}/profile", response_model=SourceProfile)
def profile(
    id: str,
    desk: Here,
    who: Who,
    whole: Annotated[bool, Query(description="All rows, however many.")] = False,
) -> Response:
    """What each column holds: type with evidence, nulls, distinct, top values, masks, outliers."""
    journal.note(desk, who, ActionKind.READ, "source.profiled", id)
    read, most = source(desk, id), reading.ALL if whole else reading.SAMPLE_ROWS
    return answered(desk, "profile", read, str(most), lambda: reading.profiled(desk, read, most))


@router.post("/sources/{id}/rows")
def rows(id: str, body: RowQuery, desk: Here, who: Who) -> SourceRows:
    """The rows behind figures of the profile: of a value, a mask, the empty ones, the outliers."""
    journal.note(desk, who, ActionKind.READ, "source.read", id)
    return reading.rows(desk, source(desk, id), body)


@router.get("/sources/{id}/outline")
def outline(id: str, desk: Here, who: Who) -> SourceOutline:
    """What the payload holds to choose from: sheets, places of records, files of an archive, STIX types."""
    journal.note(desk, who, ActionKind.READ, "source.outlined", id)
    return reading.outlined(desk, source(desk, id))


@router.post("/connectors/{name}/check")
def check_connection(name: str, body: ConnectionCheck, desk: Here, who: Who) -> CheckResult:
    """Try a configuration stage by stage before a source is made of it."""
    if name not in CONNECTORS:
        raise NotFound(f"connector {name}.")
    return _tried(desk, who, Source(id=name, name=name, connector=name, config=body.config))


@router.post("/sources/{id}/check")
def check_source(id: str, desk: Here, who: Who, body: ConnectionCheck | None = None) -> CheckResult:
    """Try the connection stage by stage, as it is or as it would be with another configuration; nothing is kept."""
    found = source(desk, id)
    if body is not None:
        found = found.model_copy(update={"config": _kept_secrets(found, body.config)})
    return _tried(desk, who, found)


def _tried(desk: Desk, who: Caller, found: Source) -> CheckResult:
    stages = [CheckStage.model_validate(stage) for stage in tried(desk, found, by=who.user)]
    ok = all(stage.ok for stage in stages)
    journal.note(desk, who, ActionKind.RUN, "source.checked", found.id, outcome="done" if ok else "failed")
    return CheckResult(ok=ok, stages=stages)


def make(desk: Desk, who: Caller, body: SourceCreate) -> SourceView:
    """A new source with its shape."""
    name, connector, config = body.name, body.connector, dict(body.config)
    if body.text is not None:
        upload = desk.landing.begin(name or "pasted text", media_type="text/plain")
        desk.landing.append(upload, 0, body.text.encode())
        connector, config = "upload", {"upload": desk.landing.finish(upload).run}
    elif body.payload is not None:
        connector, config = "upload", {"upload": body.payload}
    if connector == "upload" and "upload" not in config:
        raise Problem(422, "A source needs a payload, a text, or a connector with its configuration.")
    if connector != "upload" and connector not in CONNECTORS:
        raise Problem(
            422,
            "There is no such connector.",
            where=connector,
            action=f"Connectors: {', '.join(CONNECTORS)}.",
        )
    # Two at once must not look at each other's payload.
    draft = f"draft-{secrets.token_hex(6)}"
    drafted = Source(id=draft, name=name or connector, connector=connector, config=config)
    segment = reading.payload_of(desk, drafted, fresh=connector != "upload", by=who.user)
    shape = reading.find_shape(desk, segment, body.format, drafted)
    wanted = slug(name or segment.name, connector)
    while True:
        id = body.id or unused(desk, "source", wanted)
        made = Source(id=id, name=name or segment.name, connector=connector, config=config, shape=shape)
        made, keep = credential_keeping.take_in(desk, who, made)
        try:
            saved = defining.save(desk, who, "source", id, made, fresh=True, also=keep)
            break
        except defining.NameTaken:
            # Somebody made one of this name in the same moment; only an id that was asked for is refused.
            if body.id:
                raise
    if connector != "upload":
        _settle(desk, segment, id)
    return _view(desk, saved)


def _settle(desk: Desk, segment: Segment, id: str) -> None:
    """Move the first look from the draft to the source it became."""
    with desk.landing.open(segment) as stream:
        desk.landing.delete(f"look-{id}")
        desk.landing.seal(Payload(segment.name, stream), f"look-{id}", 1)
    desk.landing.delete(segment.run)


def _kept_secrets(before: Source, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with secrets that came back masked as they were."""
    masked = [name for name in secrets_of(before.connector) if config.get(name) == MASK]
    return {**config, **{name: before.config.get(name, "") for name in masked}}


def _view(desk: Desk, definition: Definition) -> SourceView:
    found = Source.model_validate(definition.body)
    payload = _payload(desk, found)
    hidden = dict.fromkeys(typed(found.connector, found.config), MASK)
    shown = found.model_copy(update={"config": {**found.config, **hidden}})
    return SourceView(**version_of(definition).model_dump(), source=shown, payload=payload)


def _payload(desk: Desk, found: Source) -> PayloadInfo | None:
    try:
        if found.connector == "upload":
            return info(reading.payload_of(desk, found))
        there = desk.landing.segments(f"look-{found.id}")
    except SpireError:
        # A payload that is gone must not hide the source that names it.
        return None
    return info(there[-1]) if there else None
