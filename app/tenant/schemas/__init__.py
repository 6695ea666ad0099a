"""What goes over the wire: requests and answers of the tenant API, as pydantic models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """Base of what a caller sends: an unknown key is an error, not a guess."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Answer(BaseModel):
    """Base of what we answer."""

    model_config = ConfigDict(from_attributes=True)
