"""Key ring: the keys of one tenant, each for one use, all derived from the tenant's key.

HKDF-SHA256 (RFC 5869) with the use and the tenant in its info, so no two tenants and no two uses share a
key, even were a tenant's key used twice. Python can't wipe memory: a ring lives as long as its worker.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import Bug, Stop


class WrongTenantKey(Stop):
    """This is not the key of this tenant, so its store was not touched."""


@dataclass(frozen=True, eq=False)
class KeyRing:
    """A tenant's keys, 32 bytes each. `check` tells whether a key is this tenant's and reveals nothing of it."""

    tenant: str
    check: bytes
    store: bytes = field(repr=False)
    landing: bytes = field(repr=False)
    credential: bytes = field(repr=False)
    audit: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"KeyRing({self.tenant!r})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key ring is not written anywhere")

    @property
    def store_hex(self) -> str:
        """The store's key as hexadecimal digits, safe to quote in ATTACH. Never log that statement."""
        return self.store.hex()


def new_tenant_key() -> bytes:
    """32 random bytes from the operating system."""
    return os.urandom(32)


def derive(tenant_key: bytes, tenant: str) -> KeyRing:
    """The ring of a tenant's key, without checking that it is this tenant's: see `open_ring`."""
    if len(tenant_key) != 32:
        raise Bug("a tenant's key has 32 bytes")

    def key(use: str) -> bytes:
        info = b"phantom-spire/keyring/1\0" + use.encode() + b"\0" + tenant.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(tenant_key)

    return KeyRing(
        tenant=tenant,
        check=key("check"),
        store=key("store"),
        landing=key("landing"),
        credential=key("credential"),
        audit=key("audit"),
        pseudonym=key("pseudonym"),
    )


def open_ring(tenant_key: bytes, tenant: str, check: bytes) -> KeyRing:
    """The tenant's ring, once its key is known to be right. Errors: WrongTenantKey."""
    ring = derive(tenant_key, tenant)
    if not hmac.compare_digest(ring.check, check):
        raise WrongTenantKey(
            f"Tenant {tenant}.",
            action="Restore the control database and the data folder from the same backup.",
        )
    return ring
