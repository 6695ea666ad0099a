"""The client's way to the server: one request, read as a model, or a stream of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from app.wire import AnswerT, NoAnswer, checked, clean, given, plain, read

Item = TypeVar("Item")
_offered: dict[tuple[str, str], list[Any]] = {}


class Wire:
    """What all of the client's methods are made of."""

    def __init__(self, http: httpx.Client, base: str = "") -> None:
        self._http = http
        self._base = base

    def listen(self, heard: Callable[[httpx.Response], None]) -> None:
        """Let `heard` see every answer's headers."""
        self._http.event_hooks = {"response": [heard]}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; a refusal is raised, a lost connection is NoAnswer."""
        try:
            answer = self._http.request(method, self._base + path, **clean(options))
        except httpx.TransportError as error:
            raise NoAnswer(str(self._http.base_url), action=str(error) or "Is it running?") from error
        checked(answer)
        return answer

    def get(self, path: str, as_: type[AnswerT], **params: Any) -> AnswerT:
        """GET, read as a model."""
        return read(self.request("GET", path, params=params), as_)

    def catalogue(self, path: str, as_: type[list[Item]]) -> list[Item]:
        """GET what a server's version offers everybody: it stays as it is, so it is asked for once."""
        asked = (str(self._http.base_url), path)
        if asked not in _offered:
            _offered[asked] = self.get(path, as_)
        return list(_offered[asked])

    def post(self, path: str, as_: type[AnswerT], body: Any = None, **params: Any) -> AnswerT:
        """POST a JSON body, read as a model."""
        return read(self.request("POST", path, json=plain(body), params=params), as_)

    @contextmanager
    def _stream(self, path: str, **params: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", self._base + path, params=given(params)) as answer:
                if answer.is_error:
                    answer.read()
                checked(answer)
                yield answer
        except httpx.TransportError as error:
            raise NoAnswer(str(self._http.base_url), action=str(error)) from error
