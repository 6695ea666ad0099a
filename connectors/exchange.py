"""A refresh token exchanged for an access token (RFC 6749 §6), where each use may give a new one and end the old.

The exchange has the token to itself, and the new one is kept before the access token is used: whoever exchanges
next has that one. An answer that never arrives may have ended the token all the same; then a new one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.registry import Reach, Renewal
from engine.errors import Stop

SETTING = "refresh_token"


class Unkept(Stop):
    """The server gave a new refresh token, which ends the old one, and it can't be kept."""


def exchanged(reach: Reach, token: str, ask: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `ask` answers for the refresh token as it is now. The one that follows it, if any, is kept."""
    with _held(reach, token) as held:
        answer = ask(held.value)
        following = str(answer.get("refresh_token") or "")
        if following and following != held.value:
            held.keep(following)
    return answer


@contextmanager
def _held(reach: Reach, token: str) -> Iterator[Renewal]:
    if reach.renewing is None:
        yield Renewal(token, _nowhere)
    else:
        with reach.renewing(SETTING) as held:
            yield held


def _nowhere(following: str) -> None:
    raise Unkept("There is no credential here to keep it in.", action="Keep the token as a credential.")
