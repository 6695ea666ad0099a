"""A file at a URL, fetched when it has changed. http and https only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import NoSuchHost, NotAllowed, Resolve, checked, resolve
from connectors.registry import Reach, connector
from connectors.web import Web, body_of, port_of, refuse, web_address
from engine.errors import SpireError
from engine.ports import Cursor, Payload, Stage


@connector(
    "url", title="Web address", summary="A file at an http or https address, fetched when it has changed"
)
class Config(BaseModel):
    """What to fetch and how much of it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(title="Address", description="The file's address, http or https.", max_length=4000)
    header: str = Field(
        default="", description="Name of a header to send, such as Authorization.", pattern=r"^[\w-]*$"
    )
    secret: SecretStr = Field(default=SecretStr(""), description="The header's value; kept as a credential.")
    size_limit: int = Field(
        json_schema_extra={"further": True}, default=10 << 30, gt=0, description="Most bytes to take."
    )
    time_limit: float = Field(
        json_schema_extra={"further": True}, default=3600.0, gt=0, description="Most seconds to take."
    )

    @field_validator("url")
    @classmethod
    def _web(cls, value: str) -> str:
        return web_address(value)


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, address, answer."""
    host = urlsplit(config.url).hostname or ""
    try:
        addresses = checked(host, port_of(config.url), reach.hosts)
    except (NotAllowed, NoSuchHost) as error:
        yield Stage("address", False, error.title + " " + error.where, error.action)
        return
    yield Stage("address", True, f"{host} is {addresses[0]}")
    try:
        with _web(config, reach, resolve).answer(config.url) as response:
            refuse(response.status_code, config.url)
            size = response.headers.get("content-length", "unknown")
            yield Stage(
                "answer", True, f"{response.status_code}, {size} bytes, {_media(response) or 'no type given'}"
            )
    except SpireError as error:
        yield Stage(
            "answer",
            False,
            f"{error.title} {error.where}",
            error.action or "Check the address and the header.",
        )


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """The file, unless the server says it is the one we have."""
    with _web(config, reach, resolver).answer(config.url, _known(since)) as response:
        refuse(response.status_code, str(response.url))
        if response.status_code == 304:
            return
        cursor: Cursor = {
            name: response.headers[header]
            for name, header in (("etag", "etag"), ("modified", "last-modified"))
            if header in response.headers
        }
        stream = body_of(response, config.size_limit, config.time_limit)
        yield Payload(_name(str(response.url), config.url), stream, cursor, _media(response))


def _web(config: Config, reach: Reach, resolver: Resolve) -> Web:
    headers = {config.header: config.secret.get_secret_value()} if config.header else {}
    return Web(config.url, reach, headers, resolver=resolver)


def _known(since: Cursor | None) -> dict[str, str]:
    """The request headers that ask for news only."""
    found = {}
    for name, header in (("etag", "if-none-match"), ("modified", "if-modified-since")):
        if since and isinstance(since.get(name), str):
            found[header] = str(since[name])
    return found


def _name(final: str, given: str) -> str:
    for url in (given, final):
        name = unquote(PurePosixPath(urlsplit(url).path).name)
        if name:
            return name[:200]
    return urlsplit(given).hostname or "download"


def _media(response: httpx.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip()
