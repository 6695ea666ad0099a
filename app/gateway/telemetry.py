"""How the gateway is: `/health` for whoever watches, `/metrics` in Prometheus' text format."""

from __future__ import annotations

import os
import resource
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.auth import Principal
from app.gateway.services import Services
from app.problems import problem_from
from app.roles import Permission


class Telemetry:
    """Counts answers by class and tells the state of the parts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started = time.time()
        self.answers = {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0}

    def count(self, status: int) -> None:
        """Note one answer."""
        self.answers[f"{min(max(status // 100, 1), 5)}xx"] += 1

    async def health(self, request: Request) -> Response:
        """Whether we serve. Says nothing about whom."""
        return JSONResponse({"status": "ok", "uptime": round(time.time() - self._started, 1)})

    async def metrics(self, request: Request) -> Response:
        """The numbers, for an auditor or administrator of the installation or their API key."""
        who: Principal | None = request.state.principal
        if who is None or not who.may(Permission.INSTALL_AUDIT):
            return problem_from(
                401 if who is None else 403,
                "The metrics are for administrators and auditors of the installation.",
            )
        services = self._services
        lines = [
            *_metric("spire_workers", "gauge", "Workers running.", len(services.supervisor.running())),
            *_metric(
                "spire_worker_restarts_total", "counter", "Workers healed.", services.supervisor.restarts
            ),
            *_metric("spire_pages_open", "gauge", "Open pages.", services.live.count()),
            *_metric(
                "spire_schedule_fired_total", "counter", "Runs the scheduler began.", services.scheduler.fired
            ),
            *_metric(
                "process_start_time_seconds", "gauge", "Start of this process.", round(self._started, 3)
            ),
            *_metric("process_resident_memory_bytes", "gauge", "Memory of this process.", _resident()),
            "# HELP spire_http_answers_total Answers by class of status.",
            "# TYPE spire_http_answers_total counter",
            *(f'spire_http_answers_total{{status="{name}"}} {count}' for name, count in self.answers.items()),
        ]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _metric(name: str, kind: str, told: str, value: float) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}", f"{name} {value}"]


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
