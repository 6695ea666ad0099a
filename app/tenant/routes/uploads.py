"""Uploads: payloads arrive in parts that can be resumed, or in one go, sealed as they come."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.receiving import info, receive, receive_whole, too_large
from app.tenant.schemas.payloads import PayloadInfo, UploadBegin, UploadState
from engine.errors import Stop
from storage.audit import ActionKind

router = APIRouter(tags=["uploads"])


class Finished(Stop):
    """This upload is finished, and what was received is never removed by itself."""


@router.post("/uploads", status_code=201)
def begin(body: UploadBegin, desk: Here, who: Who) -> UploadState:
    """Announce an upload. Its parts follow with PATCH, then POST …/finish."""
    if body.size is not None and body.size > desk.settings.upload_limit:
        raise too_large(desk.settings.upload_limit)
    upload = desk.landing.begin(body.name, body.size, body.media_type)
    return UploadState(upload=upload, offset=0)


@router.patch(
    "/uploads/{id}",
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}
    },
)
async def append(
    id: str, request: Request, response: Response, desk: Here, upload_offset: Annotated[int, Header(ge=0)]
) -> UploadState:
    """Receive a part: the raw body belongs at `Upload-Offset`. A part may be sent again."""
    offset = await receive(desk, request, id, upload_offset)
    response.headers["upload-offset"] = str(offset)
    return UploadState(upload=id, offset=offset)


@router.get("/uploads/{id}")
@router.head("/uploads/{id}", include_in_schema=True)
def state(id: str, response: Response, desk: Here) -> UploadState:
    """How much of an upload has been received: go on from this offset."""
    offset = desk.landing.offset(id)
    response.headers["upload-offset"] = str(offset)
    return UploadState(upload=id, offset=offset, finished=bool(desk.landing.segments(id)))


@router.post("/uploads/{id}/finish")
def finish(id: str, desk: Here, who: Who) -> PayloadInfo:
    """Make the upload a payload. Finishing again gives the same answer."""
    done = info(desk.landing.finish(id))
    journal.note(desk, who, ActionKind.RUN, "payload.received", id, after=done.model_dump())
    return done


@router.delete("/uploads/{id}", status_code=204)
def abandon(id: str, desk: Here, who: Who) -> None:
    """Forget an upload that is not finished."""
    desk.landing.offset(id)
    if desk.landing.segments(id):
        raise Finished(id, action="Delete the source that uses it.")
    desk.landing.delete(id)


@router.post(
    "/payloads",
    status_code=201,
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}
    },
)
async def receive_payload(
    request: Request, desk: Here, who: Who, name: Annotated[str, Query(min_length=1, max_length=1024)]
) -> PayloadInfo:
    """Receive a payload in one go: the raw body."""
    done = info(await receive_whole(desk, request, name))
    await to_thread.run_sync(
        lambda: journal.note(
            desk, who, ActionKind.RUN, "payload.received", done.payload, after=done.model_dump()
        )
    )
    return done
