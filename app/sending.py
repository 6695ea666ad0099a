"""Sending a payload in parts, and taking it up again where a connection or a server broke off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO

import httpx

from app.tenant.schemas.payloads import PayloadInfo, UploadState
from app.wire import read
from engine.errors import Retry

PART = 8 << 20
# So often a lost connection is taken up again, each time after twice as long: about 25 seconds in all.
PATIENCE = 6
Told = Callable[[int, int], None]
Request = Callable[..., httpx.Response]


def send(request: Request, stream: BinaryIO, name: str, size: int | None, told: Told | None) -> PayloadInfo:
    """The payload a stream became, sent by `request` with one part in memory.

    `told(sent, size)` hears how far it is.
    """
    upload = read(request("POST", "/uploads", json={"name": name, "size": size}), UploadState).upload
    start = stream.tell() if stream.seekable() else None
    offset, tries, part = 0, 0, stream.read(PART)
    while part:
        headers = {"upload-offset": str(offset)}
        try:
            state = request("PATCH", f"/uploads/{upload}", content=part, headers=headers)
        except Retry:
            tries += 1
            if tries > PATIENCE:
                raise
            time.sleep(0.2 * 2**tries)
            reached = _reached(request, upload)
            if reached is not None and reached < offset and start is not None:
                # A server that died has lost its last piece: we still have it.
                stream.seek(start + reached)
                offset, part = reached, stream.read(PART)
            continue
        offset, tries = int(state.json()["offset"]), 0
        if told is not None:
            told(offset, size if size is not None else offset)
        part = stream.read(PART)
    return read(request("POST", f"/uploads/{upload}/finish"), PayloadInfo)


def _reached(request: Request, upload: str) -> int | None:
    """How much of an upload is received; None while the server does not answer."""
    try:
        return read(request("GET", f"/uploads/{upload}"), UploadState).offset
    except Retry:
        return None
