"""The client: the one way in for pages, the command line, tests and customers.

Over https with an API key, over the tenant's unix socket, or straight onto an ASGI app. A problem the
server tells becomes an exception that says what happened, where, and what to do.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from app.calls.mappings import Mappings
from app.calls.outward import Outward
from app.calls.records import Records
from app.calls.runs import Runs
from app.calls.sources import Sources
from app.wire import InProcess

TIMEOUT = httpx.Timeout(connect=10.0, write=120.0, read=960.0, pool=30.0)


class Client(Sources, Mappings, Runs, Records, Outward):
    """Everything a tenant's API offers, by method. Close it, or use it as a context manager. Thread-safe."""

    @classmethod
    def over_https(cls, url: str, api_key: str = "", tenant: str = "default", **options: Any) -> Client:
        """Through the gateway, as the API key allows."""
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT, **options)
        return cls(http, f"/api/v1/tenants/{tenant}")

    @classmethod
    def over_socket(
        cls, path: Path, tenant: str = "default", user: str = "local", role: str = "administrator"
    ) -> Client:
        """Straight to a tenant's worker: for whoever owns its socket, on the same machine."""
        transport = httpx.HTTPTransport(uds=str(path))
        headers = {"x-spire-user": user, "x-spire-role": role}
        return cls(
            httpx.Client(transport=transport, base_url="http://worker", headers=headers, timeout=TIMEOUT)
        )

    @classmethod
    def on_app(cls, app: Any, user: str = "local", role: str = "administrator") -> Client:
        """On an ASGI app in this process. Its lifespan is the caller's business."""
        headers = {"x-spire-user": user, "x-spire-role": role}
        transport = InProcess(app)
        return cls(
            httpx.Client(transport=transport, base_url="http://worker", headers=headers, timeout=TIMEOUT)
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
