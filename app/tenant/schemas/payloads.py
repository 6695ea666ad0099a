"""Uploads and payloads on the wire."""

from __future__ import annotations

from pydantic import Field

from app.tenant.schemas import Answer, Request


class UploadBegin(Request):
    """Announces an upload: its name and, where known, its size in bytes."""

    name: str = Field(min_length=1, max_length=1024, description="File name as a person knows it.")
    size: int | None = Field(default=None, ge=0, description="Length in bytes; checked at the end.")
    media_type: str = Field(default="", max_length=200)


class UploadState(Answer):
    """How much of an upload is sealed. `payload` is there once it is finished."""

    upload: str
    offset: int = Field(description="Bytes received and sealed; go on from here.")
    finished: bool = False


class PayloadInfo(Answer):
    """A sealed payload, exactly as it was received."""

    payload: str = Field(description="Identifier: use it as the payload of a source.")
    name: str
    size: int
    sha256: str
    media_type: str = ""
