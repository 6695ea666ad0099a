"""Defining: sources, target models and pipelines are saved as versions, each change with its audit event."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal

from duckdb import DuckDBPyConnection
from pydantic import BaseModel

from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.desk import Desk
from app.tenant.schemas.definitions import Version
from engine.errors import Stop
from storage import definitions
from storage.audit import ActionKind
from storage.definitions import Definition

Kind = Literal["source", "target", "pipeline", "template", "feed", "query", "publication"]
_LONGEST = 63


class NameTaken(Stop):
    """There is already something by that name here."""


def body_of(model: BaseModel) -> dict[str, Any]:
    """A noun as it is stored and as it is shown in an audit event."""
    return model.model_dump(mode="json", by_alias=True)


def save(
    desk: Desk,
    who: Caller,
    kind: Kind,
    id: str,
    model: BaseModel,
    *,
    comment: str = "",
    based_on: int | None = None,
    fresh: bool = False,
    also: Callable[[DuckDBPyConnection], None] = lambda cursor: None,
) -> Definition:
    """Save a version and its audit event together, and whatever else belongs with them.

    With `fresh`, NameTaken where the id is in use.
    """
    with desk.store.transaction() as cursor:
        also(cursor)
        last = [d for d in definitions.versions(cursor, kind, id)[:1] if not d.deleted]
        if fresh and last:
            raise NameTaken(f"{kind} {id}.", action="Choose another name.")
        saved = definitions.save(
            cursor,
            kind,
            id,
            body_of(model),
            author=who.user,
            now=desk.now,
            comment=comment,
            based_on=based_on,
        )
        if not last or saved.version != last[0].version:
            journal.note(
                desk, who, ActionKind.CHANGE, f"{kind}.{'changed' if last else 'created'}", id,
                before=last[0].body if last else None, after=saved.body, cursor=cursor,
            )  # fmt: skip
    return saved


def remove(desk: Desk, who: Caller, kind: Kind, id: str) -> None:
    """Mark a definition as deleted, with its audit event. Its versions stay."""
    with desk.store.transaction() as cursor:
        gone = definitions.delete(cursor, kind, id, author=who.user, now=desk.now)
        journal.note(desk, who, ActionKind.CHANGE, f"{kind}.deleted", id, before=gone.body, cursor=cursor)


def slug(name: str, otherwise: str) -> str:
    """An id made of a name: lower-case ASCII letters, digits and dashes, beginning with a letter."""
    stem = re.sub(r"(?i)\.(csv|tsv|txt|jsonl?|ndjson|xml|xlsx?|parquet|gz|zip|zst)(?=\.|$)", "", name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    cut = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: _LONGEST - 8].strip("-")
    if cut and not cut[0].isalpha():
        cut = f"{otherwise}-{cut}"
    return cut or otherwise


def unused(desk: Desk, kind: Kind, wanted: str) -> str:
    """`wanted`, or it with the first number that makes it new."""
    taken = {d.id for d in definitions.all_latest(desk.store.cursor(), kind)}
    if wanted not in taken:
        return wanted
    return next(f"{wanted}-{n}" for n in range(2, len(taken) + 3) if f"{wanted}-{n}" not in taken)


def version_of(definition: Definition) -> Version:
    """What a definition carries besides its body."""
    return Version(
        version=definition.version,
        address=definition.address,
        author=definition.author,
        at=definition.at,
        comment=definition.comment,
        deleted=definition.deleted,
    )
