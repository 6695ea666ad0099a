"""A folder of files on a web server, found by its own page of links or by a list of addresses.

A page of links says nothing exact of a file's size and time, so each file is asked for its headers (HEAD), and
fetched where they say that it is new. Only what lies below the folder, at the same origin, is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import Resolve, resolve
from connectors.registry import Reach, connector
from connectors.remote import File, Gone, Pattern, first_file, pattern_field, read_new, wanted
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import Turned, Web, body_of, origin, refuse, shown, tls, web_address
from engine.errors import SpireError, Stop
from engine.ports import Cursor, Payload, Stage

MOST_FILES = 5_000
MOST_FOLDERS = 1_000
LIST_BYTES = 32 << 20
MOST_LINKS = 100_000
# A longer address is no file's.
LONGEST = 2000
_AT_ONCE = 1 << 20
_HTML = re.compile(rb"<(!doctype|html|head|body|pre|a|table|ul)\b", re.IGNORECASE)


class NoList(Stop):
    """What answers at this address lists no files."""


class TooMany(Stop):
    """The folder leads to more than can be asked for one by one."""


@connector(
    "web_folder",
    title="Web folder",
    summary="New and changed files that a web page or a list links to",
    capabilities={"incremental"},
)
class Config(BaseModel):
    """Where the list is, how to sign in, and which files to take."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        title="Address",
        description="Address of the folder's page, or of a text file with one address a line.",
        max_length=4000,
    )
    pattern: str = pattern_field()
    username: str = Field(default="", description="Account, where the server asks for one (Basic).")
    header: str = Field(
        default="", description="Name of a header to send, such as Authorization.", pattern=r"^[\w-]*$"
    )
    secret: SecretStr = Field(
        default=SecretStr(""), description="The account's password, or the header's value."
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    size_limit: int = Field(
        json_schema_extra={"further": True}, default=10 << 30, gt=0, description="Most bytes of one file."
    )
    time_limit: float = Field(
        json_schema_extra={"further": True},
        default=3600.0,
        gt=0,
        description="Most seconds to take for one file.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, list, files, first file; each failure with what to do."""
    stage = "name"
    try:
        web = _web(config, reach, resolve)
        sent = CREDENTIAL if web.headers or web.auth else ""
        yield from led_to(config.url, reach, sent=sent, context=web.context)
        stage = "list"
        with _Folder(config, web) as folder:
            found = wanted(folder, Pattern(config.pattern))
            yield Stage("list", True, f"{folder.links:,} links")
            stage = "files"
            yield from first_file(folder, found, config.pattern)
    except SpireError as error:
        yield failed(stage, error, "Check the address, and how to sign in.")


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Each new or changed file with the cursor after it."""
    with _Folder(config, _web(config, reach, resolver)) as folder:
        yield from read_new(folder, Pattern(config.pattern), since)


@dataclass
class _Folder:
    """The folder as its pages list it. Answers that are being read are closed with it."""

    config: Config
    web: Web
    links: int = 0
    open_ones: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.open_ones.close()

    def files(self, pattern: Pattern) -> Iterator[File]:
        """What the pages list and the pattern wants: only of those the headers are asked for."""
        asked = 0
        for path in dict.fromkeys(self._paths(pattern)):
            if pattern.wants(path):
                asked += 1
                if asked > MOST_FILES:
                    raise TooMany(
                        f"{shown(self.config.url)}: more than {MOST_FILES:,} files.",
                        action="Narrow the pattern, or make a source of each folder.",
                    )
                yield self.now(File(path, -1, ""))

    def now(self, file: File) -> File:
        url = self._address(file.path)
        with self.web.patient(url, method="HEAD") as response:
            if response.status_code in (405, 501):
                with self.web.patient(url) as instead:
                    return _file(file.path, instead)
            return _file(file.path, response)

    def open(self, file: File) -> BinaryIO:
        self.open_ones.close()  # a payload is good until the next one is asked for
        response = self.open_ones.enter_context(self.web.patient(self._address(file.path)))
        _file(file.path, response)
        return body_of(response, self.config.size_limit, self.config.time_limit)

    def _paths(self, pattern: Pattern) -> Iterator[str]:
        """Files below the folder, from its page and those of folders below that may hold wanted ones."""
        waiting, seen = [self.config.url], {self.config.url}
        while waiting:
            url = waiting.pop(0)
            for link in _links(self.web, url):
                self.links += 1
                path = self._below(link)
                if not path:
                    continue
                if not path.endswith("/"):
                    yield path
                elif link not in seen and pattern.enters(path.rstrip("/")):
                    if len(seen) > MOST_FOLDERS:
                        raise TooMany(
                            f"{shown(self.config.url)}: more than {MOST_FOLDERS:,} folders.",
                            action="Narrow the pattern, or make a source of each folder.",
                        )
                    seen.add(link)
                    waiting.append(link)

    def _below(self, link: str) -> str:
        """The path of a link below the folder; none where it leads elsewhere or asks for something (`?`)."""
        parts, root = urlsplit(link), urlsplit(self._root)
        if origin(link) != origin(self._root) or parts.query or not parts.path.startswith(root.path):
            return ""
        path = unquote(parts.path[len(root.path) :])
        return path if not {"", ".", ".."} & set(path.rstrip("/").split("/")) else ""

    def _address(self, path: str) -> str:
        return self._root + quote(path)

    @property
    def _root(self) -> str:
        return urljoin(self.config.url, ".")


def _links(web: Web, url: str) -> list[str]:
    """The addresses a page links to, or those a text file lists, one a line."""
    found = web.fetch(url, most=LIST_BYTES)
    refuse(found.status, url)
    if _HTML.search(found.body[:4096]):
        hrefs = _hrefs(found.body, url)
    else:
        text = found.body.decode("utf-8", "replace")
        hrefs = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        foreign = [link for link in hrefs if origin(urljoin(url, link)) != origin(url)]
        if foreign:
            raise Turned(
                f"{shown(url)} lists files at other hosts.",
                action=f"Make a source of {shown(foreign[0])} and the like where you trust them.",
            )
        if any(len(link) > LONGEST or "\0" in link for link in hrefs):
            raise NoList(shown(url), action="Give a page of links, or text with one address a line.")
    return [urljoin(url, link).partition("#")[0] for link in hrefs]


def _hrefs(body: bytes, url: str) -> list[str]:
    """Where the links of a page lead, told as it is read: a tree takes many times a page's size, and ends at a depth."""
    from lxml import etree  # a tenth of a second, and few sources are web folders

    anchors = _Anchors(url)
    target: Any = anchors
    with suppress(etree.ParserError):  # nothing in it
        parser = etree.HTMLParser(target=target, encoding=_encoding(body))
        for start in range(0, len(body), _AT_ONCE):
            parser.feed(body[start : start + _AT_ONCE])
        parser.close()
    return anchors.found


def _encoding(body: bytes) -> str | None:
    """UTF-8 where it is that, whatever the page says or fails to say; else what it says."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


class _Anchors:
    """The links of a page as they come; TooMany where there are more than can be meant."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.found: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        href = attributes.get("href", "") if tag == "a" else ""
        if href and len(href) <= LONGEST:
            self.found.append(str(href))
            if len(self.found) > MOST_LINKS:
                raise TooMany(
                    f"{shown(self.url)}: more than {MOST_LINKS:,} links.",
                    action="Give the address of a folder further down, or a list of addresses.",
                )

    def close(self) -> None:
        return


def _file(path: str, response: httpx.Response) -> File:
    """A file as its headers describe it."""
    if response.status_code in (404, 410):
        raise Gone(shown(str(response.url)))
    refuse(response.status_code, str(response.url))
    headers = response.headers
    length, tag, told = (headers.get(name, "") for name in ("content-length", "etag", "last-modified"))
    try:
        changed = parsedate_to_datetime(told).timestamp() if told else 0.0
    except ValueError:
        changed = 0.0
    return File(path, int(length) if length.isdigit() else -1, f"{tag} {told}".strip(), changed)


def _web(config: Config, reach: Reach, resolver: Resolve) -> Web:
    secret = config.secret.get_secret_value()
    headers = {config.header: secret} if config.header else {}
    auth = httpx.BasicAuth(config.username, secret) if config.username else None
    return Web(config.url, reach, headers, auth, tls(config.authority, ""), resolver)
