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
    desk: Desk, kind: str, source: Source, asked: BaseModel | str, work: Callable[[], BaseModel]
) -> Response:
    """The answer as JSON. It depends on the payload, on what is defined in this tenant, and on the question."""
    told = asked if isinstance(asked, str) else asked.model_dump_json(by_alias=True)
    with desk.store.cursor() as cursor:
        revision = definitions.revision(cursor)
    key = (kind, source.id, payload_of(desk, source).sha256, revision, told)
    body = desk.answers.once(key, lambda: work().model_dump_json(by_alias=True).encode())
    return Response(body, media_type="application/json")
