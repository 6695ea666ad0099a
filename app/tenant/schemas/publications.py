"""Publications on the wire: what goes where, and how each delivery went."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.tenant.schemas import Answer, Request
from app.tenant.schemas.definitions import Version
from engine.model import Slug
from engine.publication import Publication


class PublicationChange(Request):
    """What is to go where. Secrets that come back masked stay as they were."""

    name: str = Field(min_length=1, max_length=200)
    connector: Slug = Field(description="One of GET /connectors that can write.")
    config: dict[str, Any] = Field(description="What the connector asks for.")
    target: Slug = Field(description="The target model whose records go.")
    search: str = Field(default="", max_length=500, description="As in GET /records: text in any field.")
    match: Literal["part", "whole"] = "part"
    where: list[str] = Field(default=[], max_length=50, description="As in GET /records: `field=value`.")
    gone: Literal["leave", "withdraw"] = Field(
        default="leave",
        description="What was delivered and is no longer to be there: it stays, or it is deleted or revoked there.",
    )
    comment: str = ""
    based_on: int | None = Field(default=None, description="The version you started from.")


class PublicationCreate(PublicationChange):
    """A new publication."""

    id: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_-]{0,50}$",
        description="Made from the name where none is given.",
    )


class DeliveryStart(Request):
    """Starts a delivery: of what is new since the last, or of everything `anew`."""

    anew: bool = False


class DeliveryView(Answer):
    """A delivery. `taken` = `sent` + `withdrawn` + `refused`, page by page; `error` says why it failed and what to do."""

    delivery: int
    publication: str
    version: int
    state: Literal["running", "finished", "failed", "cancelled"]
    started: datetime
    finished: datetime | None
    started_by: str
    taken: int
    sent: int
    refused: int
    withdrawn: int = 0
    less: int = Field(
        default=0, description="Of those sent, how many say less there: STIX 2.0 has no word for all."
    )
    error: dict[str, Any] | None = None


class RefusedView(Answer):
    """A record the other side would not have, by its key, and why."""

    id: str
    why: str


class DeliveryDetail(DeliveryView):
    """A delivery with the records that were refused, the first thousand of them."""

    refusals: list[RefusedView] = []


class PublicationView(Version):
    """A publication as it stands, secrets masked: its last delivery, and how many records wait for the next.

    Of one that withdraws `leaving` are those that the next delivery takes back.
    """

    publication: Publication
    last: DeliveryView | None = None
    waiting: int = 0
    leaving: int = 0
