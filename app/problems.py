"""Errors on the wire: application/problem+json with what happened, where, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from engine.errors import Bug, Retry, SpireError, Stop


class Problem(SpireError):
    """The request was refused."""

    def __init__(
        self,
        status: int,
        title: str,
        *,
        detail: str = "",
        action: str = "",
        where: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(where, action=action)
        self.status = status
        self.sentence = title
        self.detail = detail
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer that says so."""
        return problem_from(
            self.status,
            self.sentence,
            detail=self.detail,
            action=self.action,
            where=self.where,
            headers=self.headers,
        )


def problem_from(
    status: int,
    title: str,
    *,
    kind: str = "about:blank",
    detail: str = "",
    action: str = "",
    where: str = "",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A problem+json answer (RFC 9457) with our two additions, `action` and `where`."""
    body = {
        "type": kind,
        "title": title,
        "status": status,
        "detail": detail,
        "action": action,
        "where": where,
    }
    return JSONResponse(body | more, status, headers, media_type="application/problem+json")


# What pydantic finds wrong, as a person would say it of a field.
_SAID = {
    "missing": "it is missing",
    "string_pattern_mismatch": "it holds, or begins with, characters that can't stand there",
    "string_too_long": "it has more than {max_length:,} characters",
    "too_short": "it has fewer than {min_length:,}",
    "too_long": "it has more than {max_length:,}",
    "greater_than_equal": "it is at least {ge:,}",
    "greater_than": "it is more than {gt:,}",
    "less_than_equal": "it is at most {le:,}",
    "less_than": "it is less than {lt:,}",
    "extra_forbidden": "nothing of this name is taken",
    "literal_error": "it is one of {expected}",
}


def unfit(errors: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The fields of a request that do not fit, and what is wrong with each; never the value, which may be a secret."""
    return [
        (".".join(str(p) for p in e["loc"] if p not in ("body", "query", "path")), _said(e)) for e in errors
    ]


def _said(error: Mapping[str, Any]) -> str:
    kind, limits = str(error["type"]), error.get("ctx") or {}
    if kind == "string_too_short":
        least = limits["min_length"]
        return "it is empty" if least == 1 else f"it has fewer than {least:,} characters"
    if kind in _SAID:
        return _SAID[kind].format(**limits)
    return str(error["msg"]).removeprefix("Value error, ")


def problem_of(error: SpireError) -> JSONResponse:
    """The answer for one of our errors: 503 try again, 409 a person must act, 500 ours."""
    if isinstance(error, Problem):
        return error.response()
    status = 503 if isinstance(error, Retry) else 409 if isinstance(error, Stop) else 500
    kind = next(base.__name__.lower() for base in (Retry, Stop, Bug, SpireError) if isinstance(error, base))
    headers = {"retry-after": "2"} if status == 503 else None
    return problem_from(
        status,
        error.title,
        kind=f"urn:phantom-spire:{kind}",
        action=error.action,
        where=error.where,
        headers=headers,
    )
