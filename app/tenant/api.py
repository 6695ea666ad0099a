"""The tenant API, put together: routes per noun, errors as problems, and interrupted runs going on at start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

import duckdb
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.grant import Grant
from app.problems import problem_from, problem_of, unfit
from app.tenant import journal, loading, publishing
from app.tenant.desk import Desk
from app.tenant.lately import Lately
from app.tenant.open import open_desk
from app.tenant.routes import (
    audit,
    browse,
    catalogue,
    credentials,
    cursors,
    drafts,
    drift,
    export,
    feeds,
    ingest,
    mappings,
    objects,
    pipelines,
    publications,
    queries,
    records,
    reject_export,
    rejects,
    runs,
    sources,
    standing,
    targets,
    templates,
    uploads,
)
from app.tenant.version import installed
from engine.errors import SpireError
from engine.steps.catalogue import BadMapping
from storage.definitions import NotFound
from storage.landing import NoSuchUpload
from storage.query import QueryRefused
from storage.store import MemoryFull, is_disk_full

# Uploads, exports and long questions each hold a thread while they last.
THREADS = 64
# An upload nobody has gone on with for so many seconds is given up.
ABANDONED = 7 * 86_400.0
QUIET = frozenset({"GET", "HEAD"})
ROUTERS = (
    uploads, sources, catalogue, targets, mappings, pipelines, runs, reject_export, rejects, records, objects, export, queries, audit, ingest, drafts, templates,
    standing, browse, publications, credentials, drift, cursors, feeds,
)  # fmt: skip


def create_app(grant: Grant) -> FastAPI:
    """The app of a worker: the grant's tenant is opened at start and closed at the end."""
    return build(lambda: open_desk(grant))


def app_on(desk: Desk) -> FastAPI:
    """The app on a desk that is open already and stays open; for the same process."""
    app = build(lambda: desk, close=False)
    app.state.desk = desk
    return app


def build(opened: Callable[[], Desk], *, close: bool = True) -> FastAPI:
    """The tenant API. `opened` gives the desk when serving begins."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        desk = await to_thread.run_sync(opened)
        app.state.desk = desk
        await to_thread.run_sync(desk.landing.sweep, ABANDONED)
        await to_thread.run_sync(loading.resume_interrupted, desk)
        await to_thread.run_sync(publishing.resume, desk)
        yield
        if close:
            await to_thread.run_sync(loading.pause, desk)
            await to_thread.run_sync(desk.store.close)

    app = FastAPI(
        title="Phantom Spire: a tenant",
        version=installed(),
        description="Sources become mapped, checked, deduplicated records; books that balance.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    for module in ROUTERS:
        app.include_router(module.router)
    app.add_middleware(Lately)
    app.add_middleware(Witnessed)
    app.add_exception_handler(SpireError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_request)
    app.add_exception_handler(ValidationError, _on_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(duckdb.Error, _on_database)
    return app


class Witnessed:
    """Tells with every answer that may follow a change where the journal stands: `X-Spire-Audit: count:hash`.

    The gateway keeps that elsewhere, so a journal whose end was cut off shows.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        quiet = scope["type"] != "http" or (
            scope["method"] in QUIET and not scope["path"].startswith(("/export/", "/rejects/export"))
        )
        if quiet or (scope["method"] == "PATCH" and scope["path"].startswith("/uploads/")):
            await self._app(scope, receive, send)
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                desk: Desk = scope["app"].state.desk
                head = await to_thread.run_sync(journal.head, desk)
                told = (b"x-spire-audit", f"{head.count}:{head.hash}".encode())
                message = {**message, "headers": [*message["headers"], told]}
            await send(message)

        await self._app(scope, receive, telling)


def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, SpireError)  # noqa: S101 - tells the type checker
    status = (
        404 if isinstance(error, NotFound | NoSuchUpload) else 422 if isinstance(error, BadMapping) else 0
    )
    if isinstance(error, QueryRefused) and error.position is not None:
        place = asdict(error.position)
        return problem_from(
            409,
            error.title,
            kind="urn:phantom-spire:stop",
            action=error.action,
            where=error.where,
            position=place,
        )
    if status:
        kind = "urn:phantom-spire:stop"
        return problem_from(status, error.title, kind=kind, action=error.action, where=error.where)
    return problem_of(error)


def _on_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
    (where, first), *rest = unfit(error.errors())
    return problem_from(
        422,
        "This request is not complete, or not in the form it should have.",
        detail="; ".join([first, *(f"{name}: {told}" for name, told in rest[:4])]),
        where=where,
        action="Correct it and send it again.",
    )


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem_from(
        error.status_code, str(error.detail), where=request.url.path, headers=dict(error.headers or {})
    )


def _on_database(request: Request, error: Exception) -> Response:
    # What DuckDB says may quote a value of a record, so only its kind is passed on.
    if is_disk_full(error):
        return problem_from(
            503, "The disk is full. Nothing of this was kept.", action="Free some space, then try again."
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return problem_of(MemoryFull())
    return problem_from(
        500, "Phantom Spire made a mistake here. Nothing was changed.", where=type(error).__name__
    )
