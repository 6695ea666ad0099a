"""Who is asking: the gateway says so in headers that nobody else can send over the tenant's socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.tenant.desk import Desk


@dataclass(frozen=True)
class Caller:
    """A user and the role they have in this tenant. The gateway has checked what the role may do."""

    user: str
    role: str


def caller_of(request: Request) -> Caller:
    """The caller as the gateway names them; `local` where the socket's owner asks directly."""
    return Caller(
        request.headers.get("x-spire-user", "local"), request.headers.get("x-spire-role", "administrator")
    )


def desk_of(request: Request) -> Desk:
    """The desk this app serves."""
    desk: Desk = request.app.state.desk
    return desk


Who = Annotated[Caller, Depends(caller_of)]
Here = Annotated[Desk, Depends(desk_of)]
