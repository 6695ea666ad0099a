"""Signing in to a web interface, and asking it no faster than allowed."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.exchange import SETTING, exchanged
from connectors.registry import Reach
from connectors.web import Fetched, Turned, Web, port_of, refuse, shown, tls, web_address
from engine.errors import Retry

PAGE_BYTES = 256 << 20


class BrokenAnswer(Retry):
    """The answer was not whole. We will try again at the next run."""


class SigningIn(BaseModel):
    """How to sign in to an interface, and how fast it may be asked."""

    model_config = ConfigDict(extra="forbid")

    headers: dict[str, str] = Field(
        json_schema_extra={"further": True}, default={}, description="Further headers to send; no secrets."
    )
    auth: Literal["none", "basic", "bearer", "header", "query", "oauth2", "refresh"] = Field(
        json_schema_extra={
            "meanings": {
                "none": "open to everybody",
                "basic": "account and password",
                "bearer": "a token",
                "header": "a key in a header",
                "query": "a key in a parameter of the address",
                "oauth2": "client credentials",
                "refresh": "a refresh token",
            }
        },
        title="Sign in by",
        default="none",
        description="How to sign in.",
    )
    username: str = Field(default="", description="Account or client id.")
    secret: SecretStr = Field(default=SecretStr(""), description="Password, token, key or client secret.")
    name: str = Field(
        title="Header or parameter",
        default="",
        description="Header or parameter that carries the key.",
        pattern=r"^[\w.-]*$",
    )
    refresh_token: SecretStr = Field(
        json_schema_extra={"further": True},
        default=SecretStr(""),
        description="With a refresh token: the token. Where the server gives a new one, that takes its place.",
    )
    token_url: str = Field(
        json_schema_extra={"further": True},
        default="",
        description="Address that gives tokens (OAuth 2.0).",
        max_length=4000,
    )
    scope: str = Field(
        json_schema_extra={"further": True},
        default="",
        description="Scope to ask for (OAuth 2.0).",
        max_length=1000,
    )
    certificate: SecretStr = Field(
        json_schema_extra={"further": True, "lines": 4},
        default=SecretStr(""),
        description="Our certificate and its key (PEM), where the server asks for one.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    per_minute: int = Field(
        json_schema_extra={"further": True},
        default=0,
        ge=0,
        description="Most requests a minute; 0 for no limit of ours.",
    )

    @field_validator("token_url")
    @classmethod
    def _token_address(cls, value: str) -> str:
        return web_address(value) if value else ""

    @model_validator(mode="after")
    def _signs_in(self) -> SigningIn:
        if self.auth in ("header", "query") and not self.name:
            raise ValueError("name: say which header or parameter carries the key")
        if self.auth in ("oauth2", "refresh") and not self.token_url:
            raise ValueError("token_url: say where tokens are given")
        if self.auth == "refresh" and not self.refresh_token.get_secret_value():
            raise ValueError("refresh_token: fill it in")
        return self

    @property
    def in_query(self) -> dict[str, str]:
        """The parameter that carries the key, where it goes into the address."""
        return {self.name: self.secret.get_secret_value()} if self.auth == "query" else {}


@dataclass
class Asking:
    """Asks, no faster than allowed, signed in. A token that has expired is asked for anew, once."""

    home: str
    config: SigningIn
    reach: Reach
    last: float = 0.0
    token: str = ""
    ends: float = 0.0

    def fetch(self, url: str, content: bytes | None) -> Fetched:
        found = self._fetch(url, content)
        if found.status == 401 and self.config.auth in ("oauth2", "refresh"):
            self.token = ""
            found = self._fetch(url, content)
        return found

    def _fetch(self, url: str, content: bytes | None) -> Fetched:
        if self.config.per_minute:
            wait = self.last + 60 / self.config.per_minute - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.last = time.monotonic()
        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if content else {})
        return self._web().fetch(url, headers, content, most=PAGE_BYTES)

    def _web(self) -> Web:
        config, secret = self.config, self.config.secret.get_secret_value()
        headers = dict(config.headers)
        if config.auth == "bearer":
            headers["authorization"] = f"Bearer {secret}"
        elif config.auth == "header":
            headers[config.name] = secret
        elif config.auth in ("oauth2", "refresh"):
            headers["authorization"] = f"Bearer {self._token()}"
        auth = httpx.BasicAuth(config.username, secret) if config.auth == "basic" else None
        context = tls(config.authority, config.certificate.get_secret_value())
        return Web(self.home, self.reach, headers, auth, context)

    def _token(self) -> str:
        """A token by client credentials or a refresh token (RFC 6749 §4.4, §6), kept until shortly before it ends."""
        if self.token and time.monotonic() < self.ends:
            return self.token
        config = self.config
        if config.auth == "refresh":
            answer = exchanged(
                self.reach, config.refresh_token.get_secret_value(),
                lambda now: self._granted({"grant_type": "refresh_token", SETTING: now}),
            )  # fmt: skip
        else:
            answer = self._granted({"grant_type": "client_credentials"})
        self.token = str(answer["access_token"])
        self.ends = time.monotonic() + float(answer.get("expires_in") or 300) - 30
        return self.token

    def _granted(self, given: dict[str, str]) -> dict[str, Any]:
        """What the server gives for a grant. A client without a secret says in the form who it is."""
        config, secret = self.config, self.config.secret.get_secret_value()
        if config.scope:
            given = {**given, "scope": config.scope}
        headers = {}
        if secret or config.auth == "oauth2":
            pair = f"{config.username}:{secret}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        elif config.username:
            given = {**given, "client_id": config.username}
        context = tls(config.authority, config.certificate.get_secret_value())
        web = Web(config.token_url, self.reach, headers, context=context)
        # A grant is a secret in the form: it goes where it may go, with or without a header that says who asks.
        self.reach.carries(urlsplit(config.token_url).hostname or "", port_of(config.token_url))
        form = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        found = web.fetch(config.token_url, form, urlencode(given).encode(), most=1 << 20)
        refuse(found.status, config.token_url)
        answer = json_of(found)
        if not isinstance(answer, dict) or not answer.get("access_token"):
            raise Turned(f"{shown(config.token_url)}: no token in the answer.", action=_CHECK[config.auth])
        return answer


_CHECK = {
    "oauth2": "Check client id and secret.",
    "refresh": "Check the refresh token, client id and secret.",
}


def json_of(found: Fetched) -> Any:
    """The answer's JSON; None where it is empty. Raises BrokenAnswer."""
    try:
        return orjson.loads(found.body or b"null")
    except orjson.JSONDecodeError as error:
        raise BrokenAnswer(f"{shown(found.url)}: no JSON from byte {error.pos:,} on.") from error
