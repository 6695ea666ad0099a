"""A file a person dropped: it was sealed on arrival, so there is nothing left to fetch."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from connectors.registry import Reach, connector
from engine.ports import Cursor, Payload, Stage


@connector("upload", title="File upload", summary="A file dropped in the browser or sent to the API")
class Config(BaseModel):
    """Which sealed payload it is."""

    model_config = ConfigDict(extra="forbid")

    upload: str = Field(description="The upload's id, as the landing zone gave it.")
    number: int = Field(default=1, ge=0, description="Its place among the payloads of that upload.")
    also: list[str] = Field(default=[], description="Further uploads with the same fields, read after it.")


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """An upload that is here is here."""
    yield Stage("payload", True, "sealed in the landing zone")


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """Nothing: the landing zone has it already."""
    yield from ()
