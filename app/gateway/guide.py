"""The guide's routes: its pages and pictures, for whoever is signed in."""

from __future__ import annotations

import asyncio
from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app import help
from app.gateway import markup
from app.problems import problem_from

CURRENT = ' aria-current="page"'


def routes() -> list[BaseRoute]:
    """The routes, for the gateway's own router."""
    return [
        Route("/help", page),
        Route("/help/images/{file}", image),
        Route("/help/{name}", page),
    ]


async def page(request: Request) -> Response:
    """A page of the guide, with the list of all."""
    if request.state.principal is None:
        return RedirectResponse(f"/sign-in?next={quote(request.url.path)}", 303)
    name = request.path_params.get("name", "")
    found = await asyncio.to_thread(help.render, name)
    if found is None:
        return markup.message(
            "No such page", "The guide has no page of this name.", "/help", "The guide", 404
        )
    return markup.page(found.title, found.body, wide=True, beside=_contents(name))


async def image(request: Request) -> Response:
    """A picture of the guide."""
    path = help.image(request.path_params["file"]) if request.state.principal is not None else None
    if path is None:
        return problem_from(404, "There is no such picture.")
    return FileResponse(path, media_type="image/png", headers={"cache-control": "max-age=3600"})


def _contents(here: str) -> str:
    links = [
        f'<li><a href="/help{"/" if name else ""}{escape(name)}"'
        f"{CURRENT if name == here else ''}>{escape(title)}</a></li>"
        for name, title in help.titles()
    ]
    more = '<li><a href="/api-docs">API, route by route</a></li><li><a href="/">Back to the app</a></li>'
    return f'<nav aria-label="Guide"><ul>{"".join(links)}</ul><ul>{more}</ul></nav>'
