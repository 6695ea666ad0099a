"""Ingest: the whole job in one request."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from app.problems import Problem
from app.tenant import intake
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk, pipeline, targets
from app.tenant.intake import Wish
from app.tenant.receiving import receive_whole
from app.tenant.schemas.runs import IngestResult
from app.tenant.texts import mappings_of
from engine.model import Mapping

router = APIRouter(tags=["ingest"])
# A mapping is written by people.
_LARGEST_MAPPING = 4 << 20


@router.post(
    "/ingest",
    openapi_extra={
        "requestBody": {
            "content": {
                "application/octet-stream": {"schema": {"format": "binary"}},
                "application/yaml": {"schema": {"type": "string"}},
            }
        }
    },
)
async def ingest(
    request: Request,
    response: Response,
    desk: Here,
    who: Who,
    name: Annotated[str, Query(max_length=1024, description="File name; names the source.")] = "",
    target: Annotated[
        str | None, Query(description="Target model, where the format doesn't bring one.")
    ] = None,
    payload: Annotated[
        str | None, Query(description="A finished upload; the body may then be a mapping in YAML.")
    ] = None,
    source: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] = None,
    using: Annotated[str | None, Query(description="A pipeline whose mappings to use.")] = None,
    format: str | None = None,
    wait: Annotated[float, Query(ge=0, le=900, description="Seconds to wait for the end.")] = 600,
) -> IngestResult:
    """Seal the body, find out what it is, map it (by itself, as suggested, or as given), run it: its ledger.

    200 where the run ended, 202 where it is still under way after `wait` seconds.
    """
    mappings: tuple[Mapping, ...] = ()
    if payload is not None:
        segment = await to_thread.run_sync(desk.landing.segment, payload)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LARGEST_MAPPING:
                raise Problem(
                    413, "This is no mapping.", action="Leave the body empty, or send a mapping in YAML."
                )
        if body.strip():
            mappings = await to_thread.run_sync(_mappings, desk, body)
    else:
        if not name:
            raise Problem(422, "A payload needs a name.", where="name")
        segment = await receive_whole(desk, request, name)
    if using is not None:
        mappings = (await to_thread.run_sync(pipeline, desk, using)).mappings
    wish = Wish(target=target, mappings=mappings, source=source, format=format, wait=wait)
    done = await to_thread.run_sync(intake.ingest, desk, who, segment, wish)
    response.status_code = 202 if done.state == "running" else 200
    return done


def _mappings(desk: Desk, body: bytes) -> tuple[Mapping, ...]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Problem(422, "This mapping is not UTF-8 text.", action="Save it as UTF-8.") from None
    return mappings_of(text, targets(desk))
