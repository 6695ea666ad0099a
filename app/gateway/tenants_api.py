"""Control routes: tenants, the settings in force, the root key, and the health of the installation."""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.doctor import examine
from app.gateway.services import Services, principal
from app.problems import Problem
from app.roles import Role
from storage.audit import ActionKind, Level
from storage.audit_search import Search
from storage.control import control_audit, installation, people, tenants


class TenantOut(BaseModel):
    """A tenant, and my role in it."""

    id: str
    name: str
    audit_level: str
    created: datetime
    role: Role | None


class TenantChange(BaseModel):
    """What to change of a tenant; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=200)
    audit_level: Literal["minimal", "standard", "comprehensive"] | None = None


class RootKey(BaseModel):
    """What wraps every tenant's key. `kind` is file or passphrase, `place` the file that holds it."""

    kind: str
    place: str
    made: datetime
    changed: datetime | None
    changed_by: str
    tenants: int


class Finding(BaseModel):
    """One thing looked at: how it is, and what to do where it isn't well."""

    name: str
    ok: bool
    detail: str
    action: str


class NewTenant(BaseModel):
    """A tenant to make; whoever makes it is its first administrator."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    name: str = Field(default="", max_length=200)
    audit_level: Literal["minimal", "standard", "comprehensive"] = "standard"


def router(services: Services) -> APIRouter:
    """The routes about the installation."""
    api = APIRouter(prefix="/api/v1")
    control = services.control

    def out(tenant: tenants.Tenant, role: Role | None) -> TenantOut:
        return TenantOut(
            id=tenant.id, name=tenant.name, audit_level=tenant.audit_level, created=tenant.created, role=role
        )

    @api.get("/tenants", tags=["tenants"])
    def list_tenants(request: Request) -> list[TenantOut]:
        """My tenants; all of them for an administrator of the installation."""
        who = principal(request)
        with control.database.read() as session:
            found = tenants.tenants(session)
        every = who.installation is Role.ADMINISTRATOR
        return [out(tenant, who.role_in(tenant.id)) for tenant in found if every or who.role_in(tenant.id)]

    @api.post("/tenants", status_code=201, tags=["tenants"])
    def create_tenant(asked: NewTenant, request: Request) -> TenantOut:
        """Make a tenant with a key, a store and a worker of its own."""
        who = principal(request)
        with services.change(who, "create-tenant", kind=ActionKind.SECURITY, tenant=asked.id) as (
            session,
            note,
        ):
            level, at = Level(asked.audit_level), control.now()
            made = tenants.create(session, control.kek, asked.id, asked.name, at, level)
            if who.session is not None:
                people.grant(session, who.id, made.id, Role.ADMINISTRATOR, at)
            note |= {"object": made.id, "after": {"name": made.name, "audit_level": made.audit_level}}
        return out(made, Role.ADMINISTRATOR if who.session is not None else None)

    @api.get("/tenants/{tenant}", tags=["tenants"])
    def get_tenant(tenant: str, request: Request) -> TenantOut:
        """One tenant."""
        with control.database.read() as session:
            return out(tenants.tenant(session, tenant), principal(request).role_in(tenant))

    @api.patch("/tenants/{tenant}", tags=["tenants"])
    def change_tenant(tenant: str, asked: TenantChange, request: Request) -> TenantOut:
        """Rename a tenant, or change how much it writes into its audit log."""
        who = principal(request)
        with services.change(
            who, "change-tenant", kind=ActionKind.SECURITY, tenant=tenant, object=tenant
        ) as (session, note):
            before = tenants.tenant(session, tenant)
            level = Level(asked.audit_level) if asked.audit_level else None
            after = tenants.change(session, tenant, name=asked.name, audit_level=level)
            note |= {"before": _open(before), "after": _open(after)}
        if after.audit_level != before.audit_level:
            # Its worker was told the level when it started; the next request starts another.
            services.supervisor.stop(tenant)
        return out(after, who.role_in(tenant))

    @api.delete("/tenants/{tenant}", status_code=204, tags=["tenants"])
    def destroy_tenant(
        tenant: str,
        request: Request,
        confirm: str = Query(description="The tenant's identifier, typed again."),
    ) -> None:
        """Destroy a tenant's key and its data. There is no way back."""
        if confirm != tenant:
            raise Problem(409, "The tenant was not destroyed.", action="Type its identifier to confirm.")
        who = principal(request)
        with services.change(
            who, "destroy-tenant", kind=ActionKind.SECURITY, tenant=tenant, object=tenant
        ) as (
            session,
            note,
        ):
            note["before"] = {"name": tenants.tenant(session, tenant).name}
            tenants.erase(session, tenant, control.now())
        # The key is gone from the database; now from memory, and from the pages of its file.
        services.supervisor.stop(tenant, timeout=10.0)
        control.database.scrub()
        shutil.rmtree(services.settings.tenant_dir(tenant), ignore_errors=True)

    @api.get("/settings", tags=["settings"])
    def settings() -> dict[str, Any]:
        """The settings in force. None of them is secret; the database's address comes without its password."""
        found = services.settings.model_dump(mode="json")
        address = repr(control.database).removeprefix("Database(").removesuffix(")")
        return found | {"database_url": address}

    @api.get("/keys", tags=["settings"])
    def keys() -> RootKey:
        """The root key: what it is, where it is kept, and when it was changed. Never the key."""
        chosen = services.settings
        with control.database.read() as session:
            made = installation.made(session)
            last = control_audit.events(session, search=Search(action="rotate-root-key"), limit=1)
            count = len(tenants.tenants(session))
        return RootKey(
            kind=chosen.kek,
            place=str(chosen.key_file if chosen.kek == "file" else chosen.passphrase_file),
            made=made,
            changed=datetime.fromisoformat(last[0].at) if last else None,
            changed_by=last[0].who if last else "",
            tenants=count,
        )

    @api.get("/doctor", tags=["settings"])
    def doctor() -> list[Finding]:
        """What this installation needs, looked at now, one by one."""
        return [Finding(**vars(found)) for found in examine(services.settings)]

    return api


def _open(tenant: tenants.Tenant) -> dict[str, str]:
    return {"name": tenant.name, "audit_level": tenant.audit_level}
