"""Text pasted into the browser, read as a file of its own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from connectors.registry import Reach, connector
from engine.ports import Cursor, Payload, Stage

LONGEST = 16 << 20


@connector("paste", title="Pasted text", summary="Indicators, a table, JSON or STIX from the clipboard")
class Config(BaseModel):
    """The text itself and what to call it."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=LONGEST, description="What was pasted.")
    name: str = Field(default="pasted text", min_length=1, max_length=200, description="What to call it.")


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """There is text, or the configuration would not have held."""
    yield Stage("text", True, f"{len(config.text):,} characters")


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """The text, once: the same text again is nothing new."""
    data = config.text.encode("utf-8", "surrogatepass")
    cursor: Cursor = {"sha256": hashlib.sha256(data).hexdigest()}
    if since != cursor:
        yield Payload(config.name, io.BytesIO(data), cursor, "text/plain")
