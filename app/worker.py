"""A tenant's worker: one process, one key, one store, one socket. `python -m app.worker`, grant on stdin.

The grant is one line of JSON on the inherited pipe. The pipe then stays open and says nothing: its end
means that the parent is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import importlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.grant import Grant
from app.settings import VARIABLE
from engine.errors import Stop

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
NICE = 5
# Seconds a thread may keep the interpreter while others wait. Requests are many short queries, each of which
# gives it up and asks for it again; at Python's 5 ms these waits added up to seconds with many readers.
TURN = 0.0005
# A page of documents makes thousands of objects and lets them go again: to look for garbage after every 700 of
# them, as Python does, is a tenth of a load.
GARBAGE = (20_000, 5, 5)
EXIT_OWNED = 75
# Memory from the C library in large pages where there are any: a load spends a fourteenth of its work less on
# having pages given to it. It is read before `main`, so it can't be set from within.
LARGE_PAGES = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
LINE_LIMIT = 1 << 20


class Owned(Stop):
    """Another process already works on this tenant."""


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker inherits of its parent's environment: all but credentials, of which the grant has its own."""
    name, large = LARGE_PAGES
    ours = {key: value for key, value in environment.items() if not key.startswith(VARIABLE)}
    return {**ours, name: ":".join(filter(None, [ours.get(name), large]))}


def own(folder: Path) -> int:
    """Take the tenant's folder for this process, or raise Owned. The kernel lets go when we die."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Owned(folder.name, action="Use the running worker, or stop it first.") from None
    return handle


def owned(folder: Path) -> bool:
    """Whether some process holds the tenant's folder now."""
    try:
        os.close(own(folder))
    except Owned:
        return True
    return False


def harden() -> None:
    """No core dump, no debugger, no life without the parent, short turns, and behind the web process in the queue."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    sys.setswitchinterval(TURN)
    with suppress(OSError):
        os.nice(NICE)


def read_grant(pipe: BinaryIO) -> Grant:
    """The grant from the pipe: one line, read once."""
    line = pipe.readline(LINE_LIMIT)
    if not line.endswith(b"\n"):
        raise SystemExit("The worker is started by the gateway or by a command, never by hand.")
    return Grant.from_json(line)


class Front:
    """Counts requests for the idle clock and answers `/health` before the tenant API sees it."""

    def __init__(self, app: ASGIApp, grant: Grant) -> None:
        self._app = app
        self._grant = grant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/health":
            state = {"tenant": self._grant.tenant, "pid": os.getpid(), "idle": self._grant.activity.idle()}
            await JSONResponse(state)(scope, receive, send)
        else:
            with self._grant.activity.request():
                await self._app(scope, receive, _yielding(send))


def _yielding(send: Send) -> Send:
    """A send that lets others run: writing to a reader who has left never waits, and would go on for ever."""

    async def yielding(message: Message) -> None:
        await send(message)
        if message.get("more_body"):
            await asyncio.sleep(0)

    return yielding


class Server(uvicorn.Server):
    """uvicorn that tells the run loop to stop after its batch before it closes the socket."""

    grant: Grant

    def stop(self) -> None:
        """Finish the batch under way and leave. Safe from any thread."""
        self.grant.stopping.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: object) -> None:
        self.stop()


def load(name: str) -> Callable[[Grant], ASGIApp]:
    """The app factory `module:function` names."""
    module, _, attribute = name.partition(":")
    # What imports make stays for good: looking through it for garbage was a fifth of the way up.
    gc.disable()
    factory: Callable[[Grant], ASGIApp] = getattr(importlib.import_module(module), attribute)
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()
    return factory


def _watch_parent(pipe: BinaryIO, server: Server) -> None:
    while pipe.read(1):
        pass
    server.stop()


async def _watch_idle(server: Server, grant: Grant) -> None:
    pause = min(max(grant.idle / 10, 0.05), 10)
    while not server.started:
        await asyncio.sleep(0.02)
    with grant.activity.request():
        pass  # the clock starts now: coming up was not idling
    while not server.should_exit:
        await asyncio.sleep(pause)
        if grant.activity.idle() > grant.idle:
            server.stop()


async def serve(grant: Grant, pipe: BinaryIO) -> None:
    """Serve the tenant API on the grant's socket until told to stop, orphaned or idle."""
    app = Front(load(grant.app)(grant), grant)
    config = uvicorn.Config(
        app,
        uds=str(grant.socket),
        log_level=grant.log_level if grant.log_level != "info" else "warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )
    server = Server(config)
    server.grant = grant
    threading.Thread(target=_watch_parent, args=(pipe, server), name="parent", daemon=True).start()
    idle = asyncio.create_task(_watch_idle(server, grant))
    # uvicorn opens the socket to all (0666); the 0700 folder shuts it, and we shut it again.
    opened = asyncio.create_task(_close_to_others(grant.socket, server))
    try:
        await server.serve()
    finally:
        idle.cancel()
        opened.cancel()
        with suppress(FileNotFoundError):
            grant.socket.unlink()


async def _close_to_others(socket: Path, server: Server) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    socket.chmod(0o600)


def main() -> int:
    """Run one worker. Exit 0: told to stop or idle; 75: another process owns the tenant."""
    pipe = os.fdopen(os.dup(0), "rb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    harden()
    grant = read_grant(pipe)
    try:
        lock = own(grant.folder)
    except Owned as owned_already:
        sys.stderr.write(f"{owned_already}\n")
        return EXIT_OWNED
    # Ours is the only process that may listen for this tenant now, so a socket here is a dead one's.
    with suppress(FileNotFoundError):
        grant.socket.unlink()
    try:
        asyncio.run(serve(grant, pipe))
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
