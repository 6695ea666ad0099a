"""Workers' lives: started on demand, one per tenant, healed when they die, stopped with us."""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from app.control import Unlocked
from app.grant import Grant, working_marker
from app.settings import Settings
from app.worker import EXIT_OWNED, inherited, owned
from engine.errors import Retry, Stop

BACK_OFF = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
# A worker that lived this long was well: its death starts the back-off anew.
WELL = 30.0
# How long a worker that refuses connections may take to end or to come back.
SETTLE = 20.0
ROOT = Path(__file__).resolve().parent.parent


class WorkerDown(Retry):
    """The tenant's worker does not answer. It is being started again."""


class WorkerBroken(Stop):
    """The tenant's worker does not start."""


class Keys(Protocol):
    """Where a tenant's key comes from (`app.control.Control`); a Stop where it can't be had."""

    def unlock(self, tenant: str) -> Unlocked: ...


@dataclass
class Worker:
    """One tenant's worker as its parent sees it. `process` is None where another parent started it."""

    tenant: str
    socket: Path
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    stopping: bool = False
    deaths: int = 0
    started: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def alive(self) -> bool:
        """Whether it answered its first health check and has not ended since."""
        return self.ready and self.process is not None and self.process.poll() is None


class Spawner:
    """Starts processes from one thread that never ends.

    PR_SET_PDEATHSIG fires when the *thread* that forked ends, and the web server's threads come and go.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Future[subprocess.Popen[bytes]], bytes] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._work, name="spawner", daemon=True).start()

    def spawn(self, grant: bytes) -> subprocess.Popen[bytes]:
        """A worker that has been handed its grant."""
        future: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((future, grant))
        return future.result()

    def close(self) -> None:
        """End the thread, and with it every worker still running."""
        self._orders.put(None)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            future, grant = order
            try:
                future.set_result(self._start(grant))
            except OSError as error:
                future.set_exception(error)

    @staticmethod
    def _start(grant: bytes) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.worker"], stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True,
            env=inherited(os.environ),
        )  # fmt: skip
        # A worker that died at once is found by the health wait; its pipe is not the place to say so.
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(grant)
                process.stdin.flush()
        return process


class Supervisor:
    """Gives the socket of a tenant's living worker. Thread-safe.

    The tenant's file lock decides who owns the store: where another process holds it, we use that worker.
    `control` gives the keys; `app` names the factory of the tenant API.
    """

    def __init__(
        self,
        settings: Settings,
        control: Keys,
        *,
        app: str = "app.tenant.api:create_app",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._control = control
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._spawner = Spawner()
        self._closed = False
        self.restarts = 0

    def socket(self, tenant: str, *, doubt: bool = False) -> Path:
        """The socket of the tenant's worker, started if need be and answering.

        `doubt` says that it just refused a connection: it may be ending, so look twice. Raises NoSuchTenant and its like, WorkerDown while it is being healed, WorkerBroken where it won't start.
        """
        worker = self._worker(tenant)
        if worker.alive and not doubt:
            return worker.socket
        with worker.lock:
            if doubt:
                self._settle(worker)
            if not worker.alive:
                self._start(worker)
        return worker.socket

    async def socket_async(self, tenant: str, *, doubt: bool = False) -> Path:
        """As `socket`, without holding up the event loop."""
        with self._lock:
            worker = self._workers.get(tenant)
        if worker is not None and worker.alive and not doubt:
            return worker.socket
        return await asyncio.to_thread(self.socket, tenant, doubt=doubt)

    def running(self) -> dict[str, int]:
        """The process ids of our living workers by tenant."""
        with self._lock:
            workers = list(self._workers.values())
        return {
            w.tenant: w.process.pid for w in workers if w.process is not None and w.process.poll() is None
        }

    def resume_interrupted(self) -> list[str]:
        """Start the workers whose runs a crash interrupted, so that they finish them. Gives their tenants."""
        resumed = []
        for folder in sorted((self.settings.data_dir / "tenants").glob("*")):
            if working_marker(folder).exists():
                with suppress(Retry, Stop):
                    self.socket(folder.name)
                    resumed.append(folder.name)
        return resumed

    def stop(self, tenant: str, timeout: float = 60.0) -> None:
        """Let the tenant's worker finish its batch and end it; kill it after `timeout` seconds."""
        with self._lock:
            worker = self._workers.pop(tenant, None)
        if worker is not None:
            with worker.lock:
                self._end(worker, timeout)

    def stop_all(self, timeout: float = 60.0) -> None:
        """Stop every worker of ours, all at once. The supervisor starts none after this."""
        self._closed = True
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        for worker in workers:
            worker.stopping = True
            if worker.process is not None and worker.process.poll() is None:
                worker.process.terminate()
        for worker in workers:
            with worker.lock:
                self._end(worker, timeout)
        self._spawner.close()

    def _worker(self, tenant: str) -> Worker:
        with self._lock:
            if tenant not in self._workers:
                self._workers[tenant] = Worker(tenant, self.settings.socket_path(tenant))
            return self._workers[tenant]

    def _grant(self, worker: Worker) -> Grant:
        settings, unlocked = self.settings, self._control.unlock(worker.tenant)
        return Grant(
            tenant=worker.tenant,
            key=unlocked.key,
            check=unlocked.check,
            folder=settings.tenant_dir(worker.tenant),
            socket=worker.socket,
            memory=int(settings.worker_memory),
            threads=settings.worker_threads,
            idle=settings.worker_idle,
            audit_level=unlocked.audit_level.value,
            upload_limit=int(settings.upload_limit),
            url_allow=settings.url_allow,
            folders=settings.folders,
            environment=settings.environment_of(worker.tenant),
            vault=settings.vault,
            log_level=settings.log_level,
            app=self._app,
        )

    def _start(self, worker: Worker) -> None:
        if self._closed:
            raise WorkerDown(worker.tenant, action="The server is stopping.")
        try:
            grant = self._grant(worker)
        except Stop:
            with self._lock:
                self._workers.pop(worker.tenant, None)
            raise
        if worker.process is None and owned(grant.folder) and self._await_health(worker, grant.folder):
            return
        self._pause(worker)
        worker.ready, worker.process = False, self._spawner.spawn(grant.to_json())
        worker.started = self._clock()
        try:
            if not self._await_health(worker, grant.folder):
                raise WorkerDown(worker.tenant, action="Another process has just let go of it; try again.")
        except WorkerDown:
            worker.deaths += 1
            raise
        if worker.process is not None:
            healer = threading.Thread(
                target=self._heal, args=(worker, worker.process), name="healer", daemon=True
            )
            healer.start()

    @staticmethod
    def _settle(worker: Worker) -> None:
        until = time.monotonic() + SETTLE
        while worker.alive and not healthy(worker.socket, worker.tenant):
            if time.monotonic() > until:
                raise WorkerDown(worker.tenant, action="It is busy; try again in a moment.")
            time.sleep(0.02)

    def _pause(self, worker: Worker) -> None:
        if worker.process is not None and self._clock() - worker.started > WELL:
            worker.deaths = 0
        if worker.deaths >= len(BACK_OFF):
            # Not forever: every later request tries once more, after the longest pause.
            worker.deaths = len(BACK_OFF) - 1
        wait = worker.started + BACK_OFF[worker.deaths] - self._clock()
        if worker.deaths and wait > 1.0:
            raise WorkerDown(worker.tenant, action=f"Try again in {wait:.0f} seconds.")
        if worker.deaths and wait > 0:
            time.sleep(wait)

    def _await_health(self, worker: Worker, folder: Path) -> bool:
        """Wait until it answers. False where it is not ours, and whoever had the folder is gone without an answer."""
        until = time.monotonic() + self.settings.worker_start
        pause = 0.01
        while time.monotonic() < until:
            code = worker.process.poll() if worker.process is not None else None
            if code == EXIT_OWNED:
                # Another process won the lock between our look and our start: its worker is the one.
                worker.process = None
            elif code is not None:
                raise WorkerDown(worker.tenant, action=f"Its process ended with {code}; see its log above.")
            if healthy(worker.socket, worker.tenant):
                worker.ready = True
                return True
            if worker.process is None and not owned(folder):
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        if worker.process is not None:
            self._end(worker, 1.0)
        raise WorkerBroken(
            worker.tenant, action=f"It did not answer within {self.settings.worker_start:.0f} seconds."
        )

    def _heal(self, worker: Worker, process: subprocess.Popen[bytes]) -> None:
        # A death other than asked for may have interrupted a run, so we don't wait for the next request.
        code = process.wait()
        while code != 0 and not worker.stopping and not self._closed:
            with worker.lock:
                if worker.process is not process:
                    return
                worker.deaths += 1
                self.restarts += 1
                try:
                    self._start(worker)
                except Retry:
                    pass
                except Stop:
                    return
                else:
                    return
            time.sleep(BACK_OFF[min(worker.deaths, len(BACK_OFF) - 1)])
            process = worker.process or process

    @staticmethod
    def _end(worker: Worker, timeout: float) -> None:
        worker.stopping = True
        process = worker.process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


def healthy(socket: Path, tenant: str, timeout: float = 2.0) -> bool:
    """Whether the worker of this tenant answers on the socket, and it is ours to trust."""
    try:
        if socket.lstat().st_uid != os.getuid():
            return False
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=timeout) as client:
            answer = client.get("http://worker/health")
            return answer.status_code == 200 and answer.json().get("tenant") == tenant
    except (httpx.TransportError, FileNotFoundError):
        return False
