"""A file at a URL, fetched when it has changed. http and https only. Of a feed, the entries' pages too if asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors import following
from connectors.addresses import Resolve, resolve
from connectors.credential_hosts import written
from connectors.registry import Reach, connector
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import TooMuch, Web, body_of, refuse, web_address
from engine.errors import SpireError
from engine.ports import Cursor, Payload, Stage


@connector(
    "url",
    title="Web address",
    summary="A file or a feed at an http or https address, fetched when it has changed",
)
class Config(BaseModel):
    """What to fetch and how much of it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(title="Address", description="The file's address, http or https.", max_length=4000)
    header: str = Field(
        default="", description="Name of a header to send, such as Authorization.", pattern=r"^[\w-]*$"
    )
    secret: SecretStr = Field(default=SecretStr(""), description="The header's value; kept as a credential.")
    follow: bool = Field(
        title="Follow the entries of a feed",
        default=False,
        description="Of RSS or Atom: fetch the page that each new entry links to as well, and read its text; from the "
        "feed's own host, and from others named under further settings.",
    )
    follow_hosts: list[str] = Field(
        json_schema_extra={"further": True},
        title="Hosts to follow",
        default=[],
        max_length=100,
        description="Hosts besides the feed's own whose pages may be fetched, such as www.news.example.",
    )
    follow_most: int = Field(
        json_schema_extra={"further": True},
        title="Most pages",
        default=50,
        ge=1,
        le=1000,
        description="Most pages to fetch in a run; those left over are fetched in the next ones.",
    )
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

    @field_validator("follow_hosts")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        return [written(host) for host in value if host.strip()]


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, answer, and where entries are followed the first of them; each failure with what to do."""
    stage, web = "name", _web(config, reach, resolve)
    try:
        yield from led_to(config.url, reach, sent=CREDENTIAL if web.headers else "")
        stage = "answer"
        with web.answer(config.url) as response:
            refuse(response.status_code, config.url)
            size = response.headers.get("content-length", "unknown")
            yield Stage(
                "answer", True, f"{response.status_code}, {size} bytes, {_media(response) or 'no type given'}"
            )
            if not config.follow:
                return
            stage = "entries"
            feed, base = _feed(config, response)
        yield from following.check(config, web, feed, base)
    except SpireError as error:
        yield failed(stage, error, "Check the address and the header.")


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """The file, unless the server says it is the one we have."""
    web = _web(config, reach, resolver)
    news_only = not config.follow or following.news_only(config, since or {})
    with web.answer(config.url, _known(since) if news_only else {}) as response:
        refuse(response.status_code, str(response.url))
        if response.status_code == 304:
            return
        cursor: Cursor = {
            name: response.headers[header]
            for name, header in (("etag", "etag"), ("modified", "last-modified"))
            if header in response.headers
        }
        name = _name(str(response.url), config.url)
        if not config.follow:
            stream = body_of(response, config.size_limit, config.time_limit)
            yield Payload(name, stream, cursor, _media(response))
            return
        feed, base = _feed(config, response)
    yield from following.read(config, web, feed, base, name, since or {}, cursor)


def _feed(config: Config, response: httpx.Response) -> tuple[bytes, str]:
    """A feed that is to be followed, whole, and where it was found."""
    most = min(config.size_limit, following.FEED_BYTES)
    try:
        return body_of(response, most, config.time_limit).read(), str(response.url)
    except TooMuch:
        raise TooMuch(f"A feed that is followed has at most {most:,} bytes.") from None


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
