"""Who may do what: one table over every route. A route that is not in it is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal


class Role(StrEnum):
    """What a member may do in a tenant. The first four contain each other; the auditor stands beside."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ENGINEER = "engineer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What a route asks for.

    `self` needs a sign-in and nothing else; `install` needs an administrator of the whole installation;
    the others are asked of the caller's role in the tenant concerned.
    """

    SELF = "self"
    READ = "read"
    WORK = "work"
    BUILD = "build"
    ADMINISTER = "administer"
    AUDIT = "audit"
    INSTALL = "install"
    INSTALL_AUDIT = "install-audit"


GRANTS: dict[Permission, frozenset[Role]] = {
    Permission.READ: frozenset(Role),
    Permission.WORK: frozenset({Role.ANALYST, Role.ENGINEER, Role.ADMINISTRATOR}),
    Permission.BUILD: frozenset({Role.ENGINEER, Role.ADMINISTRATOR}),
    Permission.ADMINISTER: frozenset({Role.ADMINISTRATOR}),
    Permission.AUDIT: frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
}

Where = Literal["control", "tenant"]


@dataclass(frozen=True)
class Entry:
    """One line of the table. `tenant` routes are given relative to `/api/v1/tenants/{tenant}`."""

    where: Where
    method: str
    path: str
    permission: Permission


def _entries(where: Where, permission: Permission, lines: str) -> list[Entry]:
    found = []
    for line in lines.strip().splitlines():
        methods, path = line.split()
        found += [Entry(where, method, path, permission) for method in methods.split(",")]
    return found


# Reads with a body (suggest, preview, query …) change nothing, so they ask for what they show:
# trying a mapping is an analyst's work, asking the store is open to every reader.
TABLE: tuple[Entry, ...] = (
    *_entries("control", Permission.SELF, """
        GET,PATCH          /api/v1/me
        GET                /api/v1/me/sessions
        DELETE             /api/v1/me/sessions/{session}
        POST               /api/v1/me/password
        POST               /api/v1/me/sign-out-everywhere
        GET                /api/v1/tenants
        GET,POST           /api/v1/api-keys
        DELETE             /api/v1/api-keys/{key}
    """),
    *_entries("control", Permission.READ, """
        GET                /api/v1/tenants/{tenant}
        GET                /api/v1/schedules
        GET                /api/v1/schedules/{schedule}
        GET                /api/v1/schedules/{schedule}/firings
        POST               /api/v1/schedules/next
    """),
    *_entries("control", Permission.BUILD, """
        POST               /api/v1/schedules
        PUT,DELETE         /api/v1/schedules/{schedule}
    """),
    *_entries("control", Permission.WORK, """
        POST               /api/v1/schedules/{schedule}/fire
    """),
    *_entries("control", Permission.INSTALL, """
        POST               /api/v1/tenants
        PATCH,DELETE       /api/v1/tenants/{tenant}
        GET,POST           /api/v1/users
        GET,PATCH,DELETE   /api/v1/users/{user}
        POST               /api/v1/users/{user}/password
        POST               /api/v1/users/{user}/sign-out-everywhere
        PUT,DELETE         /api/v1/users/{user}/memberships/{tenant}
        GET                /api/v1/settings
        GET                /api/v1/keys
        GET                /api/v1/doctor
    """),
    *_entries("control", Permission.INSTALL_AUDIT, """
        GET                /api/v1/audit
        GET                /api/v1/audit/summary
        GET                /api/v1/audit/export
        GET                /api/v1/audit/{seq}
        POST               /api/v1/audit/verify
    """),
    *_entries("tenant", Permission.READ, """
        GET                /connectors
        GET                /feeds
        GET                /samples
        GET                /steps
        GET                /operators
        GET                /kinds
        GET                /vocabularies
        GET                /state
        GET                /standing
        GET                /standing/counts
        GET                /credentials
        GET                /credentials/{id}
        GET                /sources
        GET                /sources/{id}
        GET                /sources/{id}/preview
        GET                /sources/{id}/profile
        GET                /sources/{id}/sample
        GET                /sources/{id}/outline
        POST               /sources/{id}/rows
        GET                /targets
        GET                /targets/{name}
        GET                /pipelines
        GET                /pipelines/{id}
        GET                /pipelines/{id}/versions
        GET                /pipelines/{id}/versions/{version}
        GET                /pipelines/{id}/export
        GET                /pipelines/{id}/lineage
        GET                /pipelines/{id}/drift
        GET                /pipelines/{id}/cursor
        POST               /pipelines/{id}/cursor/try
        GET                /templates
        GET                /templates/{id}
        GET                /templates/{id}/versions
        GET                /drafts
        GET                /drafts/{subject}
        POST               /drafts/{subject}/here
        GET                /runs
        GET                /runs/{run}
        GET                /runs/{run}/undo
        GET                /runs/{run}/changes
        GET                /waiting
        GET                /publications
        GET                /publications/{id}
        GET                /publications/{id}/deliveries
        GET                /publications/{id}/deliveries/{delivery}
        GET                /rejects
        GET                /rejects/causes
        GET                /rejects/export
        GET                /rejects/{id}
        GET                /rejects/{id}/around
        POST               /query
        DELETE             /query/{name}
        GET                /tables
        GET,DELETE         /queries/history
        GET                /queries/saved
        GET,PUT            /preferences/{name}
        GET                /records
        GET                /records/{target}
        GET                /records/{target}/facets
        GET                /records/{target}/{key}
        GET                /records/{target}/{key}/relations
        GET                /lineage/{target}/{key}
        GET                /export/{target}
        GET                /export/{target}/manifest
        GET                /export/query/{asked}
    """),
    *_entries("tenant", Permission.WORK, """
        POST               /uploads
        GET,HEAD,PATCH     /uploads/{id}
        DELETE             /uploads/{id}
        POST               /uploads/{id}/finish
        POST               /payloads
        POST               /sources
        POST               /sources/join
        POST               /credentials
        POST               /credentials/{id}/check
        PATCH              /sources/{id}
        POST               /sources/{id}/check
        POST               /connectors/{name}/check
        POST               /connectors/{name}/browse
        POST               /connectors/{name}/answer
        POST               /suggest
        POST               /preview
        POST               /trace
        POST               /offers
        POST               /readings
        POST               /values
        POST               /difference
        POST               /mappings/text
        POST               /mappings/read
        POST               /targets/propose
        POST               /rules/offers
        POST               /rules/try
        POST               /impact
        POST               /pipelines/{id}/drift/{run}/try
        POST               /templates/{id}/apply
        PUT,DELETE         /drafts/{subject}
        POST               /drafts/{subject}/undo
        POST               /drafts/{subject}/redo
        POST               /ingest
        POST               /pipelines/{id}/runs
        POST               /runs/{run}/cancel
        POST               /publications/{id}/deliveries
        POST               /publications/{id}/deliveries/{delivery}/cancel
        GET                /runs/{run}/payloads/{number}
        POST               /queries/saved
        DELETE             /queries/saved/{id}
        PATCH              /rejects/{id}
        POST               /rejects/{id}/check
        POST               /rejects/try
        POST               /rejects/repair
        POST               /rejects/take-back
        POST               /rejects/replay
    """),
    *_entries("tenant", Permission.BUILD, """
        DELETE             /sources/{id}
        PATCH,DELETE       /credentials/{id}
        POST               /credentials/{id}/rotate
        POST               /targets
        PUT,DELETE         /targets/{name}
        POST               /pipelines
        PUT,DELETE         /pipelines/{id}
        POST               /pipelines/import
        PUT                /pipelines/{id}/contract
        PUT                /pipelines/{id}/cursor
        POST               /pipelines/{id}/cursor/rewind
        POST               /pipelines/{id}/drift/accept
        POST               /pipelines/{id}/drift/dismiss
        POST               /publications
        PUT,DELETE         /publications/{id}
        POST               /templates
        POST               /feeds
        DELETE             /feeds/{id}
        PUT,DELETE         /templates/{id}
        POST               /runs/{run}/undo
    """),
    *_entries("tenant", Permission.ADMINISTER, """
        POST               /credentials/elsewhere
    """),
    *_entries("tenant", Permission.AUDIT, """
        GET                /audit
        GET                /audit/summary
        GET                /audit/export
        GET                /audit/{seq}
        POST               /audit/verify
    """),
)  # fmt: skip


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[a-z_]+(?::path)?\})", path)
    body = "".join(
        (".+" if part.endswith(":path}") else "[^/]+") if part.startswith("{") else re.escape(part)
        for part in parts
    )
    return re.compile(body)


# Literal segments win over parameters, as they do in the routers: /rejects/causes is not /rejects/{id}.
_SORTED = sorted(TABLE, key=lambda entry: [segment.startswith("{") for segment in entry.path.split("/")])
_COMPILED = tuple((entry, _pattern(entry.path)) for entry in _SORTED)


def find(where: Where, method: str, path: str) -> Entry | None:
    """The table's line for a request, or None: then it is refused. HEAD asks for what GET asks for."""
    methods = {method, "GET"} if method == "HEAD" else {method}
    for entry, pattern in _COMPILED:
        if entry.where == where and entry.method in methods and pattern.fullmatch(path):
            return entry
    return None


@lru_cache(maxsize=1)
def templates() -> frozenset[tuple[str, str, str]]:
    """Every (where, method, path) the table knows, for comparing with the API's own description."""
    return frozenset((entry.where, entry.method, re.sub(":path}", "}", entry.path)) for entry in TABLE)


def allows(permission: Permission, role: Role | None) -> bool:
    """Whether a role in the tenant concerned carries a tenant permission."""
    return role is not None and role in GRANTS.get(permission, frozenset())
