"""Feeds on the wire: sources that are described already, and what an interface answers while one is described."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.tenant.schemas import Answer, Request
from engine.model import Data, Name, Slug


class Kept(Data):
    """A source's configuration kept under a name, without its secrets."""

    id: Slug
    title: Name
    summary: str = ""
    connector: Slug
    config: dict[str, Any]


class FeedView(Answer):
    """A feed: a connector and its configuration, and where its key comes from if it asks for one."""

    name: str
    title: str
    summary: str
    connector: str
    config: dict[str, Any]
    key: str = ""
    own: bool = Field(
        default=False, description="Kept in this tenant, and not one that comes with the product."
    )


class FeedCreate(Request):
    """Keeps a configuration as a template. Its secrets are left out."""

    title: str = Field(min_length=1, max_length=200)
    summary: str = Field(default="", max_length=300)
    connector: Slug = Field(description="One of GET /connectors.")
    config: dict[str, Any] = Field(description="What the connector asks for.")


class BranchView(Answer):
    """A value of an answer. `path` is the dotted way to a list that can be read as records."""

    name: str
    kind: str
    text: str = ""
    count: int = 0
    path: str | None = None
    inside: list[BranchView] = []


class AnswerView(Answer):
    """What an interface answers, cut short where it is long."""

    tree: BranchView
