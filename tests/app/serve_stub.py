"""A whole gateway in a process of its own, for tests: `python -m tests.app.serve_stub`, settings by SPIRE_*."""

from __future__ import annotations

from app.gateway.serve import serve
from app.settings import Settings

if __name__ == "__main__":
    serve(Settings(), lambda line: print(line, flush=True), tenant_app="tests.app.tenant_stub:create_app")
