"""Receiving: a request's body is sealed while it arrives, a piece at a time, and never held whole."""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from app.problems import Problem
from app.tenant.desk import Desk
from app.tenant.schemas.payloads import PayloadInfo
from engine.ports import Segment

PIECE = 1 << 20


async def receive(desk: Desk, request: Request, upload: str, offset: int) -> int:
    """Seal the request's body into an upload from `offset` on; gives the offset after it.

    Where the sender goes away in the middle, what arrived is kept, so that it can go on from there.
    """
    held, size, limit, began = list[bytes](), 0, desk.settings.upload_limit, offset

    async def seal() -> int:
        data = b"".join(held)
        held.clear()
        return await to_thread.run_sync(desk.landing.append, upload, offset, data)

    try:
        async for piece in request.stream():
            if not piece:
                continue  # the end of a body is an empty piece
            held.append(piece)
            size += len(piece)
            if offset + size > limit:
                raise too_large(limit)
            if size >= PIECE:
                offset, size = await seal(), 0
    except ClientDisconnect:
        if held:
            await seal()
        raise
    # Where nothing came, it is still said whether it would have belonged there.
    return await seal() if held or offset == began else offset


async def receive_whole(desk: Desk, request: Request, name: str) -> Segment:
    """Seal the request's body as one payload."""
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else None
    if size is not None and size > desk.settings.upload_limit:
        raise too_large(desk.settings.upload_limit)
    media_type = request.headers.get("content-type", "")
    upload = await to_thread.run_sync(desk.landing.begin, name, size, media_type)
    try:
        await receive(desk, request, upload, 0)
        return await to_thread.run_sync(desk.landing.finish, upload)
    except (Problem, ClientDisconnect):
        await to_thread.run_sync(desk.landing.delete, upload)
        raise


def too_large(limit: int) -> Problem:
    """The refusal of a payload over the limit."""
    return Problem(
        413, "This payload is larger than this installation accepts.", detail=f"At most {limit:,} bytes.",
        action="Split it, or raise SPIRE_UPLOAD_LIMIT.",
    )  # fmt: skip


def info(segment: Segment, media_type: str = "") -> PayloadInfo:
    """A sealed payload as it is shown."""
    return PayloadInfo(
        payload=segment.run,
        name=segment.name,
        size=segment.size,
        sha256=segment.sha256,
        media_type=media_type,
    )
