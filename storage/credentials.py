"""Credentials: secrets sealed each to its own place, and what is known of them without opening one.

A value is sealed under the tenant's credential key, bound to the tenant, the credential and its revision.
Of a value that a person typed only the latest is kept: rotating overwrites it, removing deletes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from duckdb import DuckDBPyConnection

from engine.errors import Stop
from storage.definitions import NotFound
from storage.keyring import KeyRing
from storage.seal import Sealer, Tampered, open_sealed

Place = Literal["stored", "environment", "vault"]
TABLE = "store.spire.credentials"
# The dates at which credentials end, and nothing else of them, for whoever looks without the tenant's key.
NOTICE = "credentials-end"
# So long before its end a credential is announced.
WARN = timedelta(days=14)
_COLUMNS = (
    "id", "name", "kind", "hosts", "place", "reference", "revision", "expires", "created", "created_by", "rotated",
    "rotated_by", "used", "used_for",
)  # fmt: skip


class Damaged(Stop):
    """This credential can't be opened: it was changed where it is stored, or sealed for another tenant."""


@dataclass(frozen=True)
class Credential:
    """What may be known of a credential: everything but its value. Times are UTC, as the store keeps them.

    `hosts` are those it may be sent to, each with or without a port. `reference` says where the value of one
    that is not stored is: a variable's name, or a path and a field of the vault.
    """

    id: str
    name: str
    kind: str
    hosts: tuple[str, ...]
    place: Place
    reference: str
    created: datetime
    created_by: str
    revision: int = 1
    expires: datetime | None = None
    rotated: datetime | None = None
    rotated_by: str | None = None
    used: datetime | None = None
    used_for: str | None = None


def ready(cursor: DuckDBPyConnection) -> bool:
    """Whether this store has a place for credentials yet."""
    found = cursor.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'store' AND schema_name = 'spire' "
        "AND table_name = 'credentials'"
    ).fetchone()
    return bool(found and found[0])


def prepare(cursor: DuckDBPyConnection) -> None:
    """Make the place for credentials. Takes part in the transaction that is open."""
    cursor.execute(
        f"CREATE TABLE {TABLE} (id VARCHAR NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL, "
        "hosts JSON NOT NULL, place VARCHAR NOT NULL, reference VARCHAR NOT NULL, revision INTEGER NOT NULL, "
        "expires TIMESTAMP, created TIMESTAMP NOT NULL, created_by VARCHAR NOT NULL, rotated TIMESTAMP, "
        "rotated_by VARCHAR, used TIMESTAMP, used_for VARCHAR, sealed BLOB)"
    )


def every(cursor: DuckDBPyConnection) -> list[Credential]:
    """All credentials, by name."""
    return _read(cursor, "true ORDER BY lower(name), id")


def get(cursor: DuckDBPyConnection, id: str) -> Credential:
    """One credential; NotFound where there is none."""
    found = _read(cursor, "id = ?", id)
    if not found:
        raise NotFound(f"credential {id}.", action="Choose another, or add it again under this id.")
    return found[0]


def add(cursor: DuckDBPyConnection, keys: KeyRing, new: Credential, value: str | None) -> None:
    """Keep a new credential, with its value where that is stored here."""
    row = [*_row(new), None if value is None else _sealed(keys, new, value)]
    cursor.execute(f"INSERT INTO {TABLE} VALUES ({', '.join('?' for _ in row)})", row)


def rotate(
    cursor: DuckDBPyConnection, keys: KeyRing, credential: Credential, value: str, *, by: str, at: datetime
) -> Credential:
    """Put a new value in the old one's place; its hosts and its end are those given here."""
    now = replace(credential, revision=credential.revision + 1, rotated=at, rotated_by=by)
    cursor.execute(
        f"UPDATE {TABLE} SET revision = ?, rotated = ?, rotated_by = ?, hosts = ?, expires = ?, sealed = ? WHERE id = ?",
        [now.revision, at, by, json.dumps(now.hosts), now.expires, _sealed(keys, now, value), now.id],
    )
    return now


def change(cursor: DuckDBPyConnection, credential: Credential) -> None:
    """Keep another name, kind, end or fewer hosts; the value stays as it is."""
    cursor.execute(
        f"UPDATE {TABLE} SET name = ?, kind = ?, hosts = ?, expires = ? WHERE id = ?",
        [credential.name, credential.kind, json.dumps(credential.hosts), credential.expires, credential.id],
    )


def remove(cursor: DuckDBPyConnection, id: str) -> None:
    """Delete a credential with its value."""
    cursor.execute(f"DELETE FROM {TABLE} WHERE id = ?", [id])


def note_use(cursor: DuckDBPyConnection, id: str, at: datetime, what: str) -> None:
    """Remember when it was last used, and for what."""
    cursor.execute(f"UPDATE {TABLE} SET used = ?, used_for = ? WHERE id = ?", [at, what, id])


def opened(cursor: DuckDBPyConnection, keys: KeyRing, credential: Credential) -> str:
    """The value of a stored credential. Errors: Damaged, NotFound."""
    row = cursor.execute(f"SELECT sealed, revision FROM {TABLE} WHERE id = ?", [credential.id]).fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"credential {credential.id}.", action="Add it again under this id.")
    try:
        # The revision is read beside the value, so that a rotation between two reads is no damage.
        with open_sealed(
            io.BytesIO(row[0]), keys.credential, keys.tenant, credential.id, row[1], purpose="credential"
        ) as plain:
            return plain.read().decode()
    except Tampered:
        raise Damaged(credential.name, action="Rotate it, or restore the store from a backup.") from None


def _sealed(keys: KeyRing, credential: Credential, value: str) -> bytes:
    sink = io.BytesIO()
    with Sealer(
        sink, keys.credential, keys.tenant, credential.id, credential.revision, purpose="credential"
    ) as sealer:
        sealer.write(value.encode())
    return sink.getvalue()


def _row(credential: Credential) -> list[object]:
    found = {name: getattr(credential, name) for name in _COLUMNS}
    return list((found | {"hosts": json.dumps(credential.hosts)}).values())


def _read(cursor: DuckDBPyConnection, condition: str, *values: object) -> list[Credential]:
    rows = cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM {TABLE} WHERE {condition}", values).fetchall()
    found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    return [Credential(**each | {"hosts": tuple(json.loads(each["hosts"]))}) for each in found]


# ── for whoever looks without the key ────────────────────────────────────────────────────────────────


def post_notice(folder: Path, ends: Iterable[datetime]) -> None:
    """Write down at which times credentials end, so that `spire doctor` can warn without the tenant's key."""
    told = sorted(ends)
    if told == noticed(folder):
        # A tenant opens on a full disk too.
        return
    part = folder / f"{NOTICE}.part"
    part.write_text("".join(f"{end.isoformat()}\n" for end in told))
    part.chmod(0o600)
    part.replace(folder / NOTICE)


def noticed(folder: Path) -> list[datetime]:
    """The times at which credentials of the tenant in this folder end, soonest first."""
    place = folder / NOTICE
    return [datetime.fromisoformat(line) for line in place.read_text().split()] if place.exists() else []
