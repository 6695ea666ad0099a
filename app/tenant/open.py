"""Opening a tenant: its keys are derived, its landing zone and store opened, its journal made ready."""

from __future__ import annotations

from app.grant import Grant
from app.settings import Settings
from app.tenant import credential_keeping, journal
from app.tenant.desk import Desk, utc_now
from engine.types import register
from storage.keyring import open_ring
from storage.landing import Landing
from storage.store import Store

# DuckDB gets this share of the worker's memory; chunks, Python and the seal's buffers need the rest. With 0.35 a
# bundle of many types ran out of it: each column of each table it fills holds a block of its own.
STORE_SHARE = 0.6
LEAST = 256 << 20


def open_desk(grant: Grant) -> Desk:
    """The desk of the grant's tenant. Errors: WrongTenantKey, StoreDoesNotOpen, DiskFull."""
    root = grant.folder.parent.parent
    settings = Settings(
        data_dir=root,
        audit_level=grant.audit_level,
        worker_threads=grant.threads,
        worker_memory=grant.memory,
        upload_limit=grant.upload_limit,
        url_allow=grant.url_allow,
        folders=grant.folders,
        **grant.vault,  # type: ignore[arg-type]
    )
    keys = open_ring(grant.key, grant.tenant, grant.check)
    memory = max(int(grant.memory * STORE_SHARE), LEAST)
    store = Store.open(grant.folder, keys.store, memory=f"{memory >> 20}MB", functions=register)
    desk = Desk(
        tenant=grant.tenant,
        store=store,
        landing=Landing(root, keys.landing, grant.tenant),
        keys=keys,
        settings=settings,
        now=utc_now,
        working=grant.activity.work,
        pausing=grant.activity.pause,
        environment=grant.environment,
    )
    try:
        journal.prepare(desk)
        credential_keeping.prepare(desk)
    except BaseException:
        store.close()
        raise
    return desk
