"""Questions about a source as it stands: answered once, however many ask."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Response
from pydantic import BaseModel

from app.tenant.desk import Desk
from app.tenant.reading import payload_of
from engine.model import Source
from storage import definitions


def answered(
    desk: Desk,
    kind: str,
    source: Source,
    asked: BaseModel | str,
    work: Callable[[], BaseModel],
    *,
    history: bool = False,
) -> Response:
    """The answer as JSON. It depends on how the source is read, its payload, the tenant's own target models
    and the question; with `history` also on its pipelines.
    """
    told = asked if isinstance(asked, str) else asked.model_dump_json(by_alias=True)
    with desk.store.cursor() as cursor:
        models = definitions.revision(cursor, "target")
        pipelines = definitions.revision(cursor, "pipeline") if history else 0
    read = source.model_dump_json(by_alias=True)
    key = (kind, read, payload_of(desk, source).sha256, models, pipelines, told)
    body = desk.answers.once(key, lambda: work().model_dump_json(by_alias=True).encode())
    return Response(body, media_type="application/json")
