"""The gateway, put together: one ASGI app of Streamlit, the control API, the workers' forwarding and the door."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.accounts import FIRST_TENANT, Accounts
from app.auth import Live
from app.control import Control, open_control
from app.forward import Caller, Forwarder
from app.gateway import audit_api, description, guide, people_api, schedules_api, tenants_api
from app.gateway.authorise import Authorise, unknown
from app.gateway.door import Door
from app.gateway.guard import Guard
from app.gateway.services import Services
from app.gateway.telemetry import Telemetry
from app.gateway.witness import Witness
from app.problems import problem_from, problem_of, unfit
from app.scheduler import Scheduler
from app.settings import Settings
from app.supervisor import Supervisor
from engine.errors import SpireError, Stop
from storage.control import sessions, tenants

log = logging.getLogger(__name__)
MAIN = Path(__file__).resolve().parent.parent / "main.py"
TENANT_APP = "app.tenant.api:create_app"
COLLECT = 15.0
DESCRIBING = "app.tenant.api:build"

_services: Services | None = None


@dataclass(frozen=True)
class Gateway:
    """The app to serve, and its parts."""

    app: ASGIApp
    services: Services
    document: Callable[[], dict[str, Any]]


def current() -> Services:
    """The parts of the gateway this process serves: for the Streamlit scripts, which run inside it."""
    if _services is None:
        raise Stop("The pages are served by `spire serve`, not by streamlit.")
    return _services


def create(settings: Settings, *, tenant_app: str = TENANT_APP, control: Control | None = None) -> Gateway:
    """The gateway on these settings. `tenant_app` names the factory workers serve."""
    global _services
    control = control or open_control(settings)
    live = Live()
    accounts = Accounts(control, live)
    supervisor = Supervisor(settings, control, app=tenant_app)
    witness = Witness(control)
    forwarder = Forwarder(supervisor, witness.seen)
    services = Services(
        settings, control, accounts, live, supervisor, forwarder, Scheduler(control, forwarder)
    )
    _first_tenant(control)
    telemetry = Telemetry(services)
    api = control_app(services)
    made: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not made:
            made.update(description.combined(api, _described(tenant_app)))
        return made

    ours = _Counted(_router(services, api, telemetry, document, witness), telemetry)
    app = _streamlit(services, ours)
    _services = services
    return Gateway(app, services, document)


def control_app(services: Services) -> FastAPI:
    """The control plane's own API."""
    api = FastAPI(title="Phantom Spire", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    for module in (people_api, tenants_api, schedules_api, audit_api):
        api.include_router(module.router(services))

    @api.exception_handler(SpireError)
    async def ours(request: Request, error: SpireError) -> Response:
        return problem_of(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        where, told = unfit(error.errors())[0]
        return problem_from(422, "What was sent does not fit.", detail=told, where=where)

    @api.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem_from(error.status_code, str(error.detail))

    return api


def _router(
    services: Services,
    api: FastAPI,
    telemetry: Telemetry,
    document: Callable[[], dict[str, Any]],
    witness: Witness,
) -> ASGIApp:
    def verify(tenant: str, caller: Caller) -> Awaitable[Response]:
        return witness.verify(services.forwarder, tenant, caller)

    authorised = Authorise(api, services.forwarder, services.control.record, verify)

    async def openapi(request: Request) -> Response:
        if request.state.principal is None:
            return problem_from(401, "Sign in first, or send an API key.")
        return JSONResponse(await asyncio.to_thread(document))

    async def api_docs(request: Request) -> Response:
        if request.state.principal is None:
            return RedirectResponse("/sign-in?next=/api-docs", 303)
        return description.page(await asyncio.to_thread(document))

    routes: list[BaseRoute] = [
        Route("/health", telemetry.health),
        Route("/metrics", telemetry.metrics),
        Route("/api-docs", api_docs),
        *guide.routes(),
        Route("/api/openapi.json", openapi),
        *Door(services.accounts, services.settings).routes(),
        Mount("/api", app=_unmounted(authorised)),
    ]

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        await unknown(Request(scope))(scope, receive, send)

    return Router(routes, default=nowhere, redirect_slashes=False)


def _unmounted(app: ASGIApp) -> ASGIApp:
    """The app behind a mount, seeing whole paths as the table and the routes have them."""

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": ""}, receive, send)

    return whole


class _Counted:
    """Counts the answers of our own routes."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._telemetry.count(message["status"])
            await send(message)

        await self._app(scope, receive, counted)


def _streamlit(services: Services, ours: ASGIApp) -> ASGIApp:
    import streamlit as st

    guard = Middleware(
        Guard,
        ours=ours,
        settings=services.settings,
        identify=services.accounts.identify,
        believed=services.accounts.believed,
        live=services.live,
    )
    app: ASGIApp = st.App(MAIN, lifespan=lambda app: lifespan(services), middleware=[guard])
    return app


@asynccontextmanager
async def lifespan(services: Services) -> AsyncIterator[dict[str, Any]]:
    """The gateway's life: interrupted runs go on, the scheduler beats; at the end workers finish their batch."""
    resuming = asyncio.create_task(asyncio.to_thread(services.supervisor.resume_interrupted))
    scheduler = services.scheduler
    await scheduler.start()
    scheduler.every(3600, lambda: _forget(services.control))
    # Streamlit gives uvicorn's access log a handler again; addresses with tokens have no place in a log.
    logging.getLogger("uvicorn.access").disabled = True
    # Streamlit's collection after every rerun costs seconds under load (runner.postScriptGC is off);
    # what is loaded now stays, so it need not be looked at again.
    gc.collect()
    gc.freeze()
    scheduler.every(COLLECT, gc.collect)
    try:
        yield {"services": services}
    finally:
        await scheduler.stop()
        await services.forwarder.aclose()
        await asyncio.to_thread(services.supervisor.stop_all)
        await asyncio.gather(resuming, return_exceptions=True)
        services.control.close()


def _forget(control: Control) -> None:
    from datetime import timedelta

    with control.database.write() as session:
        sessions.forget_attempts(session, control.now() - timedelta(days=2))


def _first_tenant(control: Control) -> None:
    with control.database.write() as session:
        if not tenants.tenants(session, erased=True):
            tenants.create(session, control.kek, FIRST_TENANT, "Default", control.now())


def _described(tenant_app: str) -> FastAPI | None:
    """The tenant API as it describes itself. Only its shape is asked: no tenant is opened."""
    module, _, attribute = (DESCRIBING if tenant_app == TENANT_APP else tenant_app).partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    app = factory(None)
    return app if isinstance(app, FastAPI) else None


def heavy_imports() -> None:
    """Load what scripts will need, so that it is frozen and the first page is quick."""
    for name in ("pandas", "pyarrow", "streamlit.runtime.scriptrunner"):
        if name not in sys.modules:
            importlib.import_module(name)
