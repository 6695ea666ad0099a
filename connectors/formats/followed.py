"""A feed with pages that its entries link to, as one payload: a line that says what follows, then each as received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.formats.limits import Damaged

BEGINS = b'{"feed_with_pages":1,'


@dataclass(frozen=True)
class Page:
    """A page as its server gave it, for the entries of these numbers. `packing` is how its bytes are packed."""

    entries: tuple[int, ...]
    url: str
    media_type: str
    packing: str
    body: bytes


@dataclass(frozen=True)
class Followed:
    """A feed, which of its entries are told here (None: all), their pages, and why others are missed.

    Entries count from 1. One reading may give several payloads of the same feed; `first` is the first of them.
    """

    feed: bytes
    entries: tuple[int, ...] | None = None
    pages: tuple[Page, ...] = ()
    missed: Mapping[int, str] = field(default_factory=dict)
    first: bool = True


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _PageHead(_Strict):
    entries: list[int]
    url: str
    media_type: str
    packing: str
    size: int = Field(ge=0)


class _Head(_Strict):
    feed_with_pages: int
    size: int = Field(ge=0)
    entries: list[int] | None
    pages: list[_PageHead]
    missed: dict[int, str]
    first: bool


def packed(told: Followed) -> bytes:
    """The payload."""
    head = {
        "feed_with_pages": 1,
        "size": len(told.feed),
        "entries": told.entries,
        "pages": [
            {
                "entries": page.entries,
                "url": page.url,
                "media_type": page.media_type,
                "packing": page.packing,
                "size": len(page.body),
            }
            for page in told.pages
        ],
        "missed": {str(number): why for number, why in told.missed.items()},
        "first": told.first,
    }
    return b"".join([orjson.dumps(head), b"\n", told.feed, *(page.body for page in told.pages)])


def unpacked(data: bytes) -> Followed:
    """What the payload holds; Damaged where its parts are not as its first line says."""
    line, _, rest = data.partition(b"\n")
    try:
        head = _Head.model_validate_json(line)
    except ValidationError as error:
        raise Damaged("Its first line does not say what follows.") from error
    if head.size + sum(page.size for page in head.pages) != len(rest):
        raise Damaged(f"{len(rest):,} bytes follow its first line, which says otherwise.")
    pages, at = list[Page](), head.size
    for page in head.pages:
        body = rest[at : at + page.size]
        pages.append(Page(tuple(page.entries), page.url, page.media_type, page.packing, body))
        at += page.size
    told = None if head.entries is None else tuple(head.entries)
    return Followed(rest[: head.size], told, tuple(pages), head.missed, head.first)
