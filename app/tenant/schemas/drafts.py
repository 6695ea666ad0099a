"""Drafts on the wire: what is being written on a subject, and who has it open."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.tenant.schemas import Answer, Request

Subject = Annotated[str, StringConstraints(pattern=r"^(pipeline|source):[a-z][a-z0-9_-]{0,62}$")]


class DraftPut(Request):
    """One edit, as the whole content after it. `based_on` 0 begins the draft."""

    content: dict[str, Any]
    based_on: int = Field(ge=0, description="The revision you started from.")


class DraftStep(Request):
    """Undoes or redoes one edit."""

    based_on: int = Field(ge=1, description="The revision you started from.")


class PresentView(Answer):
    """Somebody who has the draft open now."""

    who: str
    seen: datetime


class DraftHead(Answer):
    """Where a draft stands, without its content. `revision` 0: there is none."""

    subject: str
    revision: int = 0
    who: str = ""
    at: datetime | None = None
    past: int = Field(default=0, description="Edits that undo can take back.")
    future: int = Field(default=0, description="Edits that redo can bring back.")
    present: list[PresentView] = []


class DraftView(DraftHead):
    """A draft as it stands. `content` is left out where you know this revision already."""

    content: dict[str, Any] | None = None
