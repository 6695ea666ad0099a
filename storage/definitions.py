"""Definitions: sources, target models and pipelines, every version of each kept with who and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.errors import Stop


class NotFound(Stop):
    """There is nothing by that name here."""


class ChangedMeanwhile(Stop):
    """Somebody else saved a newer version meanwhile, so yours was not saved."""


@dataclass(frozen=True)
class Definition:
    """One version of a definition. `address` is the first 12 hex digits of the SHA-256 of its canonical JSON."""

    kind: str
    id: str
    version: int
    address: str
    body: dict[str, Any]
    author: str
    at: datetime
    comment: str
    deleted: bool


def address(body: dict[str, Any]) -> str:
    """The content address of a body: equal bodies have equal addresses, whatever the order of their keys."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def save(
    cursor: DuckDBPyConnection,
    kind: str,
    id: str,
    body: dict[str, Any],
    *,
    author: str,
    now: Callable[[], datetime],
    comment: str = "",
    based_on: int | None = None,
) -> Definition:
    """Save a new version, or return the latest one where nothing has changed.

    `based_on` is the version the author started from; ChangedMeanwhile where that is no longer the latest.
    """
    last = _latest(cursor, kind, id)
    if based_on is not None and (last.version if last else 0) != based_on:
        raise ChangedMeanwhile(
            f"{kind} {id} is at version {last.version if last else 0}, yours started from {based_on}.",
            action="Open the newer version, and make your change there.",
        )
    if last and not last.deleted and last.address == address(body):
        return last
    return _write(cursor, kind, id, body, last, author, now(), comment, deleted=False)


def delete(
    cursor: DuckDBPyConnection, kind: str, id: str, *, author: str, now: Callable[[], datetime]
) -> Definition:
    """Mark a definition as deleted. Its versions stay."""
    last = get(cursor, kind, id)
    return _write(cursor, kind, id, last.body, last, author, now(), "", deleted=True)


def get(cursor: DuckDBPyConnection, kind: str, id: str, version: int | None = None) -> Definition:
    """The latest version, or the given one, deleted or not; NotFound where there is none."""
    if version is not None:
        found = [d for d in versions(cursor, kind, id) if d.version == version]
        if not found:
            raise NotFound(f"{kind} {id}, version {version}.")
        return found[0]
    last = _latest(cursor, kind, id)
    if last is None or last.deleted:
        raise NotFound(f"{kind} {id}.")
    return last


def versions(cursor: DuckDBPyConnection, kind: str, id: str) -> list[Definition]:
    """All versions, newest first."""
    return _read(cursor, "kind = ? AND id = ? ORDER BY version DESC", [kind, id])


def all_latest(cursor: DuckDBPyConnection, kind: str) -> list[Definition]:
    """The latest version of each definition of a kind that is not deleted, by id."""
    return _read(
        cursor,
        "kind = ? QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC) = 1 AND NOT deleted "
        "ORDER BY id",
        [kind],
    )


def revision(cursor: DuckDBPyConnection, *kinds: str, id: str | None = None) -> int:
    """How many versions there are of these kinds, or of one by its id: an equal number means no change."""
    row = cursor.execute(
        "SELECT count(*) FROM store.spire.definitions WHERE kind IN (SELECT unnest(?)) AND (? IS NULL OR id = ?)",
        [list(kinds), id, id],
    ).fetchone()
    return int(row[0]) if row else 0


def rewrite(
    cursor: DuckDBPyConnection, kind: str, change: Callable[[Definition], dict[str, Any] | None]
) -> None:
    """Give versions another body in their own place, each definition's newest first; None leaves one as it is.

    For what must leave the past as well, such as a secret: everything else is a new version.
    """
    for found in _read(cursor, "kind = ? ORDER BY id, version DESC", [kind]):
        body = change(found)
        if body is not None:
            cursor.execute(
                "UPDATE store.spire.definitions SET body = ?, address = ? WHERE kind = ? AND id = ? AND version = ?",
                [json.dumps(body, ensure_ascii=False), address(body), kind, found.id, found.version],
            )


def _latest(cursor: DuckDBPyConnection, kind: str, id: str) -> Definition | None:
    found = _read(cursor, "kind = ? AND id = ? ORDER BY version DESC LIMIT 1", [kind, id])
    return found[0] if found else None


def _write(
    cursor: DuckDBPyConnection,
    kind: str,
    id: str,
    body: dict[str, Any],
    last: Definition | None,
    author: str,
    at: datetime,
    comment: str,
    *,
    deleted: bool,
) -> Definition:
    made = Definition(
        kind, id, (last.version if last else 0) + 1, address(body), body, author, at, comment, deleted
    )
    cursor.execute(
        "INSERT INTO store.spire.definitions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            kind,
            id,
            made.version,
            made.address,
            json.dumps(body, ensure_ascii=False),
            author,
            at,
            comment,
            deleted,
        ],
    )
    return made


def _read(cursor: DuckDBPyConnection, condition: str, values: list[Any]) -> list[Definition]:
    rows = cursor.execute(
        "SELECT kind, id, version, address, body, author, moment, comment, deleted "
        f"FROM store.spire.definitions WHERE {condition}",
        values,
    ).fetchall()
    return [Definition(*[*row[:4], json.loads(row[4]), *row[5:]]) for row in rows]
