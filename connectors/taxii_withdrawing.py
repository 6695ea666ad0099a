"""Objects taken back from a TAXII collection: ours by a revoked version of each, those of others by their removal.

STIX 2.1 §3.6: only its maker may revoke an object, and a revoked one has no later version. An observable has no
versions at all. Those are removed from the collection, which TAXII 2.1 §5.7 allows and 2.0 does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from connectors.taxii_handing import ASKED, Item, handed_in, held_there
from connectors.taxii_wire import Collection, Server, moment_text
from connectors.web import refuse
from engine.ports import Delivered, Gone, Refused

UNREAD = "The collection can't be read, so what it holds of it can't be revoked."
NOT_IN_20 = "It is another's object to revoke, and TAXII 2.0 can't remove one."


def withdraw(server: Server, collection: Collection, gone: Sequence[Gone]) -> Iterator[Delivered]:
    """Each object revoked or removed, as far as the collection still has it."""
    for first in range(0, len(gone), ASKED):
        part = gone[first : first + ASKED]
        refused = (
            _withdrawn(server, collection, part)
            if collection.readable
            else [Refused(one.id, UNREAD) for one in part]
        )
        yield Delivered(len(part) - len(refused), tuple(refused))


def _withdrawn(server: Server, collection: Collection, part: Sequence[Gone]) -> list[Refused]:
    meant = {one.id: orjson.loads(one.there) for one in part}
    latest: dict[str, dict[str, Any]] = {}
    for (id, version), item in held_there(
        server, collection, [each["id"] for each in meant.values()]
    ).items():
        if id not in latest or version > _version(latest[id]):
            latest[id] = item.whole
    revoked, refused = dict[str, Item](), list[Refused]()
    for name, told in meant.items():
        whole = latest.get(told["id"])
        if whole is None or whole.get("revoked") is True:
            continue
        if told["own"] and "modified" in whole:
            # What a server notes on an object for itself stays with it.
            plain = {key: value for key, value in whole.items() if not key.startswith("_")}
            made = {**plain, "revoked": True, "modified": _later(str(whole["modified"]))}
            revoked[name] = Item(made, orjson.dumps(made))
        elif why := _removed(server, collection, told["id"]):
            refused.append(Refused(name, why))
    if revoked:
        failed = {one.id: one.why for one in handed_in(server, collection, list(revoked.values()))}
        refused += [Refused(name, failed[item.id]) for name, item in revoked.items() if item.id in failed]
    return refused


def _version(whole: dict[str, Any]) -> str:
    return str(whole.get("modified") or whole.get("created") or "")


def _later(modified: str) -> str:
    """Now, or just after the version there where that says it is from the future."""
    now = datetime.now(UTC)
    try:
        before = datetime.fromisoformat(modified)
    except ValueError:
        return moment_text(now)
    return moment_text(max(now, before + timedelta(milliseconds=1)))


def _removed(server: Server, collection: Collection, id: str) -> str:
    """Why an object can't be removed from the collection; empty where it is."""
    if server.version == "2.0":
        return NOT_IN_20
    found = server.remove(f"{collection.url}{id}/?match%5Bversion%5D=all")
    if found.status == 401 or found.status == 429 or found.status >= 500:
        refuse(found.status, found.url)
    return "" if found.status < 300 else f"The server does not remove it: status {found.status}."
