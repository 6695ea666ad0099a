"""The changes of a MongoDB collection, followed by the token a replica set gives with each.

The first read takes the token, then everything; later reads take what was written or deleted since. A token is
good as long as the server keeps its oplog back to it. Every document says by `_operation` how it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bson import json_util
from pymongo.change_stream import ChangeStream
from pymongo.collection import Collection

from connectors.mongo_server import Document
from engine.ports import Cursor

# Changes to a payload, and how long a server may think about whether there are more.
CHANGES = 10_000
_WAIT = 500
_WRITTEN = ("insert", "update", "replace")


def changes(
    collection: Collection[Document], fields: Sequence[str], since: Cursor | None
) -> Iterator[tuple[Iterable[Document], Cursor]]:
    """Documents, part by part, each with the cursor after it; at the latest change it ends."""
    token = json_util.loads(str(since["token"])) if since and since.get("token") else None
    if token is None:
        # The token first: what changes while everything is read comes again, and nothing is missed.
        with _stream(collection, fields, None) as stream:
            stream.try_next()
            token = stream.resume_token
        chosen = dict.fromkeys(fields, 1) or None
        yield ({**document, "_operation": "read"} for document in collection.find({}, chosen)), _cursor(token)
        return
    with _stream(collection, fields, token) as stream:
        more = True
        while more:
            part, more = _part(stream)
            yield part, _cursor(stream.resume_token if stream.alive else None)


def _stream(collection: Collection[Document], fields: Sequence[str], token: Any) -> ChangeStream[Document]:
    wanted = ("operationType", "documentKey", "clusterTime")
    shown = {**dict.fromkeys(wanted, 1), **{f"fullDocument.{name}": 1 for name in fields}}
    pipeline: list[Document] = [{"$project": shown}] if fields else []
    return collection.watch(
        pipeline, full_document="updateLookup", resume_after=token, max_await_time_ms=_WAIT
    )


def _part(stream: ChangeStream[Document]) -> tuple[list[Document], bool]:
    """The next changes, and whether there may be more. A dropped collection ends its stream: all begins anew."""
    found: list[Document] = []
    while len(found) < CHANGES:
        change = stream.try_next()
        if change is None:
            return found, False
        kind = change["operationType"]
        about: Document = {"_operation": kind, "_changed": change["clusterTime"]}
        if kind == "delete":
            found.append({**change["documentKey"], **about})
        elif kind in _WRITTEN and change.get("fullDocument") is not None:
            # A document that is gone again by now: its deletion follows.
            found.append({**change["fullDocument"], **about})
    return found, stream.alive


def _cursor(token: Any) -> Cursor:
    return {"token": json_util.dumps(token)} if token is not None else {"anew": True}
