"""Serving the gateway: uvicorn on our address, TLS 1.3 where a certificate is given, and where to go printed."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import uvicorn

from app.control import Control
from app.gateway.application import TENANT_APP, create, heavy_imports
from app.settings import Settings
from app.supervisor import ROOT
from app.worker import TURN
from storage.control import installation

# Streamlit's largest message; uvicorn's default of 16 MB would cut pages off.
MESSAGE_LIMIT = 200 << 20


def tls13(config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """uvicorn's context, speaking TLS 1.3 and nothing older."""
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def options(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told. Streamlit's own settings of these are not read by it."""
    found: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "ws": "websockets-sansio",
        "ws_max_size": MESSAGE_LIMIT,
        "ws_per_message_deflate": False,
        "ws_ping_interval": 30,
        "ws_ping_timeout": 30,
        "timeout_graceful_shutdown": 5,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "log_level": settings.log_level if settings.log_level == "debug" else "warning",
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies) or "",
    }
    if settings.tls_cert is not None:
        found |= {
            "ssl_certfile": str(settings.tls_cert),
            "ssl_keyfile": str(settings.tls_key),
            "ssl_context_factory": tls13,
        }
    return found


def set_up_link(control: Control) -> str | None:
    """A fresh link for the first administrator, or None where there is an account already."""
    with control.database.write() as session:
        if not installation.needs_setup(session):
            return None
        lifetime = timedelta(seconds=control.settings.set_up_length)
        token = installation.issue_setup(session, control.keys, control.now(), lifetime)
    return f"{control.settings.url}/setup?token={token}"


class _Announcing(uvicorn.Server):
    """Says where to go once it can be gone to."""

    words: tuple[str, ...] = ()
    say: Callable[[str], None]

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            for line in self.words:
                self.say(line)


def serve(settings: Settings, say: Callable[[str], None], *, tenant_app: str = TENANT_APP) -> None:
    """Serve until told to stop. `say` prints a line: the address, and at first the set-up link."""
    # Streamlit looks for its configuration where it was started from.
    os.chdir(ROOT / "app")
    # The event loop must not wait a whole turn of every script that runs.
    sys.setswitchinterval(TURN)
    heavy_imports()
    gateway = create(settings, tenant_app=tenant_app)
    link = set_up_link(gateway.services.control)
    server = _Announcing(uvicorn.Config(gateway.app, **options(settings)))
    server.say = say
    server.words = (
        f"Phantom Spire is at {settings.url}",
        *((f"Create the first administrator (once, within a day): {link}",) if link else ()),
    )
    server.run()
