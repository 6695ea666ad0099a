"""The installation: its root key, its settings in force, and its health."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.roles import Permission
from app.settings import Settings
from app.widgets import access, frame, words
from app.widgets.access import control
from app.widgets.listing import Column, Row, cell, listing

GROUPS = {
    "Where it is": ("data_dir", "database_url", "log_level"),
    "Address": (
        "host", "port", "public_url", "tls_cert", "tls_key", "allowed_hosts", "allowed_origins", "trusted_proxies",
    ),
    "Root key": ("kek", "key_file", "passphrase_file"),
    "Limits": ("upload_limit", "worker_memory", "worker_threads", "worker_idle", "worker_start"),
    "What sources may reach": ("url_allow", "folders"),
    "Credentials kept elsewhere": (
        "environment_allow", "vault_address", "vault_token_file", "vault_authority", "vault_mount", "vault_prefix",
    ),
    "Sign-in and audit": ("sign_in_idle", "sign_in_length", "set_up_length", "audit_level"),
}  # fmt: skip
SIZES = {"upload_limit", "worker_memory"}
SPANS = {"worker_idle", "worker_start", "sign_in_idle", "sign_in_length", "set_up_length"}


def _closed() -> bool:
    off = access.why_not(Permission.INSTALL)
    if off:
        frame.warn(f"This is kept by the installation. {escape(off)}")
    return off is not None


def keys() -> None:
    """Which root key wraps the tenants' keys, since when, and how it is changed."""
    if _closed():
        return
    found: dict[str, Any] = control("GET", "/keys")
    made, changed = words.moment(found["made"]), words.moment(found["changed"])
    kind = "a key file" if found["kind"] == "file" else "a passphrase, stretched with Argon2id"
    by = f", by {escape(found['changed_by'])}" if changed else ""
    facts = [
        ("Root key", kind),
        ("Kept in", f'<span style="font-family: var(--mono); font-size: 12px">{escape(found["place"])}</span>'),
        ("Made", words.when(made)),
        ("Changed", f"{words.when(changed, 'never')}{by}"),
        ("It wraps", words.count(found["tenants"], "tenant's key", "tenants' keys") + ", and the installation's own"),
    ]  # fmt: skip
    told = "".join(f'<span class="k">{name}</span><span class="v">{value}</span>' for name, value in facts)
    left, right = st.columns(2, gap="small")
    with left, frame.panel("Root key", "it never leaves the server", key="root"):
        st.html(f'<div class="sp-facts">{told}</div>')
    with right, frame.panel("Change it", "on the server, in one transaction", key="rotate"):
        st.html("Every key is wrapped anew with another root key, all of them or none; no data is rewritten.")
        st.code("spire key rotate --new-key-file /path/outside/the/data/root.key", language=None)
        st.caption(
            "Then start Phantom Spire with the new key file, and keep the old one until its backups have expired."
        )
    if not changed:
        st.caption("A root key that others may have seen should be changed, and once a year in any case.")


def settings() -> None:
    """Every setting in force, with its variable. None is secret."""
    if _closed():
        return
    found: dict[str, Any] = control("GET", "/settings")
    grouped = {name for names in GROUPS.values() for name in names}
    rest = tuple(name for name in found if name not in grouped)
    for group, names in {**GROUPS, **({"Further": rest} if rest else {})}.items():
        rows = [_setting(name, found[name]) for name in names if name in found]
        with frame.panel(group, key=f"settings-{group}", flush=True):
            listing(
                group,
                [Column(width="25%"), Column(width="30%"), Column()],
                rows,
                key=f"list-{group}",
                widest=300,
            )
    st.caption(
        "Settings are variables of the server's environment, or flags of the same name. Restart to change one."
    )


def _setting(name: str, value: Any) -> Row:
    field = Settings.model_fields.get(name)
    about = (field.description or "") if field else ""
    return Row(
        name,
        [
            cell(f"SPIRE_{name.upper()}", tone="mono"),
            cell(_value(name, value), tone="muted" if value in (None, "", []) else "b", hint=str(value)),
            cell(about, tone="muted", wrap=True),
        ],
        go=False,
    )


def _value(name: str, value: Any) -> str:
    if value in (None, "", []):
        return "not set"
    if name in SIZES:
        return words.size(int(value))
    if name in SPANS:
        return words.seconds(float(value)).removesuffix(" 0 min").removesuffix(" 0 s")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def health() -> None:
    """What the doctor finds, now."""
    if _closed():
        return
    with st.spinner("Looking"):
        found: list[dict[str, Any]] = control("GET", "/doctor")
    ill = [finding for finding in found if not finding["ok"]]
    rows = [
        Row(
            finding["name"],
            [
                cell(finding["name"], tone="b"),
                cell("well", chip="ok") if finding["ok"] else cell("needs you", chip="bad"),
                cell(finding["detail"], sub=finding["action"], wrap=True),
            ],
            go=False,
        )
        for finding in sorted(found, key=lambda finding: finding["ok"])
    ]
    told = f"{words.count(len(ill), 'thing')} need you" if len(ill) != 1 else "1 thing needs you"
    with frame.panel("Health", told if ill else "all is well", key="health", flush=True):
        listing(
            "Health", [Column("Looked at", width="20%"), Column("State", width="96px"), Column("Found")], rows,
            key="health-list", widest=900,
        )  # fmt: skip
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    row.button("Look again", key="health-again")
    row.caption("The same as `spire doctor` on the server; `/health` and `/metrics` are for machines.")
