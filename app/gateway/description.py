"""The API's own description: one OpenAPI document of control and tenant routes, and a page that shows it."""

from __future__ import annotations

import copy
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

from app.gateway import markup
from app.roles import Permission, find

PREFIX = "/api/v1/tenants/{tenant}"
METHODS = ("get", "post", "put", "patch", "delete", "head")
_TENANT = {
    "name": "tenant",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The tenant.",
}
PROBLEM = {
    "type": "object",
    "properties": {
        name: {"type": "integer" if name == "status" else "string"}
        for name in ("type", "title", "status", "detail", "action", "where")
    },
}
WORDS = {
    Permission.SELF: "anybody signed in",
    Permission.READ: "every role",
    Permission.WORK: "analyst, engineer, administrator",
    Permission.BUILD: "engineer, administrator",
    Permission.ADMINISTER: "administrator",
    Permission.AUDIT: "auditor, administrator",
    Permission.INSTALL: "administrator of the installation",
    Permission.INSTALL_AUDIT: "auditor or administrator of the installation",
}


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: names.get(value, value) if key == "$ref" else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(item, names) for item in node] if isinstance(node, list) else node


def combined(control: FastAPI, tenant: FastAPI | None) -> dict[str, Any]:
    """One document: the control routes as they are, the tenant's under its prefix, each with who may call it."""
    document = copy.deepcopy(control.openapi())
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    document["components"]["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "signIn": {"type": "apiKey", "in": "cookie", "name": "spire"},
    }
    document["security"] = [{"apiKey": []}, {"signIn": []}]
    if tenant is not None:
        theirs = copy.deepcopy(tenant.openapi())
        own = theirs.get("components", {}).get("schemas", {})
        # Both sides may call a model the same; a tenant's is then told apart.
        renamed = {name: f"Tenant{name}" if name in schemas else name for name in own}
        refs = {f"#/components/schemas/{old}": f"#/components/schemas/{new}" for old, new in renamed.items()}
        schemas |= {renamed[name]: _renamed(schema, refs) for name, schema in own.items()}
        for path, item in _renamed(theirs["paths"], refs).items():
            document["paths"][PREFIX + path] = {**item, "parameters": [_TENANT, *item.get("parameters", [])]}
    schemas["Problem"] = PROBLEM
    answer = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            where = path.removeprefix(PREFIX) if path.startswith(PREFIX + "/") else path
            entry = find("tenant" if where != path else "control", method.upper(), where)
            item[method]["x-permission"] = entry.permission.value if entry else "nobody"
            item[method].setdefault("responses", {})["default"] = {
                "description": "What went wrong.",
                "content": answer,
            }
    return document


def page(document: dict[str, Any]) -> HTMLResponse:
    """The document as a page to read: every route, what it does, who may call it."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            told = item[method]
            group = "Inside a tenant" if path.startswith(PREFIX + "/") else "Installation"
            text = told.get("description") or told.get("summary") or ""
            allowed = "nobody"
            if told["x-permission"] in set(Permission):
                allowed = WORDS[Permission(told["x-permission"])]
            groups.setdefault(group, []).append(
                f'<tr><td class="m">{method.upper()}</td><td><code>{escape(path)}</code>'
                f'<div class="muted">{escape(text)}</div></td><td class="muted">{escape(allowed)}</td></tr>'
            )
    body = (
        "<p>Send an API key as <code>Authorization: Bearer spire_…</code>. Errors are "
        "<code>application/problem+json</code> with what to do next in <code>action</code>. "
        'The same as a document: <a href="/api/openapi.json">/api/openapi.json</a>.</p>'
    )
    for name, rows in groups.items():
        body += f"<h2>{escape(name)}</h2><table><thead><tr><th>Method</th><th>Path</th><th>Who may</th></tr></thead>"
        body += f"<tbody>{''.join(rows)}</tbody></table>"
    return markup.page("API", body, wide=True)
