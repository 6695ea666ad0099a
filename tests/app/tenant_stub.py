"""A tiny tenant API: enough to prove how requests, uploads, exports and deaths pass through the gateway."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from app.grant import Grant
from app.problems import problem_from


def create_app(grant: Grant) -> FastAPI:
    """The stand-in for `app.tenant.api.create_app`."""
    api = FastAPI()
    runs: dict[str, dict[str, Any]] = {}

    @api.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        return {
            "tenant": grant.tenant,
            "pid": os.getpid(),
            "key": hashlib.sha256(grant.key).hexdigest(),
            "nice": os.nice(0),
            "headers": dict(request.headers.items()),
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
        }

    @api.post("/payloads")
    async def payloads(request: Request) -> dict[str, Any]:
        size, digest, most = 0, hashlib.sha256(), 0
        async for piece in request.stream():
            size += len(piece)
            most = max(most, len(piece))
            digest.update(piece)
        return {"size": size, "sha256": digest.hexdigest(), "largest": most}

    @api.get("/export/{target}")
    async def export(target: str, size: int = 0) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            block = b"x" * (1 << 16)
            left = size
            while left > 0:
                yield block[: min(left, len(block))]
                left -= len(block)

        return StreamingResponse(pieces(), headers={"set-cookie": "stolen=1", "x-spire-user": "forged"})

    @api.post("/pipelines/{id}/runs", status_code=202)
    async def start_run(id: str, request: Request) -> Any:
        answers = Path(grant.folder, "answers")
        words = answers.read_text().split() if answers.exists() else []
        if words:
            answers.write_text(" ".join(words[1:]))
        if words and words[0] == "retry":
            return problem_from(503, "The source did not answer.", action="We will try again.")
        run = f"r{len(runs) + 1}"
        took = float(words[0]) if words else 0.0
        runs[run] = {"run": run, "pipeline": id, "state": "running" if took else "finished"}
        if took:
            asyncio.get_running_loop().call_later(took, runs[run].update, {"state": "finished"})
        with Path(grant.folder, "fired").open("a") as log:
            log.write(f"{id} {request.headers['x-spire-user']}\n")
        return JSONResponse(runs[run], 202)

    @api.get("/runs/{run}")
    async def run_state(run: str) -> dict[str, Any]:
        return runs[run]

    @api.post("/publications/{id}/deliveries", status_code=202)
    async def deliver(id: str, request: Request) -> Any:
        with Path(grant.folder, "fired").open("a") as log:
            log.write(f"publication {id} {request.headers['x-spire-user']}\n")
        return {"delivery": 4, "state": "running"}

    @api.get("/publications/{id}/deliveries/{delivery}")
    async def delivery(id: str, delivery: int) -> dict[str, Any]:
        return {"delivery": delivery, "state": "finished", "refused": 2}

    @api.post("/ingest")
    async def ingest(seconds: float = 1.0) -> dict[str, str]:
        working = ExitStack()
        working.enter_context(grant.activity.work())

        def work() -> None:
            with working:
                if grant.stopping.wait(seconds):
                    Path(grant.folder, "finished-its-batch").touch()

        threading.Thread(target=work).start()
        return {"state": "running"}

    return api
