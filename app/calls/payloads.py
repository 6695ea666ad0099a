"""Payloads sent in parts, one part in memory."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from app.calls.wire import Wire
from app.sending import Told, send
from app.tenant.schemas.payloads import PayloadInfo


class Payloads(Wire):
    """Payloads sent in parts, one part in memory."""

    def upload(self, path: Path, *, name: str | None = None, told: Told | None = None) -> PayloadInfo:
        """Send a file in parts; `told(sent, size)` hears how far it is. A lost connection is taken up again."""
        size = path.stat().st_size
        with path.open("rb") as stream:
            return self.upload_stream(stream, name or path.name, size=size, told=told)

    def upload_stream(
        self, stream: BinaryIO, name: str, *, size: int | None = None, told: Told | None = None
    ) -> PayloadInfo:
        """Send a stream in parts, holding one part in memory."""
        return send(self.request, stream, name, size, told)

    def paste(self, text: str, name: str = "pasted text") -> PayloadInfo:
        """Send a text as a payload."""
        return self.upload_stream(io.BytesIO(text.encode()), name, size=len(text.encode()))
