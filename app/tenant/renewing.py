"""Secrets that are spent by their use, a refresh token first of all: exchanged by one at a time, the next one kept.

The next value of a stored credential takes the place of the spent one in one transaction, sealed and audited,
before anything else is done with it. What somebody is only trying out has its followers in memory: what is saved
in the end is the newest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.credential_places import value_of
from app.tenant.desk import Desk
from connectors.exchange import Unkept
from connectors.registry import Renewal
from storage import credentials
from storage.audit import ActionKind


@contextmanager
def stored(desk: Desk, id: str, by: str, secrets: list[str]) -> Iterator[Renewal]:
    """A credential's value as it is now, and the way to replace it. New values join `secrets`, to be cleared of."""
    with desk.followers.alone(f"credential {id}"):
        with desk.store.cursor() as cursor:
            credential = credentials.get(cursor, id)
        value = value_of(desk, credential)
        secrets.append(value)

        def keep(following: str) -> None:
            secrets.append(following)
            if credential.place != "stored":
                raise Unkept(
                    f"{credential.name} is kept elsewhere.",
                    action="Keep the token as a credential stored here.",
                )
            with desk.store.transaction() as cursor:
                now = credentials.get(cursor, id)
                if now.revision != credential.revision:
                    # Somebody has just put another value there, and that one is not spent.
                    return
                renewed = credentials.rotate(cursor, desk.keys, now, following, by=by, at=desk.now())
                journal.note(
                    desk, Caller(by, ""), ActionKind.SECURITY, "credential.renewed", id,
                    after={"name": renewed.name, "revision": renewed.revision}, cursor=cursor,
                )  # fmt: skip

        yield Renewal(value, keep)


@contextmanager
def tried(desk: Desk, value: str, secrets: list[str]) -> Iterator[Renewal]:
    """The newest value that followed one which is only being tried."""
    with desk.followers.alone(value):
        newest = desk.followers.newest(value)
        secrets.append(newest)

        def keep(following: str) -> None:
            secrets.append(following)
            desk.followers.follow(newest, following)

        yield Renewal(newest, keep)
