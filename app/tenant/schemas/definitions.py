"""What every definition carries on the wire: its version, author and time."""

from __future__ import annotations

from datetime import datetime

from app.tenant.schemas import Answer


class Version(Answer):
    """One version of a definition. `address` is its content address."""

    version: int
    address: str
    author: str
    at: datetime
    comment: str = ""
    deleted: bool = False
