"""The wire of the client: transports, bodies, and problems as exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from engine.errors import Retry, SpireError, Stop

AnswerT = TypeVar("AnswerT")


class Refused(SpireError):
    """The server refused this."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("where") or ""), action=str(problem.get("action") or ""))
        self.status = status
        self.sentence = str(problem.get("title") or f"The server answered {status}.")
        self.detail = str(problem.get("detail") or "")
        # Where in a text it is, for those that are about one: line, column, length.
        self.position: Mapping[str, int] | None = problem.get("position")

    @property
    def title(self) -> str:
        return self.sentence


class NotThere(Refused, Stop):
    """There is nothing by that name."""


class MustAct(Refused, Stop):
    """This needs a person before it can go on."""


class TryAgain(Refused, Retry):
    """This did not work now."""


class NoAnswer(Retry):
    """The server does not answer."""


def refusal(status: int, problem: Mapping[str, Any]) -> Refused:
    """The exception for a problem the server told."""
    if status == 404:
        return NotThere(status, problem)
    if status in (429, 502, 503, 504):
        return TryAgain(status, problem)
    return MustAct(status, problem) if 400 <= status < 500 else Refused(status, problem)


class InProcess(httpx.BaseTransport):
    """Calls an ASGI app from synchronous code, in an event loop of its own per request."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()

        async def ask() -> httpx.Response:
            asked = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            answer = await self._transport.handle_async_request(asked)
            content = await answer.aread()
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=content, request=request
            )

        return asyncio.run(ask())


def plain(body: Any) -> Any:
    """A body as JSON: models by alias, without what was not given."""
    if isinstance(body, BaseModel):
        return body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(body, Mapping):
        return {name: plain(value) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return [plain(value) for value in body]
    return body


def read(answer: httpx.Response, as_: type[AnswerT]) -> AnswerT:
    return TypeAdapter(as_).validate_json(answer.content)


def checked(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise refusal(answer.status_code, problem if isinstance(problem, dict) else {})


def clean(options: dict[str, Any]) -> dict[str, Any]:
    if "params" in options:
        options["params"] = given(options["params"])
    if options.get("json", ...) is None:
        del options["json"]
    return options


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
